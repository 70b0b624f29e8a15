"""Numbers as people read them, and plain tables that grep and cut can take apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

GAP = "  "
UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def age(seconds: float) -> str:
    """The two largest units: 7384 becomes ``2h3m``, 59.9 ``59s``."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in UNITS:
        count, left = divmod(left, size)
        if parts:
            return parts[0] + (f"{count}{unit}" if count else "")
        if count:
            parts.append(f"{count}{unit}")
    return parts[0] if parts else "0s"


def size(size_bytes: int) -> str:
    """Rounded to whole MiB, below one to KiB."""
    mebibytes = size_bytes / 2**20
    return f"{mebibytes:.0f} MiB" if mebibytes >= 1 else f"{size_bytes / 2**10:.0f} KiB"


def count(number: int) -> str:
    """At most five digits: 99999, then ``123k``, ``99999k``, ``123M``; ``--json`` has the exact number."""
    for unit, one in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= 100 * one:
            return f"{number // one}{unit}"
    return str(number)


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    columns: int | None = None,
    *,
    short_first: bool = False,
) -> list[str]:
    """Aligned columns with two spaces between them; a missing value is a dash.

    ``columns``: of the terminal that it has to fit into, where cells become several lines; None for no limit.
    ``short_first``: what the first column holds is not broken.
    """
    cells = [list(head), *([cell or "-" for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    room = None if columns is None else columns - len(GAP) * (len(widths) - 1)
    if room is None or sum(widths) <= room:
        return [_row(row, widths) for row in cells]
    from oatie_ops.cli.folding import narrowed, wrapped

    least = [max(len(word) for row in cells for word in row[at].split(" ")) for at in range(len(widths))]
    if short_first:
        least[0] = widths[0]
    if sum(least) > room:
        return [line for row in cells[1:] for line in _stacked(cells[0], row)]
    widths = narrowed(widths, least, room)
    lines = []
    for row in cells:
        parts = [list(wrapped(cell.split(" "), width)) for cell, width in zip(row, widths, strict=True)]
        lines += [_row(line, widths) for line in zip_longest(*parts, fillvalue="")]
    return lines


def _stacked(head: Sequence[str], row: Sequence[str]) -> list[str]:
    """A row where columns have no room: what it begins with, and a named line for each of its other cells."""
    begin = 2 if len(row) > 2 else 1
    width = max(map(len, head))
    rest = zip(head[begin:], row[begin:], strict=True)
    return [GAP.join(row[:begin]), *(f"  {name.lower():<{width}}  {cell}" for name, cell in rest)]


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
