"""Text of somebody else on one line of a log, an audit or a terminal. Pure."""

from __future__ import annotations


def printable(text: str, limit: int | None = None) -> str:
    """Control characters, line breaks and what turns a line around become spaces; ``limit``: characters."""
    text = text[:limit]
    if text.isprintable():  # as nearly all are
        return text
    return "".join(character if character.isprintable() else " " for character in text)
