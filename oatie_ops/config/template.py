"""The commented oatie.toml that ``oatie init`` writes for what it found."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.config import defaults
from oatie_ops.config.candidates import Candidate
from oatie_ops.config.durations import format_duration

_READY_TIMEOUT = format_duration(defaults.READY_TIMEOUT_SECONDS)
_DRAIN = format_duration(defaults.DRAIN_SECONDS)
_BAKE = format_duration(defaults.BAKE_SECONDS)
_RELEASE_EXAMPLES = {"Python": "python migrate.py", "Node": "npm run migrate"}


@dataclass(frozen=True)
class Surroundings:
    """What else in the directory decides what the file should say."""

    env_file: str | None = None
    release: str | None = None
    release_is_certain: bool = False


def survey(root: Path, candidate: Candidate) -> Surroundings:
    env_file = ".env" if (root / ".env").is_file() else None
    if candidate.kind == "Django" and (root / "manage.py").is_file():
        return Surroundings(env_file, "python manage.py migrate --noinput", release_is_certain=True)
    if (root / "alembic.ini").is_file():
        return Surroundings(env_file, "alembic upgrade head", release_is_certain=True)
    return Surroundings(env_file)


def render(candidate: Candidate, alternatives: Iterable[Candidate], around: Surroundings) -> str:
    """Valid TOML that `oatie config check` accepts; what is commented out shows the default or an example."""
    blocks = [
        "# oatie.toml: what oatie runs here, and how. `oatie config explain KEY` tells about any key,\n"
        "# `oatie config check` checks this file, `oatie config show --origin` shows what applies.",
        "\n".join(["[app]", *_app(candidate, list(alternatives), around)]),
        "\n".join(["[deploy]", *_deploy(candidate, around)]),
        *([_PROXY] if candidate.command is not None else []),
        _SERVICES,
        _OPS,
        _ENVIRONMENTS + ("# app.workers = 4" if candidate.command is None else '# app.log_level = "warning"'),
    ]
    return "\n\n".join(blocks) + "\n"


def _app(candidate: Candidate, alternatives: list[Candidate], around: Surroundings) -> list[str]:
    lines = [f"name = {_quoted(candidate.name or 'app')}"]
    if candidate.kind == "demo":
        lines += [
            "# No application was found here, so oatie runs its built-in demo. For your own, one of:",
            '# run = "main:app"                # ASGI or WSGI application, or a function that makes one',
            '# command = ["node", "server.js"] # any other program; it listens on $PORT',
        ]
    else:
        lines += [f"# Found: {_comment(candidate.evidence)}", _target(candidate)]
        if candidate.command is not None:
            lines[-1] += "  # it has to listen on $PORT"
        lines += [
            f"# Also found: {_target(other)}  ({_comment(other.evidence)})" for other in alternatives[:5]
        ]
    lines.append(f"port = {defaults.APP_PORT}")
    if candidate.command is None:
        lines.append(f"workers = {defaults.APP_WORKERS}")
    if candidate.ready:
        lines.append(f"ready = {_quoted(candidate.ready)}  # must answer 2xx before users are let in")
    else:
        lines.append(
            '# ready = "/ready"   # must answer 2xx before users are let in; without it: GET / below 500'
        )
    if around.env_file:
        lines.append(f"env_file = {_quoted(around.env_file)}  # variables for the application")
    lines += [
        f'# ready_timeout = "{_READY_TIMEOUT}"  # for a new worker to become ready',
        f'# drain = "{_DRAIN}"          # for requests in flight at a switch',
        '# env = { GREETING = "hello", DATABASE_URL = "${DATABASE_URL}" }',
    ]
    return lines


def _target(candidate: Candidate) -> str:
    if candidate.run is not None:
        return f"run = {_quoted(candidate.run)}"
    return f"command = [{', '.join(_quoted(word) for word in candidate.command or ())}]"


def _deploy(candidate: Candidate, around: Surroundings) -> list[str]:
    build = ", ".join(_quoted(line) for line in candidate.build)
    lines = [f"build = [{build}]" if build else "# build = []         # shell commands that build a release"]
    if around.release:
        mark = "" if around.release_is_certain else "# "
        lines.append(f"{mark}release = {_quoted(around.release)}  # once, before any new worker starts")
    else:
        example = _RELEASE_EXAMPLES.get("Python" if candidate.run else candidate.kind, "./migrate")
        lines.append(f'# release = "{example}"  # for example; once, before any new worker starts')
    return [
        *lines,
        f'# bake = "{_BAKE}"   # how long the old workers stay ready to take over again',
        f"# keep = {defaults.KEEP_RELEASES}         # releases to keep for a rollback",
    ]


def _quoted(text: str) -> str:
    # TOML's basic strings have the escapes of JSON, but want DEL written as one.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    """One line without what TOML forbids in a comment."""
    return "".join(c if c.isprintable() else " " for c in text)


_PROXY = """\
# A program opens its port itself: at a switch connections are refused until the new one has done so.
# With Caddy in front (`oatie doctor` tells whether it is here) none is:
#
# [proxy]
# enabled = true"""

_SERVICES = """\
# What the application stands on, and how its health is found out:
#
# [services.database]
# check = { type = "postgres", url = "${DATABASE_URL}", interval = "10s", timeout = "2s" }
#
# [services.api]
# check = { type = "http", url = "https://api.example.com/health" }"""

_OPS = f"""\
# [ops]
# listen = "{defaults.OPS_LISTEN}"  # health, metrics and dashboard"""

_ENVIRONMENTS = """\
# What differs where the environment is production (`oatie detect` tells which one applies):
#
# [environments.production]
"""
