"""Failures that are being acted upon: opened with the first try, closed with an outcome, told as they go."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from oatie_ops.health.model import Clock, Snapshot, Status
from oatie_ops.recovery.ladder import Kind, Ladder, Rung
from oatie_ops.recovery.ladder_climber import Climber, Emit, Tried
from oatie_ops.recovery.ladder_degraded import Degraded
from oatie_ops.recovery.ladder_meter import RecoveryMeter

# Errors that came so shortly before a service was found failing belong to this failure.
BLAME_SECONDS = 60.0

log = logging.getLogger(__name__)


class Incidents:
    """``acting`` is the service that a rung is being tried on; empty between tries."""

    def __init__(self, ladders: dict[str, Ladder], climber: Climber, clock: Clock) -> None:
        self._climber, self._clock = climber, clock
        self._journal = climber.journal
        self._open: dict[str, tuple[int | None, float | None]] = {}  # number, failed at
        self.degraded = Degraded(climber.tools.degrade, climber.tools.restore)
        self.meter = RecoveryMeter(ladders)
        self.acting = ""

    async def begin(self, name: str, trigger: str, actor: str, reason: str) -> None:
        """Goes on with the one that is open."""
        if name not in self._open:
            failed_at = _failing_since(self._climber.snapshot, name)
            number = await self._journal.begin(name, trigger, actor, reason, failed_at)
            self._open[name] = (number, failed_at)

    async def end(self, name: str, outcome: str, text: str, *, quiet: bool = False) -> None:
        """What was degraded because of it is given back where it is well."""
        number, failed_at = self._open.pop(name, (None, None))
        await self._journal.end(number, outcome, text)
        self.meter.over(name, outcome, None if failed_at is None else self._clock().epoch_seconds - failed_at)
        if outcome in ("proven", "by_itself"):
            await self.degraded.give_back(name)
        if not quiet:
            await self.event(name, text, outcome=outcome)

    async def attempt(self, name: str, rung: Rung, attempt: int, actor: str, emit: Emit) -> Tried:
        self.acting = name
        number, failed_at = self._open.get(name, (None, None))
        try:
            tried = await self._climber.attempt(number, name, rung, attempt, actor=actor, emit=emit)
        finally:
            self.acting = ""
        if rung.kind is Kind.DEGRADE and tried.ok:
            self.degraded.add(name, [rung.target])
        self.meter.tried(name, rung, proven=tried.proof.proven)
        await self._tell(name, tried)
        if failed_at is not None:
            outcome = "recovered" if tried.proof.proven else "failed"
            await self._journal.tried(name, rung.name, outcome, failed_at - BLAME_SECONDS)
        return tried

    def close(self) -> None:
        """This process ends in an orderly way; what is open is cut off."""
        if any(number is not None for number, _ in self._open.values()):
            self._journal.close()

    async def event(self, subject: str, text: str, **data: Any) -> None:
        log.info("%s", text)
        await self._journal.event(subject, text, data)

    async def _tell(self, name: str, tried: Tried) -> None:
        rung, result = tried.rung, "proven" if tried.proof.proven else "refuted"
        how = tried.output if tried.ok else f"failed: {tried.output}"
        what = f"{name}: rung {rung.number} ({rung.name}), try {tried.attempt} of {rung.max}"
        await self.event(
            name,
            f"{what}: {how}; {result}: {tried.proof.output}",
            rung=rung.number,
            name=rung.name,
            attempt=tried.attempt,
            ok=tried.ok,
            result=result,
            seconds=round(tried.seconds, 2),
        )


def _failing_since(snapshot: Callable[[], Snapshot], name: str) -> float | None:
    """Epoch seconds; None where it does not fail."""
    state = snapshot().services.get(name)
    if state is not None and state.status is Status.FAIL and state.cause is not None:
        return state.cause.state.since.epoch_seconds
    return None
