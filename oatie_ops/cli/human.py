"""Numbers as people read them, and plain tables that grep and cut can take apart."""

from __future__ import annotations

from collections.abc import Sequence

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


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns with two spaces between them; a missing value is a dash."""
    cells = [list(head), *([cell or "-" for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
