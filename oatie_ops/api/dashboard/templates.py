"""A small renderer for the templates of the dashboard: escapes by itself, knows no code, imports nothing.

{{name}} {{a.b}}         a value, escaped unless it is `Html`; unknown names are errors
{{#name}}...{{/name}}    once for each item of a list, or once where the value is true
{{^name}}...{{/name}}    where it is false or empty
{{>file}}                another template, with the same values
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import Any

_TAG = re.compile(r"\{\{([#^/>]?)\s*([\w.-]+)\s*\}\}")
_FOLDER = "templates"

# Parsed: (kind, name or text, inner nodes).
Node = tuple[str, str, tuple[Any, ...]]


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def render(name: str, values: Mapping[str, Any]) -> Html:
    """The template ``templates/NAME.html``. Raises `KeyError` for a name that has no value."""
    parts: list[str] = []
    _render(template(name), [values], parts)
    return Html("".join(parts))


def render_text(text: str, values: Mapping[str, Any]) -> Html:
    parts: list[str] = []
    _render(parse(text), [values], parts)
    return Html("".join(parts))


@lru_cache
def template(name: str) -> tuple[Node, ...]:
    return parse(files(__package__).joinpath(_FOLDER, f"{name}.html").read_text(encoding="utf-8"))


def parse(text: str) -> tuple[Node, ...]:
    """Raises `ValueError` where a section is not closed, or closed without being open."""
    stack: list[tuple[str, str, list[Node]]] = [("", "", [])]
    at = 0
    for tag in _TAG.finditer(text):
        if tag.start() > at:
            stack[-1][2].append(("text", text[at : tag.start()], ()))
        at = tag.end()
        sign, name = tag[1], tag[2]
        if sign in ("#", "^"):
            stack.append((sign, name, []))
        elif sign == "/":
            opened, known, inner = stack.pop()
            if not stack or known != name:
                raise ValueError(f"{{{{/{name}}}}} closes nothing that is open")
            stack[-1][2].append((opened, name, tuple(inner)))
        else:
            stack[-1][2].append((sign or "value", name, ()))
    if len(stack) > 1:
        raise ValueError(f"{{{{{stack[-1][0]}{stack[-1][1]}}}}} is not closed")
    if at < len(text):
        stack[-1][2].append(("text", text[at:], ()))
    return tuple(stack[0][2])


def _render(nodes: tuple[Node, ...], scopes: list[Any], parts: list[str]) -> None:
    for kind, name, inner in nodes:
        if kind == "text":
            parts.append(name)
        elif kind == "value":
            value = _find(name, scopes)
            parts.append(value if isinstance(value, Html) else escape(_text(value)))
        elif kind == ">":
            _render(template(name), scopes, parts)
        else:
            value = _find(name, scopes)
            if kind == "^":
                if not value:
                    _render(inner, scopes, parts)
            elif isinstance(value, list | tuple):
                for item in value:
                    _render(inner, [*scopes, item], parts)
            elif value:
                _render(inner, [*scopes, value], parts)


def _text(value: Any) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"{type(value).__name__} is nothing to show")


def _find(name: str, scopes: list[Any]) -> Any:
    if name == ".":
        return scopes[-1]
    first, *rest = name.split(".")
    for scope in reversed(scopes):
        if isinstance(scope, Mapping) and first in scope:
            value = scope[first]
            for part in rest:
                value = value[part]
            return value
    raise KeyError(name)
