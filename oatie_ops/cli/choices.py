"""Values of options that are checked here, so that a wrong one is answered with the nearest right one."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from oatie_ops.errors import UsageError


def require_one_of(what: str, value: str, known: Sequence[str]) -> None:
    """Raises `UsageError` with a did-you-mean."""
    if value in known:
        return
    near = get_close_matches(value, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"{what}: there is no {value!r}", fix=f"{hint}there are: {', '.join(known)}")
