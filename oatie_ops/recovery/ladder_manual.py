"""A ladder that somebody wants climbed: from one rung up, each as often as it may, until one is proven."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from oatie_ops.recovery.ladder import Rung
from oatie_ops.recovery.ladder_climber import Tried

Attempt = Callable[[Rung, int], Awaitable[Tried]]


async def climb(service: str, rungs: Iterable[Rung], attempt: Attempt) -> dict[str, Any]:
    """The ``result`` event: ``status`` proven or failed, the rung that did it, every try."""
    began = time.monotonic()
    tries: list[Tried] = []
    for rung in rungs:
        for number in range(1, rung.max + 1):
            tried = await attempt(rung, number)
            tries.append(tried)
            if tried.proof.proven:
                return _result(service, tries, time.monotonic() - began)
            if tried.refused:
                break  # it would be refused again
    return _result(service, tries, time.monotonic() - began)


def _result(service: str, tries: list[Tried], seconds: float) -> dict[str, Any]:
    last = tries[-1]
    found: dict[str, Any] = {
        "event": "result",
        "status": "proven" if last.proof.proven else "failed",
        "service": service,
        "rung": last.rung.number if last.proof.proven else None,
        "proof": last.proof.output,
        "seconds": round(seconds, 2),
        "tries": [
            {
                "rung": tried.rung.number,
                "name": tried.rung.name,
                "attempt": tried.attempt,
                "ok": tried.ok,
                "output": tried.output,
                "proven": tried.proof.proven,
                "proof": tried.proof.output,
                "seconds": round(tried.seconds, 2),
            }
            for tried in tries
        ],
    }
    if not last.proof.proven:
        found["error"] = {
            "code": "not-recovered",
            "what": f"{service} was not recovered",
            "why": f"after {last.rung.name}: {last.proof.output}",
            "fix": f"`oatie health {service}` and `oatie recover --history {service}` tell more",
            "details": [],
            "exit_code": 1,
        }
    return found
