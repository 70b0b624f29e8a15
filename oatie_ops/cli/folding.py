"""Long lines on a terminal, broken between words and aligned, instead of wherever the screen ends. Pure.

Only for a terminal: in a pipe a line stays a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
# What comes last in a line stands in a column of its own: after two spaces or more, or after a list's mark.
LAST_COLUMN = re.compile(r" {2,}(?=\S)")
MARK = re.compile(r"\s*(?:[-*•✓✗]|\d+\.)\s+|\s*")
LEAST_COLUMNS = 40


def visible(text: str) -> int:
    """How many cells it takes, without its colours."""
    return len(ESCAPE.sub("", text))


def fold(text: str, columns: int) -> str:
    """Each line that is wider than ``columns`` goes on below its last column, or below its own indentation.

    A word that does not fit (an address, a path) is not broken: it can still be copied whole.
    """
    if columns < LEAST_COLUMNS:
        return text
    return "\n".join(part for line in text.split("\n") for part in _folded(line, columns))


def _folded(line: str, columns: int) -> Iterator[str]:
    if visible(line) <= columns:
        yield line
        return
    indent = hanging(line, columns)
    start = _at(line, indent)
    yield from wrapped(line[start:].split(" "), columns, line[:start], " " * indent)


def hanging(line: str, columns: int) -> int:
    """Where the lines below go on, in cells: never in the right half of the screen."""
    plain = ESCAPE.sub("", line)
    mark = MARK.match(plain)
    least = mark.end() if mark else 0
    ends = [found.end() for found in LAST_COLUMN.finditer(plain) if found.end() <= columns // 2]
    return max([least, *ends]) if max([least, *ends]) <= columns // 2 else 0


def wrapped(words: Iterable[str], columns: int, first: str = "", rest: str = "") -> Iterator[str]:
    """Lines of whole words; ``first`` opens the first line, ``rest`` the others."""
    line, empty = first, True
    for word in words:
        if not empty and visible(line) + 1 + visible(word) > columns:
            yield line.rstrip()
            line, empty = rest, True
        line = f"{line}{word}" if empty else f"{line} {word}"
        empty = False
    yield line.rstrip()


def narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Column widths that fit into ``room``: the widest give way first, down to their longest word."""
    found = list(widths)
    while sum(found) > room:
        able = [column for column, width in enumerate(found) if width > least[column]]
        if not able:
            break
        found[max(able, key=lambda column: found[column])] -= 1
    return found


def _at(line: str, cells: int) -> int:
    """The index in ``line`` behind so many visible cells."""
    index, left = 0, cells
    while left > 0:
        escape = ESCAPE.match(line, index)
        if escape:
            index = escape.end()
            continue
        index, left = index + 1, left - 1
    return index
