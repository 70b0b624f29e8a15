"""Health with the switches laid over it: what is degraded is no better than ``warn``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from oatie_ops.degradation.decision import Decision, Now
from oatie_ops.health.model import ServiceState, Snapshot
from oatie_ops.health.standing import Degradation


def overlaid(snapshot: Snapshot, counting: Mapping[str, Decision], now: Now) -> Snapshot:
    """``counting``: by service, the decision that counts. The snapshot itself where nothing is degraded."""
    raised = {name: decision for name, decision in counting.items() if decision.level}
    if not raised:
        return snapshot
    services = dict(snapshot.services)
    for name, decision in raised.items():
        state = services.get(name, ServiceState(name))
        services[name] = replace(state, degraded=_degradation(decision, now))
    return replace(snapshot, services=MappingProxyType(services))


def _degradation(decision: Decision, now: Now) -> Degradation:
    return Degradation(
        decision.level,
        decision.owner,
        decision.reason,
        decision.actor,
        decision.started_at,
        decision.left_seconds(now),
    )
