"""Writes files that a person will edit: complete or not at all, and never over one that is there unasked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from oatie_ops.errors import OatieError, PrerequisiteMissing


class AlreadyThere(OatieError):
    """A file is there, which is not overwritten without being asked."""


def write_new(directory: Path, files: Sequence[tuple[str, str]], *, force: bool) -> list[Path]:
    """``files``: (name below ``directory``, text). Raises `AlreadyThere`, `PrerequisiteMissing`."""
    places = [directory / name for name, _ in files]
    there = [place for place in places if os.path.lexists(place)]
    if there and not force:
        names = ", ".join(str(place.relative_to(directory)) for place in there)
        raise AlreadyThere(f"{names} is there already", fix="--force replaces it")
    for place, (_, text) in zip(places, files, strict=True):
        write_whole(place, text)
    return places


def write_whole(place: Path, text: str) -> None:
    """Complete or not at all, also over a file that is there. Raises `PrerequisiteMissing`."""
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(place)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise PrerequisiteMissing(
            f"cannot write {place.name}", why=error.strerror or str(error), fix="make this directory writable"
        ) from error
