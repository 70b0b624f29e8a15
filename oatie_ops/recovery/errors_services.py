"""What is known about each service: its errors, its breaker, its health. Pure but for `breakers`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from oatie_ops.recovery.breaker import gate
from oatie_ops.recovery.breaker.config import CircuitBreakerConfig
from oatie_ops.recovery.breaker.state import State
from oatie_ops.recovery.errors_report import SEVERITIES, ErrorReport

UNHEALTHY = (State.OPEN, State.FORCED_OPEN)


def services(
    names: Iterable[str],
    groups: Iterable[ErrorReport],
    lately: Mapping[str, int],
    breakers: Mapping[str, Mapping[str, Any]],
    health: Mapping[str, str],
) -> dict[str, dict[str, Any]]:
    """By service. ``lately``: errors of the last hour or two; ``health``: the status of its check."""
    found: dict[str, list[ErrorReport]] = {name: [] for name in names}
    for group in groups:
        found.setdefault(group.service, []).append(group)
    for name in (*breakers, *health):
        found.setdefault(name, [])
    return {
        name: _service(found[name], lately.get(name, 0), breakers.get(name), health.get(name, "unknown"))
        for name in sorted(found)
    }


def _service(
    groups: list[ErrorReport], lately: int, breaker: Mapping[str, Any] | None, health: str
) -> dict[str, Any]:
    newest = max(groups, key=lambda group: group.last_at, default=None)
    tried = max((group for group in groups if group.recovery), key=lambda group: group.last_at, default=None)
    return {
        "status": status(health, breaker),
        "health": health,
        "breaker": None if breaker is None else dict(breaker),
        "errors": sum(group.count for group in groups),
        "errors_lately": lately,
        "groups": len(groups),
        "worst_severity": max((group.severity for group in groups), key=SEVERITIES.index, default=None),
        "last_error_at": None if newest is None else newest.last_at,
        "last_error": "" if newest is None else f"{newest.kind}: {newest.message}".rstrip(": "),
        "recovery": None if tried is None else tried.recovery,
        "outcome": None if tried is None else tried.outcome,
    }


def status(health: str, breaker: Mapping[str, Any] | None) -> str:
    """One word: what the check says, but never better than what the callers' breaker found out."""
    state = "closed" if breaker is None else breaker["state"]
    if health == "fail" or state in UNHEALTHY:
        return "unhealthy"
    if health == "warn" or state == State.HALF_OPEN:
        return "degraded"
    return "healthy" if health == "pass" or breaker is not None else "unknown"


def breakers(directory: Path, configs: Mapping[str, CircuitBreakerConfig]) -> dict[str, dict[str, Any]]:
    """The breakers of this host by service, from the files that the workers share; none of them is made."""
    from oatie_ops.recovery.breaker.shared import look

    found = {}
    now = time.monotonic()
    for path in sorted(directory.glob("*.breaker")) if directory.is_dir() else ():
        circuit = look(path)
        if circuit is None:
            continue
        name = service_of(path)
        config = configs.get(name, CircuitBreakerConfig())
        verdict = gate.admit(circuit, config, now)
        found[name] = {
            "state": gate.shown(circuit, config, now).value,
            "retry_after": verdict.retry_after if verdict.refused in UNHEALTHY else 0.0,
            "reopens": circuit.reopens,
            "successes": circuit.successes,
        }
    return found


def service_of(path: Path) -> str:
    from urllib.parse import unquote

    return unquote(path.name.removesuffix(".breaker"))
