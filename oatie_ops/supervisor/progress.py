"""Events of what takes long, as a reload or a resize tells them on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Emit = Callable[[dict[str, Any]], None]


def silent(_event: dict[str, Any]) -> None:
    """Where nobody listens."""


def step(name: str, message: str, **facts: Any) -> dict[str, Any]:
    """``message`` is for people, ``facts`` for programs."""
    return {"event": "step", "name": name, "message": message, **facts}
