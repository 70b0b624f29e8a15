"""Where each key and value of a TOML document stands: key path to line and column.

Lexical only: `tomllib` stays the parser of record, and the text must be one that it accepts. The index
follows the same nesting, so the set of paths equals that of the parsed document (a property test holds
it to that). Lines and columns count from 1, columns in characters.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from oatie_ops.records import dataclass

# Keys are strings, elements of arrays are numbers.
KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


@dataclass(frozen=True)
class Span:
    """A key (or, for an element of an array, the element itself) and its value."""

    line: int
    column: int
    length: int
    start: int  # offsets count from 0, in the text with "\n" line ends
    value_start: int
    value_end: int


def index(text: str) -> dict[KeyPath, Span]:
    """All key paths of a valid TOML document. Without a meaning for text that `tomllib` refuses."""
    return _Scanner(unix_lines(text)).run()


def unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def paths(value: Any, prefix: KeyPath = ()) -> Iterator[KeyPath]:
    """Every path in parsed TOML, tables and elements of arrays included."""
    items: Any = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, child in items:
        yield (*prefix, key)
        yield from paths(child, (*prefix, key))


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.spans: dict[KeyPath, Span] = {}
        self.table_arrays: dict[KeyPath, int] = {}  # path of an array of tables -> its last index

    def run(self) -> dict[KeyPath, Span]:
        table: KeyPath = ()
        self._skip()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip()
        return self.spans

    def _skip(self) -> None:
        match = _BLANK.match(self.text, self.at)
        assert match is not None
        self.at = match.end()

    def _header(self) -> KeyPath:
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        keys = self._keys()
        self.at += 2 if is_array else 1
        path: KeyPath = ()
        for position, (key, start, end) in enumerate(keys):
            path = (*path, key)
            self._add(path, start, end, start, end)
            if is_array and position == len(keys) - 1:
                self.table_arrays[path] = self.table_arrays.get(path, -1) + 1
            if path in self.table_arrays:
                path = (*path, self.table_arrays[path])
                self._add(path, start, end, start, end)
        return path

    def _pair(self, table: KeyPath) -> None:
        keys = self._keys()
        self.at += 1  # the equals sign
        self._skip()
        first = self.at
        path = (*table, *(key for key, _, _ in keys))
        end = self._value(path)
        for depth, (_, start, stop) in enumerate(keys, start=len(table) + 1):
            self._add(path[:depth], start, stop, first, end)

    def _keys(self) -> list[tuple[str, int, int]]:
        """A dotted key: each part with where it starts and ends."""
        keys = []
        while True:
            self._skip()
            match = _STRING.match(self.text, self.at) or _BARE_KEY.match(self.text, self.at)
            if match is None:
                raise ValueError("not a TOML document")
            raw = match[0]
            keys.append((_unquoted(raw), self.at, match.end()))
            self.at = match.end()
            self._skip()
            if self.text[self.at] != ".":
                return keys
            self.at += 1

    def _value(self, path: KeyPath) -> int:
        """Reads over one value and returns where it ends; the positions inside are noted."""
        opening = self.text[self.at]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            match = _STRING.match(self.text, self.at) or _SCALAR.match(self.text, self.at)
            if match is None:
                raise ValueError("not a TOML document")
            self.at += len(match[0].rstrip(" \t"))
        return self.at

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        number = 0
        self._skip()
        while self.text[self.at] != "]":
            start = self.at
            end = self._value((*path, number))
            self._add((*path, number), start, end, start, end)
            number += 1
            self._separator()
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        self._skip()
        while self.text[self.at] != "}":
            self._pair(path)
            self._separator()
        self.at += 1

    def _separator(self) -> None:
        self._skip()
        if self.text[self.at] == ",":
            self.at += 1
            self._skip()

    def _add(self, path: KeyPath, start: int, end: int, value_start: int, value_end: int) -> None:
        if path in self.spans:  # a table that is opened again stays where it was first named
            return
        line, column = self._place(start)
        self.spans[path] = Span(line, column, end - start, start, value_start, value_end)

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect.bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1


def _unquoted(raw: str) -> str:
    if raw[0] == '"' and "\\" in raw:
        import tomllib

        return str(tomllib.loads(f"key = {raw}")["key"])
    return raw[1:-1] if raw[0] in "\"'" else raw
