"""What is wrong with a configuration, and how a compiler would show it: place, line, caret, help."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from oatie_ops.config.spans import KeyPath
from oatie_ops.records import dataclass

ERROR = "error"
WARNING = "warning"
NOTE = "note"
UNKNOWN_ENVIRONMENT = "unknown-environment"
# What TOML takes without quotes.
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_RANK = {ERROR: 0, WARNING: 1, NOTE: 2}


@dataclass(frozen=True)
class Excerpt:
    """One line; ``caret`` is a column from 1 in ``text``, the marked part is ``length`` long."""

    text: str = ""
    caret: int = 1
    length: int = 1


NO_EXCERPT = Excerpt()


@dataclass(frozen=True)
class Problem:
    """A finding about a key path, before it is known where that path was written.

    ``at`` says what of it is wrong: its ``value`` or its ``key``. No text in it may hold a value that
    might be a secret.
    """

    code: str
    path: KeyPath
    message: str
    hint: str = ""
    severity: str = ERROR
    at: str = "value"
    needle: str = ""  # the part of the value that is meant, as it is written


@dataclass(frozen=True)
class Issue:
    """A finding with its place. ``file`` is None for a variable or a flag, which ``source`` then names.

    ``line`` and ``column`` count from 1; ``excerpt`` is that line with possible secrets masked.
    """

    severity: str
    code: str
    path: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    hint: str = ""
    source: str = ""
    excerpt: Excerpt = NO_EXCERPT

    @property
    def where(self) -> str:
        """``oatie.toml:14:1``, or what set the value: ``variable PORT``, ``--port``."""
        if self.file is None:
            return self.source
        parts = [self.file, *(str(number) for number in (self.line, self.column) if number)]
        return ":".join(parts)

    def as_dict(self) -> dict[str, Any]:
        return {
            "severity": self.severity,
            "code": self.code,
            "path": self.path,
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "source": self.source or None,
            "hint": self.hint or None,
        }


def ordered(issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """Each once; as they stand in the file, and where nothing else decides, errors first."""
    unique = dict.fromkeys(issues)
    return tuple(
        sorted(unique, key=lambda i: (i.file or "", i.line or 0, i.column or 0, _RANK[i.severity], i.message))
    )


def errors(issues: Iterable[Issue]) -> list[Issue]:
    return [issue for issue in issues if issue.severity == ERROR]


def render(issue: Issue) -> str:
    """Several lines without colour: headline, the line in question with a caret under it, help."""
    place = f"{issue.where}: " if issue.where else ""
    lines = [f"{place}{issue.severity}[{issue.code}]: {headline(issue)}"]
    shown = issue.excerpt
    if shown.text and issue.line:
        gutter = f"{issue.line:>5}"
        pad = "".join("\t" if c == "\t" else " " for c in f"{shown.text:<{shown.caret}}"[: shown.caret - 1])
        carets = "^" * max(1, min(shown.length, len(shown.text) - shown.caret + 1))
        lines += [f"{gutter} | {shown.text}", f"{' ' * len(gutter)} | {pad}{carets}"]
    if issue.hint:
        lines.append(f"  help: {issue.hint}")
    return "\n".join(lines)


def headline(issue: Issue) -> str:
    return f"`{issue.path}` {issue.message}" if issue.path else issue.message


def summary(issues: Sequence[Issue]) -> str:
    """``2 errors, 1 warning``; empty for none."""
    counts = [(sum(i.severity == severity for i in issues), severity) for severity in (ERROR, WARNING)]
    return ", ".join(f"{count} {name}{'s' * (count > 1)}" for count, name in counts if count)


def dotted(path: KeyPath) -> str:
    """``services."my.db".recover[0].max``"""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        quoted = part if _BARE.fullmatch(part) else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
        text += f".{quoted}" if text else quoted
    return text


def undotted(text: str) -> KeyPath:
    """The path of a dotted key as TOML reads it. Raises `ValueError`."""
    import tomllib

    path: list[str] = []
    try:
        node: Any = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{text!r} is not a key") from error
    while isinstance(node, dict):
        [(key, node)] = node.items()
        path.append(key)
    return tuple(path)
