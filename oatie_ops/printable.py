"""Text of somebody else on one line of a log, an audit or a terminal. Pure."""

from __future__ import annotations


def printable(text: str, limit: int | None = None) -> str:
    """Control characters, line breaks and what turns a line around become spaces; ``limit``: characters."""
    return "".join(character if character.isprintable() else " " for character in text[:limit])
