"""``oatie help [COMMAND | TOPIC | guide [PAGE]]``, without the import of the parser where none is needed."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from oatie_ops.cli import table
from oatie_ops.errors import UsageError

PAGES = Path(__file__).parents[1] / "guide"


def answer(words: Sequence[str]) -> str | None:
    """The text for ``oatie help WORDS``; None where it is the help of a command, which takes the parser.

    Raises `UsageError` for a word that is neither a command nor a topic.
    """
    if not words:
        return table.main_help()
    if words[0] == "guide":
        return page(words[1]) if len(words) > 1 else _list_pages()
    if words[0] in table.TOPICS:
        return page(words[0])
    if words[0] in table.ENTRIES:
        return None
    near = get_close_matches(words[0], [*table.ENTRIES, *table.TOPICS], n=1)
    fix = f"did you mean `oatie help {near[0]}`?" if near else "`oatie help` lists commands and topics"
    raise UsageError(f"there is no command or topic {words[0]!r}", fix=fix)


def page(name: str) -> str:
    """One page as it is written. Raises `UsageError`."""
    known = pages()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"the guide has no page {name!r}", fix=f"{hint}there are: {', '.join(known)}")
    return known[name].read_text(encoding="utf-8").rstrip("\n")


def pages() -> dict[str, Path]:
    return {file.stem: file for file in sorted(PAGES.glob("*.md"))}


def _list_pages() -> str:
    rows = [(f"oatie help guide {name}", _title(file)) for name, file in pages().items()]
    width = max(len(line) for line, _ in rows)
    return "\n".join(f"{line:<{width}}  {title}" for line, title in rows)


def _title(file: Path) -> str:
    with file.open(encoding="utf-8") as lines:
        return next(lines, "").lstrip("# ").rstrip()
