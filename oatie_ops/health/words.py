"""How a status is shown to people: always a word and a shape, colour only on top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SYMBOLS: Mapping[str, str] = {"pass": "✓", "warn": "!", "fail": "✗", "unknown": "?"}
# Where the terminal's encoding has no such shapes.
PLAIN_SYMBOLS: Mapping[str, str] = {"pass": "+", "warn": "!", "fail": "x", "unknown": "?"}
WORDS: Mapping[str, str] = {"pass": "healthy", "warn": "degraded", "fail": "failing", "unknown": "unknown"}
# The order of `Status.severity`, for commands that must not import its module to be quick.
SEVERITY: Mapping[str, int] = {"pass": 0, "unknown": 1, "warn": 2, "fail": 3}


def verdict(status: str, services: Mapping[str, Mapping[str, Any]]) -> str:
    """The word of the whole. Where everything is under maintenance, what fails is expected."""
    excused = bool(services) and all(service["maintenance"] for service in services.values())
    return "in maintenance" if excused and status != "pass" else WORDS[status]
