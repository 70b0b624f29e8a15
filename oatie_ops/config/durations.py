"""Durations (seconds) and sizes (bytes) as people write them: ``"30s"``, ``"1h30m"``, ``"512MB"``."""

from __future__ import annotations

import math
import re

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}

DURATION_HELP = 'write a duration such as "500ms", "30s", "2m", "1h30m", or a number of seconds'
SIZE_HELP = 'write a size such as "512MB" (10^6 bytes), "512MiB" (2^20 bytes), or a number of bytes'

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([a-z]+)", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def parse_duration(value: object) -> float:
    """Seconds. Raises `ValueError` whose message never holds the value (it might be a secret)."""
    number = _plain_number(value)
    if number is not None:
        return number
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return float(text)
        if _DURATION.fullmatch(text):
            return math.fsum(float(n) * SECONDS[unit] for n, unit in _DURATION_PART.findall(text))
    raise ValueError(f"is not a duration: {DURATION_HELP}")


def parse_size(value: object) -> int:
    """Bytes. ``K``, ``M`` and ``G`` alone are refused: half of the tools read them as powers of 1000.

    Raises `ValueError` whose message never holds the value.
    """
    number = _plain_number(value)
    if number is not None and number.is_integer():
        return int(number)
    if isinstance(value, str):
        text = value.strip().lower()
        if text.isascii() and text.isdigit():
            return int(text)
        match = _SIZE.fullmatch(text.replace(" ", ""))
        if match and match[2] in BYTES:
            return round(float(match[1]) * BYTES[match[2]])
    raise ValueError(f"is not a size: {SIZE_HELP}")


def _plain_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def format_duration(seconds: float) -> str:
    """The shortest exact form that `parse_duration` reads back: 90 becomes ``1m30s``, 0.5 ``500ms``."""
    milliseconds = round(seconds * 1000)
    if milliseconds == 0:
        return "0s"
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def format_size(size_bytes: int) -> str:
    """The largest unit that divides it exactly: 536870912 becomes ``512MiB``."""
    for unit in ("TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "kB"):
        factor = BYTES[unit.lower()]
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return f"{size_bytes}B"
