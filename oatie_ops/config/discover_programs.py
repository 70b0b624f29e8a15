"""What other tools' files say is to be run: Procfile, pyproject.toml, manage.py, package.json, go.mod."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oatie_ops.config.candidates import Candidate

_SERVERS = {"uvicorn", "gunicorn", "hypercorn", "daphne", "granian", "waitress-serve"}
_IMPORT_STRING = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\(\))?")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_NODE_LISTENS = re.compile(r"\bcreateServer\(|\.listen\(\s*(process\.env|PORT|port|\d)")
_NEEDS_SHELL = re.compile(r"[$|&;<>()`*?~#\n]|^\w+=")
_SETTINGS_MODULE = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")


def programs(root: Path) -> Iterator[Candidate]:
    yield from _procfile(root)
    yield from _pyproject(root)
    yield from _django(root)
    yield from _node(root)
    yield from _go(root)


def _procfile(root: Path) -> Iterator[Candidate]:
    for number, line in enumerate(_text(root / "Procfile").splitlines(), start=1):
        name, separator, command = line.partition(":")
        # Django's development server is no way to serve; its asgi or wsgi module is found elsewhere.
        if separator and name.strip() == "web" and command.strip() and "runserver" not in command:
            yield _declared_command(command.strip(), f"Procfile:{number} {line.strip()[:80]}")


def _declared_command(line: str, evidence: str) -> Candidate:
    """A server's command line names the application, and oatie is the server; others run as they are."""
    run = _served_application(line)
    if run is not None:
        return Candidate(run, None, "application", evidence, 0.96)
    return Candidate(None, _argv(line), "command", evidence, 0.94)


def _served_application(line: str) -> str | None:
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    words = [word for word in words if "=" not in word.partition(" ")[0] or word.startswith("-")]
    if words[:1] == ["exec"]:
        words = words[1:]
    if len(words) > 2 and words[0].startswith("python") and words[1] == "-m":
        words = words[2:]
    if not words or Path(words[0]).name not in _SERVERS:
        return None
    found = [word for word in words[1:] if _IMPORT_STRING.fullmatch(word)]
    if found:
        return found[0].removesuffix("()")
    # gunicorn's module alone means its attribute "application".
    modules = [word for word in words[1:] if _MODULE.fullmatch(word) and "." in word]
    return f"{modules[-1]}:application" if modules and Path(words[0]).name == "gunicorn" else None


def _argv(line: str) -> tuple[str, ...]:
    if _NEEDS_SHELL.search(line):
        return ("sh", "-c", line if line.startswith("exec ") or _is_compound(line) else f"exec {line}")
    try:
        return tuple(shlex.split(line))
    except ValueError:
        return ("sh", "-c", line)


def _is_compound(line: str) -> bool:
    return re.search(r"&&|\|\||[;|\n]|^\w+=|^\s*(cd|export|source|\.)\s", line) is not None


def _pyproject(root: Path) -> Iterator[Candidate]:
    text = _text(root / "pyproject.toml")
    if not text:
        return
    import tomllib

    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError):
        return
    entry = _dig(data, "tool", "fastapi", "entrypoint")
    if isinstance(entry, str) and _IMPORT_STRING.fullmatch(entry):
        line = _line(text, "entrypoint")
        evidence = f"pyproject.toml:{line} entrypoint = {entry!r}"
        yield Candidate(entry, None, "FastAPI", evidence, 0.95)


def _django(root: Path) -> Iterator[Candidate]:
    manage = root / "manage.py"
    text = _text(manage)
    match = _SETTINGS_MODULE.search(text)
    if match is None:
        return
    package = match[1].partition(".settings")[0].rpartition(".settings")[0] or match[1].partition(".")[0]
    folder = root / package.replace(".", "/")
    line = text[: match.start()].count("\n") + 1
    for module, confidence in (("asgi", 0.93), ("wsgi", 0.92)):
        if (folder / f"{module}.py").is_file():
            evidence = f"manage.py:{line} DJANGO_SETTINGS_MODULE = {match[1]}; {package}/{module}.py"
            yield Candidate(f"{package}.{module}:application", None, "Django", evidence, confidence)


def _node(root: Path) -> Iterator[Candidate]:
    text = _text(root / "package.json")
    try:
        data: Any = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return
    start = _dig(data, "scripts", "start")
    if isinstance(start, str) and start.strip():
        line = _line(text, '"start"')
        evidence = f'package.json:{line} "start": {json.dumps(start)[:80]}'
        yield Candidate(None, _node_argv(start.strip()), "Node", evidence, 0.62, build=_node_build(root))
        return
    main = _dig(data, "main")
    for name in (main, "server.js", "index.js"):
        if isinstance(name, str) and data is not None and (root / name).is_file():
            evidence = f"package.json and {name}"
            yield Candidate(None, ("node", name), "Node", evidence, 0.5, build=_node_build(root))
            return
    if data is None:
        yield from _node_alone(root)


def _node_alone(root: Path) -> Iterator[Candidate]:
    """A server without a package.json: it has no dependencies, so nothing is to be built."""
    for name in ("server.js", "index.js", "app.js"):
        text = _text(root / name)
        match = _NODE_LISTENS.search(text)
        if match is not None:
            line = text[: match.start()].count("\n") + 1
            yield Candidate(None, ("node", name), "Node", f"{name}:{line} {match[0].strip()}", 0.45)
            return


def _node_argv(script: str) -> tuple[str, ...]:
    """`npm` in between would swallow signals; it is needed where the script is more than `node FILE`."""
    words = script.split()
    return tuple(words) if words[0] == "node" and not _NEEDS_SHELL.search(script) else ("npm", "start")


def _node_build(root: Path) -> tuple[str, ...]:
    return ("npm ci",) if (root / "package-lock.json").is_file() else ("npm install",)


def _go(root: Path) -> Iterator[Candidate]:
    if not (root / "go.mod").is_file():
        return
    mains = [Path("main.go"), *(p.relative_to(root) for p in sorted(root.glob("cmd/*/main.go")))]
    for main in mains:
        text = _text(root / main)
        match = re.search(r"^package main\b", text, re.MULTILINE)
        if match is None:
            continue
        line = text[: match.start()].count("\n") + 1
        package = "." if main.parent == Path() else f"./{main.parent}"
        yield Candidate(
            None,
            ("./bin/app",),
            "Go",
            f"{main}:{line} package main",
            0.6,
            build=(f"go build -o bin/app {package}",),
        )
        return


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    except OSError:
        return ""


def _line(text: str, needle: str) -> int:
    return text[: max(0, text.find(needle))].count("\n") + 1


def _dig(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data
