"""The Dockerfile and .dockerignore that oatie writes, or builds from where a project has none. Pure text.

Two stages: what is only needed to build stays out of the image. Files that say what to install are copied
before the code, so that a change of the code reuses the layers below. The application does not run as root.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from oatie_ops._version import __version__
from oatie_ops.config.settings import Settings
from oatie_ops.deployment.containers import dockerfile_python
from oatie_ops.deployment.containers.dockerfile_python import PythonInstall, python_install

PYTHON_IMAGE = "python:3.12-slim"
NODE_IMAGE = "node:22-slim"
OTHER_IMAGE = "debian:bookworm-slim"
USER, UID = "app", 10001
OATIE = f"oatie-ops=={__version__}"
SUPERVISED = 'CMD ["oatie", "start", "--host", "0.0.0.0"]'

DOCKERIGNORE = """\
# What must not get into the image: history, secrets, and what is made anew there.
.git
.oatie
**/.env
**/.env.*
**/.venv
**/venv
**/node_modules
**/__pycache__
**/*.pyc
**/*.sqlite3*
**/*.db
Dockerfile
.dockerignore
"""


@dataclass(frozen=True)
class Surroundings:
    """What of the project decides how its image is made. ``ready``: the path that must answer 2xx."""

    run: str | None
    command: tuple[str, ...] | None
    port: int
    ready: str | None
    files: frozenset[str]
    install: PythonInstall
    base: str | None = None
    supervised: bool = False
    env_file: str | None = None


def surroundings(settings: Settings, *, base: str | None = None, supervised: bool = False) -> Surroundings:
    """``supervised``: oatie itself is process 1 in the container, with its workers below it."""
    app, root = settings.app, settings.root / settings.image.context
    return Surroundings(
        run=app.run,
        command=app.command,
        port=settings.container.port or app.port or 8080,
        ready=app.ready,
        files=frozenset(place.name for place in _entries(root)),
        install=python_install(root, app.run),
        base=base,
        supervised=supervised,
        env_file=app.env_file if app.env_file and not Path(app.env_file).is_absolute() else None,
    )


def _entries(root: Path) -> list[Path]:
    return list(root.iterdir()) if root.is_dir() else []


def kind(around: Surroundings) -> str:
    if around.run is not None:
        return "python"
    program = (around.command or ("",))[0].rpartition("/")[2]
    if program.startswith(("python", "gunicorn", "uvicorn", "hypercorn", "granian", "flask", "django")):
        return "python"
    if program in ("node", "npm", "npx", "yarn", "pnpm", "bun"):
        return "node"
    return "other"


def dockerfile(around: Surroundings) -> str:
    lines = {"python": _python, "node": _node, "other": _other}[kind(around)](around)
    return "\n".join(lines) + "\n"


def _python(around: Surroundings) -> list[str]:
    base = around.base or PYTHON_IMAGE
    oatie = around.supervised or around.run is not None
    if not around.install and not oatie:
        return [*_runtime(base), "COPY . .", *_account(around, "python3"), _command(around)]
    return [
        f"FROM {base} AS build",
        "ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1",
        "RUN python3 -m venv /venv",
        'ENV PATH="/venv/bin:$PATH"',
        "WORKDIR /app",
        *([f"RUN pip install {OATIE}"] if oatie else []),
        *dockerfile_python.lines(around.install),
        "",
        *_runtime(base),
        'ENV PATH="/venv/bin:$PATH" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1',
        "COPY --from=build /venv /venv",
        "COPY . .",
        *_account(around, "python3"),
        SUPERVISED if oatie else _command(around),
    ]


def _node(around: Surroundings) -> list[str]:
    base = around.base or NODE_IMAGE
    if "package.json" not in around.files:
        return [*_runtime(base), *_oatie(around), "COPY . .", *_account(around, "node"), _command(around)]
    locked = "package-lock.json" in around.files
    return [
        f"FROM {base} AS build",
        "WORKDIR /app",
        f"COPY package.json {'package-lock.json ' if locked else ''}./",
        # Without any dependency npm makes no directory.
        f"RUN mkdir -p node_modules && npm {'ci' if locked else 'install'} --omit=dev",
        "",
        *_runtime(base),
        *_oatie(around),
        "ENV NODE_ENV=production",
        "COPY --from=build /app/node_modules ./node_modules",
        "COPY . .",
        *_account(around, "node"),
        _command(around),
    ]


def _other(around: Surroundings) -> list[str]:
    return [
        "# What this program needs is not known here: choose a base image that has it.",
        *_runtime(around.base or OTHER_IMAGE),
        *_oatie(around),
        "COPY . .",
        *_account(around, "python3" if around.supervised else ""),
        _command(around),
    ]


def _runtime(base: str) -> list[str]:
    """A number, as a cluster's policies cannot tell who a name is. Group 0 may write where the user may:
    some clusters choose a user for each namespace, and that is the group they give it."""
    return [
        f"FROM {base}",
        # Before the code, so that it stays in the cache.
        f"RUN useradd --system --uid {UID} --gid 0 --create-home --home-dir /home/{USER} {USER} \\",
        f"    && install -d -o {USER} -g 0 -m 0775 /app && chmod 0770 /home/{USER}",
        f"ENV HOME=/home/{USER}",
        "WORKDIR /app",
    ]


def _oatie(around: Surroundings) -> list[str]:
    """oatie beside a program of another language, in a Python of Debian's."""
    if not around.supervised:
        return []
    return [
        "RUN apt-get update && apt-get install -y --no-install-recommends python3-venv \\",
        "    && rm -rf /var/lib/apt/lists/* && python3 -m venv /opt/oatie \\",
        f"    && /opt/oatie/bin/pip install --no-cache-dir {OATIE}",
        'ENV PATH="/opt/oatie/bin:$PATH"',
    ]


def _account(around: Surroundings, language: str) -> list[str]:
    return [
        *_env_file(around),
        f"USER {UID}",
        f"ENV PORT={around.port} HOST=0.0.0.0",
        f"EXPOSE {around.port}",
        *_healthcheck(around, language),
    ]


def _env_file(around: Surroundings) -> list[str]:
    """oatie in the container reads the same oatie.toml, and would miss the file that it names."""
    if around.env_file is None or not (around.run is not None or around.supervised):
        return []
    place = shlex.quote(around.env_file)
    return [
        "# Its variables come from the environment of the container; what they are stays out of the image.",
        f'RUN test -e {place} || {{ mkdir -p "$(dirname {place})" && touch {place}; }}',
    ]


def _command(around: Surroundings) -> str:
    return SUPERVISED if around.supervised else f"CMD {_argv(around.command or ())}"


def _healthcheck(around: Surroundings, language: str) -> list[str]:
    """In the language of the application: a slim image has no curl."""
    path = around.ready or "/"
    head = "HEALTHCHECK --interval=10s --timeout=9s --start-period=30s --retries=3 CMD "
    if language == "python3":
        good = "200 <= code < 300" if around.ready else "code < 500"
        test = (
            "import http.client,os,sys; "
            "c=http.client.HTTPConnection('127.0.0.1',int(os.environ['PORT']),timeout=5); "
            f"c.request('GET','{path}'); code=c.getresponse().status; sys.exit(0 if {good} else 1)"
        )
        return [head + _argv(("python3", "-c", test))]
    if language == "node":
        good = "r.statusCode>=200&&r.statusCode<300" if around.ready else "r.statusCode<500"
        test = (
            f"require('http').get('http://127.0.0.1:'+process.env.PORT+'{path}',"
            f"r=>process.exit({good}?0:1)).on('error',()=>process.exit(1))"
        )
        return [head + _argv(("node", "-e", test))]
    return [f"# HEALTHCHECK CMD …  # a command that fails while GET {path} is not answered"]


def _argv(command: tuple[str, ...]) -> str:
    return json.dumps(list(command))
