"""A page of the guide on a terminal: its paragraphs and tables fitted to the screen, the rest as written.

In a pipe the page stays the Markdown that it is. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from oatie_ops.cli.folding import LEAST_COLUMNS, fold, wrapped
from oatie_ops.cli.human import table

FENCE = "```"
ITEM = re.compile(r"\s*(?:[-*]|\d+\.)\s+")
# Prose is not read well in longer lines, however wide the screen is.
MOST_COLUMNS = 110


def fitted(page: str, columns: int) -> str:
    if columns < LEAST_COLUMNS:
        return page
    width = min(columns, MOST_COLUMNS)
    return "\n".join(line for kind, lines in _blocks(page.split("\n")) for line in _fit(kind, lines, width))


def _blocks(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Lines that belong together: ``code``, ``table``, ``prose`` (a paragraph or an item), ``rest``."""
    kinds: list[tuple[str, int]] = []
    in_fence, paragraph = False, 0
    for line in lines:
        fence = line.lstrip().startswith(FENCE)
        kind = "code" if in_fence or fence else _kind(line, kinds[-1][0] if kinds else "rest")
        in_fence ^= fence
        # Each item and each paragraph is one of its own.
        paragraph += kind == "prose" and (
            ITEM.match(line) is not None or kinds[-1:] != [("prose", paragraph)]
        )
        kinds.append((kind, paragraph if kind == "prose" else 0))
    for (kind, _), group in groupby(zip(kinds, lines, strict=True), key=lambda pair: pair[0]):
        yield kind, [line for _, line in group]


def _kind(line: str, before: str) -> str:
    if line.startswith("|"):
        return "table"
    if not line.strip() or line.startswith(("#", "!", "<")):
        return "rest"
    if line.startswith("    ") and before != "prose":
        return "code"
    return "prose"


def _fit(kind: str, lines: list[str], columns: int) -> list[str]:
    if kind == "prose":
        mark = ITEM.match(lines[0])
        indent = " " * (mark.end() if mark else 0)
        first = mark.group() if mark else ""
        words = " ".join([lines[0].removeprefix(first), *lines[1:]]).split()
        return list(wrapped(words, columns, first, indent))
    if kind == "table":
        head, *rows = [_cells(line) for line in lines if not set(line) <= set("|-: ")]
        drawn = table(head, [row + [""] * (len(head) - len(row)) for row in rows], columns)
        if len(drawn) > 1 and drawn[0].split() == " ".join(head).split():
            drawn.insert(1, "-" * min(columns, max(map(len, drawn))))
        return [fold(line, columns) for line in drawn]
    return lines


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
