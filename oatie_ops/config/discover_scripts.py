"""Plain Python programs that open a port themselves (http.server, aiohttp), from their syntax trees alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from oatie_ops.config.candidates import Candidate

# Below an application that somebody named, below a Node program that package.json starts.
CONFIDENCE = 0.46
WORTH_PARSING = re.compile(rb"\b(http\.server|aiohttp|wsgiref)\b")
# What makes a program one that serves: the module that it imports, and the call that goes on for ever.
_SERVERS = {"http.server": "serve_forever", "wsgiref": "serve_forever", "aiohttp": "run_app"}
_PORT_ARGUMENT = re.compile(r"\bsys\.argv\[1\]")
_PORT_VARIABLE = re.compile(r"""["']PORT["']""")


def program(name: str, tree: ast.Module, source: str) -> Candidate | None:
    """The command that runs the file ``name``; None where it serves nothing.

    One that takes its port as first argument is given it there, any other finds it in $PORT.
    """
    line = _serving_line(tree)
    if line is None:
        return None
    lines = source.splitlines()
    text = lines[line - 1].strip() if line <= len(lines) else ""
    by_argument = _PORT_ARGUMENT.search(source) is not None and _PORT_VARIABLE.search(source) is None
    command = ("sh", "-c", f"exec python3 {name} $PORT") if by_argument else ("python3", name)
    return Candidate(None, command, "Python", f"{name}:{line} {text[:80]}", CONFIDENCE)


def _serving_line(tree: ast.Module) -> int | None:
    imported = set(_imported(tree))
    endless = {
        call
        for package, call in _SERVERS.items()
        if any(name == package or name.startswith(f"{package}.") for name in imported)
    }
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return next((node.lineno for node in calls if _called(node) in endless), None)


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
