"""Environment variables that set something: ``OATIE_APP__WORKERS`` and the usual plain ones (``PORT``)."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from difflib import get_close_matches
from typing import Any

from oatie_ops.config.catalogue import Catalogue, Node
from oatie_ops.config.issues import ERROR, WARNING, Problem
from oatie_ops.config.names import CONTROL_VARIABLES, PLAIN_VARIABLES, PREFIX
from oatie_ops.config.spans import KeyPath
from oatie_ops.records import dataclass

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
# What the kubelet sets for a Service that is called oatie.
_SERVICE_LINK = re.compile(
    r"OATIE(_[A-Z0-9_]+)?_(SERVICE_(HOST|PORT\w*)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
# Plain variables with another meaning elsewhere (DEBUG=app:* for node): what we cannot read is not for us.
_OFTEN_FOREIGN = {"DEBUG", "LOG_LEVEL", "WEB_CONCURRENCY"}


@dataclass
class Assignments:
    """``data`` is nested like the file; ``names`` tells which variable set a path."""

    data: dict[str, Any] = field(default_factory=dict)
    names: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[tuple[str, Problem]] = field(default_factory=list)  # (variable, problem)


def any_of_ours(variables: Mapping[str, str]) -> bool:
    """Is there one that `assignments` would read or complain of?"""
    return any(
        value and (name in PLAIN_VARIABLES or (name.startswith(PREFIX) and name not in CONTROL_VARIABLES))
        for name, value in variables.items()
    )


def assignments(variables: Mapping[str, str], known: Catalogue, services: Iterable[str]) -> Assignments:
    """From plain names to ``OATIE_*``, so that the explicit one wins. An empty value sets nothing."""
    found = Assignments()
    for name, path in PLAIN_VARIABLES.items():
        if variables.get(name):
            _assign(found, known, name, path, variables[name])
    for name in sorted(variables):
        if not name.startswith(PREFIX) or name in CONTROL_VARIABLES or not variables[name]:
            continue
        key = _key_path(name, services)
        if known.node(key) is not None and len(key) > 1:
            _assign(found, known, name, key, variables[name])
        elif not (_SERVICE_LINK.fullmatch(name) and variables.get("KUBERNETES_SERVICE_HOST")):
            found.problems.append((name, _unknown(name, known)))
    return found


def variable_name(path: KeyPath) -> str:
    """``OATIE_APP__WORKERS`` for app.workers."""
    return PREFIX + "__".join(str(part).upper().replace("-", "_") for part in path)


def _key_path(name: str, services: Iterable[str]) -> KeyPath:
    parts = name.removeprefix(PREFIX).split("__")
    path = [part.lower() for part in parts]
    if path[:2] == ["app", "env"]:
        return ("app", "env", "__".join(parts[2:]))
    if path[0] == "services" and len(path) > 1:
        same = [service for service in services if service.lower().replace("-", "_") == path[1]]
        path[1] = same[0] if same else path[1]
    return tuple(path)


def _assign(found: Assignments, known: Catalogue, name: str, path: KeyPath, text: str) -> None:
    node = known.node(path)
    assert node is not None
    foreign = name in _OFTEN_FOREIGN
    try:
        value = read(text, node, known)
    except ValueError as error:
        if name != "DEBUG":
            severity = WARNING if foreign else ERROR
            hint = "it is ignored here and reaches the application as it is" if foreign else ""
            found.problems.append((name, Problem("bad-value", path, str(error), hint, severity)))
        return
    table = found.data
    for part in path[:-1]:
        table = table.setdefault(str(part), {})
    table[str(path[-1])] = value
    found.names[path] = name


def read(text: str, node: Node, known: Catalogue) -> Any:
    """The text of a variable as the type that the key has. Raises `ValueError` without the text in it."""
    convert = _READERS.get(known.kind(node))
    if convert is not None:
        return convert(text)
    if known.kind(node) == "choice":
        return _choice(text, known.choices(node))
    if known.kind(node) == "array":
        return _array(text, known.is_command(node))
    return text


def _integer(text: str) -> int:
    if not re.fullmatch(r"\s*[+-]?\d+\s*", text, re.ASCII) or len(text) > 18:
        raise ValueError("must be a whole number")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("must be a number") from None


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return word in _TRUE


def _object(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        raise ValueError("must be a JSON object") from None
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")
    return value


_READERS: Mapping[str, Callable[[str], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "object": _object,
}
_CHOICE_ALIASES = {"warn": "warning", "fatal": "critical"}


def _choice(text: str, choices: list[str]) -> str:
    word = text.strip().lower()
    word = word if word in choices else _CHOICE_ALIASES.get(word, word)
    if word not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}")
    return word


def _array(text: str, is_command: bool) -> Any:
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError("starts like a JSON list, but is none") from None
    if is_command:
        try:
            return shlex.split(text)
        except ValueError:
            raise ValueError("has a quote that is not closed") from None
    return [part.strip() for part in text.split(",") if part.strip()]


def _unknown(name: str, known: Catalogue) -> Problem:
    names = {variable_name(path): path for path, _ in known.leaves()}
    short = name.removeprefix(PREFIX).lower()
    same = [variable for variable, path in names.items() if path[-1] == short]
    near = same or get_close_matches(name, [*names, *CONTROL_VARIABLES], n=1, cutoff=0.75)
    hint = f"did you mean {near[0]}?" if near else "`oatie config explain` lists the keys and their variables"
    return Problem("unknown-variable", (), "sets nothing that oatie knows", hint, WARNING, at="key")
