"""What options say together and each for itself: contradictions are refused, durations become seconds."""

from __future__ import annotations

from oatie_ops.config.durations import parse_duration
from oatie_ops.errors import UsageError

DAY_SECONDS = 86400.0
# What is longer is meant for good.
MAX_DAYS = 366


def refuse(*contradictions: tuple[object, str, str]) -> None:
    """Each is a condition, what is wrong where it is true, and how to mend that.

    Raises the first that is true as a `UsageError`.
    """
    for refused, what, fix in contradictions:
        if refused:
            raise UsageError(what, fix=fix)


def seconds_of(option: str, text: str, *, least: float = 0.0, fix: str = "") -> float:
    """``least`` in seconds. Raises `UsageError`, with ``fix`` as its way out."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option} {error}", fix=fix) from error
    if seconds < least:
        raise UsageError(f"{option} is at least {least:g} s", why=f"it is {seconds:g} s", fix=fix)
    return seconds


def bounded_seconds_of(option: str, text: str, *, fix: str, endless: str) -> float:
    """For what ends by itself, after more than nothing and at most `MAX_DAYS`. Raises `UsageError`.

    ``fix`` is the way out of what is no duration, ``endless`` of one that is too short or too long.
    """
    seconds = seconds_of(option, text, fix=fix)
    if not 0 < seconds <= MAX_DAYS * DAY_SECONDS:
        raise UsageError(f"{option} needs a time above 0 and at most {MAX_DAYS} days", fix=endless)
    return seconds
