"""The parsed file: its data, where everything in it stands, and what kept it from being read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from oatie_ops.config import spans
from oatie_ops.config.excerpts import is_showable, syntax_excerpt, value_excerpt
from oatie_ops.config.issues import ERROR, NO_EXCERPT, Issue, Problem, dotted
from oatie_ops.config.layers import Layer, Origin, Source
from oatie_ops.config.spans import KeyPath, Span
from oatie_ops.records import dataclass

_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
ENVIRONMENTS = "environments"
PROFILE = "profile"


@dataclass(frozen=True)
class Document:
    """``shown`` is its name for people; ``table`` where in it the configuration is."""

    shown: str
    table: KeyPath = ()
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    spans: Mapping[KeyPath, Span] = field(default_factory=dict)
    issues: tuple[Issue, ...] = ()

    def layer(self) -> Layer:
        data = {name: value for name, value in self.data.items() if name != ENVIRONMENTS}
        return Layer(data, lambda path: self.origin(path, Source.FILE))

    def overlays(self) -> Mapping[str, Any]:
        overlays = self.data.get(ENVIRONMENTS)
        return overlays if isinstance(overlays, Mapping) else {}

    def overlay(self, name: str) -> Layer:
        table = self.overlays().get(name)
        data = {k: v for k, v in table.items() if k != PROFILE} if isinstance(table, Mapping) else {}
        prefix = (ENVIRONMENTS, name)
        return Layer(data, lambda path: self.origin((*prefix, *path), Source.OVERLAY, name))

    def span(self, path: KeyPath) -> Span | None:
        """Of the path, or of the nearest table around it that is written down."""
        full = (*self.table, *path)
        for length in range(len(full), 0, -1):
            if full[:length] in self.spans:
                return self.spans[full[:length]]
        return None

    def origin(self, path: KeyPath, source: Source, name: str = "") -> Origin:
        span = self.span(path)
        place = (span.line, span.column) if span else (None, None)
        return Origin(source, name, self.shown, *place)

    def issue(self, problem: Problem, path: KeyPath) -> Issue:
        """``path`` is where in the document it is: for an overlay not the problem's own path."""
        span = self.span(path)
        if span is None:
            return Issue(
                problem.severity, problem.code, dotted(path), problem.message, self.shown, hint=problem.hint
            )
        exact = (*self.table, *path) in self.spans
        start, length = span.value_start, span.value_end - span.value_start
        if problem.at == "key" or not exact:
            start, length = span.start, span.length
        elif problem.needle:
            found = self.text.find(problem.needle, span.value_start, span.value_end)
            start, length = (found, len(problem.needle)) if found >= 0 else (start, length)
        line, column = self._place(start)
        excerpt = value_excerpt(self.text, (start, start + length), self.spans, self._showable)
        return Issue(
            problem.severity,
            problem.code,
            dotted(path),
            problem.message,
            self.shown,
            line,
            column,
            problem.hint,
            excerpt=excerpt,
        )

    def _showable(self, path: KeyPath) -> bool | None:
        if path == self.table[: len(path)]:
            return None
        if path[: len(self.table)] != self.table:
            return False  # what another tool keeps in this file
        own = path[len(self.table) :]
        value: Any = self.data
        for part in own:
            value = value[part]
        if isinstance(value, dict | list):
            return None
        return is_showable(own, value, self._names())

    def _names(self) -> list[str]:
        tables = (self.data.get(name) for name in ("services", "alerts", "accessories"))
        return [name for table in tables if isinstance(table, Mapping) for name in table]

    def _place(self, offset: int) -> tuple[int, int]:
        before = self.text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def parse(content: bytes, shown: str, table: KeyPath) -> Document:
    """Never raises: what is wrong with the text is an issue of a document without data."""
    try:
        text = spans.unix_lines(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        return _broken(shown, "is not UTF-8 text", "", (line, column))
    try:
        data: Any = tomllib.loads(text)
        index = spans.index(text)
    except tomllib.TOMLDecodeError as error:
        return _syntax_error(shown, text, str(error))
    except RecursionError:
        return _broken(shown, "is nested too deeply", text)
    for part in table:
        data = data.get(part, {})
    if not isinstance(data, dict):
        return _broken(shown, f"`{dotted(table)}` must be a table", text)
    return Document(shown, table, text, data, index)


def unreadable(shown: str, why: str) -> Document:
    return _broken(shown, f"cannot be read: {why}", "")


def _syntax_error(shown: str, text: str, message: str) -> Document:
    match = _POSITION.search(message)
    lines = text.split("\n")
    line, column = len(lines), len(lines[-1]) + 1
    if match and match[1]:
        line, column = int(match[1]), int(match[2])
    what = message[: match.start()] if match else message
    return _broken(shown, f"is not valid TOML: {_plain(what)}", text, (line, column), _syntax_hint(what))


def _plain(message: str) -> str:
    return message[:1].lower() + message[1:]


def _syntax_hint(message: str) -> str:
    if message == "Invalid value":
        return 'text goes in quotes: key = "value"; true and false are written in small letters'
    if message.startswith("Cannot overwrite a value"):
        return "this key is already set further up"
    if message.startswith("Cannot declare"):
        return "this table is already further up; put the keys together"
    if message.startswith("Expected '=' after a key"):
        return "a line is key = value, and a table's name stands in brackets: [app]"
    return ""


def _broken(
    shown: str, message: str, text: str, place: tuple[int, int] | None = None, hint: str = ""
) -> Document:
    line, column = place or (None, None)
    excerpt = syntax_excerpt(text, _offset(text, *place)) if text and place else NO_EXCERPT
    issue = Issue(ERROR, "syntax", "", message, shown, line, column, hint, excerpt=excerpt)
    return Document(shown, text=text, issues=(issue,))


def _offset(text: str, line: int, column: int) -> int:
    return len("\n".join(text.split("\n")[: line - 1])) + (line > 1) + column - 1
