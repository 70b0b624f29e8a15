"""Seconds to the nanoseconds of the Engine API, and the health check in its form. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NANOSECONDS = 1_000_000_000


def nanoseconds(seconds: float) -> int:
    return int(seconds * NANOSECONDS)


def healthcheck(declared: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """None leaves that of the image. ``StartInterval`` is left out: engines before 25 refuse it."""
    if declared is None:
        return None
    test = declared["test"]
    return {
        "Test": ["CMD-SHELL", test] if isinstance(test, str) else ["CMD", *test],
        "Interval": nanoseconds(declared["interval"]),
        "Timeout": nanoseconds(declared["timeout"]),
        "Retries": declared["retries"],
        "StartPeriod": nanoseconds(declared["start_period"]),
    }
