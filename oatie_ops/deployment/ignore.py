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
