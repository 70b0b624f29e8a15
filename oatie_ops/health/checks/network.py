"""``{ type = "network", interface = "eth0", warn = 1, fail = 5 }``: packets lost, in percent.

Without ``interface``: the worst of those that are up. A named one that is down fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.rates import Sampler
from oatie_ops.health.thresholds import Thresholds, declared

HOST = Thresholds(warn_enter=1, warn_leave=0.5, fail_enter=10, fail_leave=5)
LEAVE_BELOW = 0.25
# One lost packet of three is no rate.
MIN_PACKETS = 100


@dataclass(frozen=True)
class Seen:
    """``counters`` and whether it is up, by interface."""

    counters: Mapping[str, Any]
    up: Mapping[str, bool]


@dataclass(frozen=True)
class NetworkCheck:
    interface: str
    sampler: Sampler[Seen]
    limits: Thresholds

    async def run(self, attempt: Attempt) -> Result:
        before, after, seconds = await self.sampler.pair()
        found = measure(self.interface, before, after, seconds)
        if isinstance(found, Result):
            return found
        name, percent, traffic = found
        output = f"{name}: {percent:.1f} % lost, {traffic}"
        return Result(self.limits.status(attempt.previous, percent), output, round(percent, 2), "percent")


def measure(interface: str, before: Seen, after: Seen, seconds: float) -> Result | tuple[str, float, str]:
    """The interface that loses most, how much (percent), and its traffic; or why there is none."""
    if interface and interface not in after.counters:
        return Result(Status.FAIL, f"there is no interface {interface}")
    if interface and not after.up.get(interface, False):
        return Result(Status.FAIL, f"{interface} is down")
    names = [interface] if interface else [name for name, up in after.up.items() if up]
    known = [name for name in names if name in before.counters and name in after.counters]
    if not known or seconds <= 0:
        return Result(Status.UNKNOWN, "no interface is up")
    losses = {name: _lost(before.counters[name], after.counters[name]) for name in known}
    name = max(losses, key=lambda key: losses[key])
    received = (after.counters[name].bytes_recv - before.counters[name].bytes_recv) / seconds / 1e6
    sent = (after.counters[name].bytes_sent - before.counters[name].bytes_sent) / seconds / 1e6
    return name, losses[name], f"{received:.2f} MB/s in, {sent:.2f} MB/s out"


def _lost(before: Any, after: Any) -> float:
    def grown(*names: str) -> int:
        return sum(max(0, getattr(after, name) - getattr(before, name)) for name in names)

    lost = grown("errin", "errout", "dropin", "dropout")
    packets = grown("packets_recv", "packets_sent") + lost
    return 100.0 * lost / packets if packets >= MIN_PACKETS else 0.0


def build(spec: CheckSpec, tools: Tools) -> Check:
    import psutil

    def read() -> Seen:
        stats = psutil.net_if_stats()
        return Seen(
            psutil.net_io_counters(pernic=True), {name: bool(stat.isup) for name, stat in stats.items()}
        )

    limits = declared(spec, HOST, LEAVE_BELOW)
    return NetworkCheck(str(spec.options.get("interface") or ""), Sampler(read), limits)
