"""What the routes know. One object per supervisor, kept in the application's state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from oatie_ops.api.lockout import Lockout
from oatie_ops.api.operations import Operation, Operations
from oatie_ops.api.refusals import Refusal, Refusals
from oatie_ops.api.requests import Requests
from oatie_ops.api.sessions import Sessions
from oatie_ops.api.token_file import token_path
from oatie_ops.api.tokens import TokenFile
from oatie_ops.degradation.conductor import Conductor
from oatie_ops.health.meter import Meter
from oatie_ops.health.model import Clock, Snapshot, Status, system_clock
from oatie_ops.performance.measured import Measured
from oatie_ops.performance.optimizer import StartupOptimizer
from oatie_ops.performance.samples import samples_path
from oatie_ops.recovery.ladder_loop import Recovery
from oatie_ops.scaling.live import Desk
from oatie_ops.supervised import SupervisorView


@dataclass(frozen=True)
class Deed:
    """One line of the audit: who did what from where, with what result."""

    actor: str
    origin: str
    action: str
    subject: str
    result: str
    detail: str = ""


@dataclass
class OpsContext:
    """``snapshot`` gives the newest health; ``audit`` takes a line and must not block.

    ``beat`` takes the call of a service that has a heartbeat and is False for the others.
    ``windows_changed`` hears of each maintenance window that was begun or ended here; ``notifications``
    counts alerts by (channel, result), ``in_flight`` the checks that run now, ``events`` what was recorded.
    ``ledgers``: of each service, what its uptime is the sum of.
    """

    view: SupervisorView
    snapshot: Callable[[], Snapshot]
    audit: Callable[[Deed], None]
    clock: Clock = system_clock
    meter: Meter = field(default_factory=Meter)
    beat: Callable[[str, Status, str], bool] = lambda _service, _status, _output: False
    windows_changed: Callable[[], None] = lambda: None
    notifications: Callable[[], Mapping[tuple[str, str], int]] = dict
    in_flight: Callable[[], int] = lambda: 0
    events: Callable[[], Mapping[str, int]] = dict
    recovery: Recovery | None = None
    requests: Requests = field(default_factory=Requests)
    switches: Conductor | None = None
    measured: Callable[[], Measured | None] = lambda: None
    scaling: Desk = field(default_factory=Desk)
    ledgers: Callable[[], Mapping[str, Any]] = dict
    reading: asyncio.Future[Any] | None = None
    operations: Operations = field(init=False)
    tokens: TokenFile = field(init=False)
    sessions: Sessions = field(init=False)
    lockout: Lockout = field(init=False)
    refusals: Refusals = field(init=False)
    profiles: StartupOptimizer = field(init=False)

    def __post_init__(self) -> None:
        def seconds() -> float:
            return self.clock().monotonic_seconds

        self.operations = Operations(self._ended)
        store = samples_path(self.view.paths.home)
        self.profiles = StartupOptimizer(store=store, own_process=False)
        self.tokens = TokenFile(token_path(self.view.settings, self.view.paths))
        self.sessions = Sessions(seconds)
        self.lockout = Lockout(seconds)
        self.refusals = Refusals(seconds, self._refused)

    def refused_early(self, address: str, status: int, why: str) -> None:
        """By the listener, before there was a request to speak of."""
        self.refusals.add(Refusal(address, "unknown", "a request", status, why))

    def _refused(self, refusal: Refusal, silent: int) -> None:
        more = f" (and {silent} more like it before)" if silent else ""
        self.audit(
            Deed(
                refusal.actor,
                refusal.address,
                "request",
                refusal.action,
                f"refused {refusal.status}",
                f"{refusal.why}{more}",
            )
        )

    @property
    def tells_everybody(self) -> bool:
        return self.view.settings.ops.public_details

    def _ended(self, operation: Operation) -> None:
        why = str((operation.error or {}).get("what", ""))
        self.audit(
            Deed(
                operation.actor,
                f"operation {operation.id}",
                operation.kind,
                operation.service,
                operation.state,
                why,
            )
        )


def context_of(request: Request) -> OpsContext:
    context: OpsContext = request.app.state.context
    return context
