"""Which files of a checkout git would not look at: the rules of gitignore(5), decided entry by entry.

The walk asks for every directory before it goes in, as git does, so a pattern only ever has to match an
entry itself, never something below a directory that it matched. pathspec answers the other question (does
a pattern cover this path?), which brings files back that git ignores as soon as a ``!`` pattern matches
one of their directories.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_CLASS_END = re.compile(r"\[[!^]?\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])*\]")
_POSIX_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "digit": "0-9",
    "lower": "a-z",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}


@dataclass(frozen=True)
class Pattern:
    regex: re.Pattern[str]
    directories_only: bool
    negated: bool


class Rules:
    """The patterns of one file; paths are relative to that file's directory, with ``/`` between names."""

    def __init__(self, lines: Iterable[str]) -> None:
        parsed = [parse(line) for line in lines]
        self._patterns: Sequence[Pattern] = [pattern for pattern in reversed(parsed) if pattern is not None]

    def verdict(self, path: str, is_directory: bool) -> bool | None:
        """True: ignored; False: brought back by a ``!`` pattern; None: these rules say nothing about it."""
        for pattern in self._patterns:
            if (is_directory or not pattern.directories_only) and pattern.regex.fullmatch(path):
                return not pattern.negated
        return None


@dataclass(frozen=True)
class Layer:
    """The rules of one .gitignore as they apply to paths of a tree.

    It stands in the directory `base` of the tree, or the tree is the directory `above` as seen from it.
    Both end with a slash or are empty.
    """

    rules: Rules
    base: str = ""
    above: str = ""

    def verdict(self, path: str, is_directory: bool) -> bool | None:
        return self.rules.verdict(self.above + path.removeprefix(self.base), is_directory)


def ignored(path: str, is_directory: bool, layers: Sequence[Layer]) -> bool:
    """The innermost .gitignore that says anything decides; `layers` come outermost first."""
    verdicts = (layer.verdict(path, is_directory) for layer in reversed(layers))
    return next((verdict for verdict in verdicts if verdict is not None), False)


def layers_above(root: Path) -> tuple[Layer, ...]:
    """The .gitignore files between `root` and the top of its repository, when `root` is a part of one."""
    places = [root, *root.parents]
    top = next((index for index, place in enumerate(places) if (place / ".git").exists()), 0)
    found = [(read_rules(place / ".gitignore"), place) for place in reversed(places[1 : top + 1])]
    layers = [Layer(rules, above=root.relative_to(place).as_posix() + "/") for rules, place in found if rules]
    # Somebody who deploys from a directory that the repository ignores wants its files all the same.
    itself = any(layer.rules.verdict(step, True) for layer in layers for step in _steps_to(layer.above))
    return () if itself else tuple(layers)


def read_rules(path: Path) -> Rules | None:
    """None when there is no such file."""
    try:
        return Rules(path.read_text(encoding="utf-8", errors="surrogateescape").splitlines())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


def _steps_to(prefix: str) -> list[str]:
    names = prefix.rstrip("/").split("/")
    return ["/".join(names[:depth]) for depth in range(1, len(names) + 1)]


def parse(line: str) -> Pattern | None:
    """None for a blank line, a comment, or a pattern that can match nothing."""
    text = _without_trailing_spaces(line.rstrip("\r\n"))
    if not text or text.startswith("#"):
        return None
    negated = text.startswith("!")
    text = text[1:] if negated else text
    directories_only = text.endswith("/")
    text = text[:-1] if directories_only else text
    anchored = "/" in text
    segments = text.removeprefix("/").split("/")
    if not any(segments):
        return None
    try:
        regex = re.compile(_translate(segments if anchored else ["**", *segments]), re.DOTALL)
    except re.error:  # an unclosed or backward range: git matches nothing with it either
        return None
    return Pattern(regex, directories_only, negated)


def _without_trailing_spaces(text: str) -> str:
    while text.endswith(" ") and not text.endswith("\\ "):
        text = text[:-1]
    return text


def _translate(segments: Sequence[str]) -> str:
    """``**`` stands for any number of whole directories; at the end, for anything inside."""
    parts: list[str] = []
    last = len(segments) - 1
    for index, segment in enumerate(segments):
        if segment == "**":
            parts.append(".+" if index == last else "(?:.+/)?")
        else:
            parts.append(_translate_segment(segment) + ("" if index == last else "/"))
    return "".join(parts)


def _translate_segment(segment: str) -> str:
    out: list[str] = []
    position = 0
    while position < len(segment):
        character = segment[position]
        position += 1
        if character == "*":
            if not out or out[-1] != "[^/]*":
                out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "\\" and position < len(segment):
            out.append(re.escape(segment[position]))
            position += 1
        elif character == "[":
            found = _CLASS_END.match(segment, position - 1)
            if found is None:
                raise re.error("unclosed class")
            out.append(_translate_class(found.group()))
            position = found.end()
        else:
            out.append(re.escape(character))
    return "".join(out)


def _translate_class(text: str) -> str:
    body = text[1:-1]
    negated = body[:1] in ("!", "^")
    body = body[1:] if negated else body
    body = re.sub(r"\[:([a-z]+):\]|([\[&~|^]|^\])", _translate_class_member, body)
    return f"(?!/)[{'^' if negated else ''}{body}]"


def _translate_class_member(found: re.Match[str]) -> str:
    if found.group(1):
        return _POSIX_CLASSES.get(found.group(1), "")
    return "\\" + found.group(2)
