"""Carries out one try of one rung: writes it down, acts, lets it settle, proves. Decides nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oatie_ops.health.model import Snapshot, Status
from oatie_ops.health.runner import clean
from oatie_ops.recovery.ladder import Rung
from oatie_ops.recovery.ladder_journal import Journal
from oatie_ops.recovery.ladder_proof import Look, Proof, prove, provers
from oatie_ops.recovery.rungs import build
from oatie_ops.recovery.rungs.base import ActionFailed, Occasion, Refused, Tools
from oatie_ops.redaction import redact

# A check that has just begun for its own schedule is waited for before the fresh one.
LOOK_SLACK_SECONDS = 30.0

Emit = Callable[[dict[str, Any]], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tried:
    """``ok``: the action itself said so. ``refused``: it could not even be begun."""

    rung: Rung
    attempt: int
    ok: bool
    refused: bool
    output: str
    proof: Proof
    seconds: float


@dataclass(frozen=True)
class Climber:
    """``snapshot`` is the newest health; ``look`` brings fresh results of one service's checks."""

    tools: Tools
    journal: Journal
    snapshot: Callable[[], Snapshot]
    look: Look

    async def attempt(
        self, recovery: int | None, service: str, rung: Rung, attempt: int, *, actor: str, emit: Emit
    ) -> Tried:
        began = time.monotonic()
        status, before = self._standing(service)
        number = await self.journal.begin_try(
            recovery, service, rung=rung.number, name=rung.name, attempt=attempt, before=before
        )
        facts = {"service": service, "rung": rung.number, "name": rung.name, "attempt": attempt}
        emit({"event": "acting", **facts, "max": rung.max, "before": before})
        occasion = Occasion(service, status, before, rung.number, attempt, actor)
        ok, refused, output = await self._act(rung, occasion)
        await self.journal.acted(number, ok=ok, output=output)
        settle = rung.settle_seconds if rung.repairs and not refused else 0.0
        emit({"event": "acted", **facts, "ok": ok, "output": output, "settle_seconds": settle})
        proof = await self._prove(rung, settle, patient=rung.repairs and not refused)
        await self.journal.end_try(number, proven=proof.proven, proof=proof.output)
        seconds = time.monotonic() - began
        state = "proven" if proof.proven else "refuted"
        emit(
            {
                "event": state,
                **facts,
                "verify": rung.verify,
                "proof": proof.output,
                "seconds": round(seconds, 2),
            }
        )
        return Tried(rung, attempt, ok, refused, output, proof, seconds)

    async def _act(self, rung: Rung, occasion: Occasion) -> tuple[bool, bool, str]:
        """Never raises, but for a cancellation from outside: what went wrong is for the proof to judge."""
        try:
            async with asyncio.timeout(rung.timeout_seconds):
                said = await build(rung, self.tools).run(occasion)
            return True, False, clean(redact(said))
        except TimeoutError:
            return False, False, f"it was not done after {rung.timeout_seconds:g} s and was ended"
        except (ActionFailed, OSError) as error:
            text = str(error) if isinstance(error, ActionFailed) else error.strerror or str(error)
            return False, isinstance(error, Refused), clean(redact(text))
        except Exception as error:
            log.exception("rung %d of %s crashed", rung.number, occasion.service)
            return False, True, f"the action itself crashed: {type(error).__name__}"

    async def _prove(self, rung: Rung, settle_seconds: float, *, patient: bool) -> Proof:
        snapshot = self.snapshot()
        names = provers(rung.verify, snapshot)
        timeouts = [e.spec.timeout_seconds for name in names for e in snapshot.services[name].checks]
        return await prove(
            names,
            self.look,
            settle_seconds=settle_seconds,
            look_seconds=sum(timeouts) + LOOK_SLACK_SECONDS,
            patient=patient,
        )

    def _standing(self, service: str) -> tuple[str, str]:
        state = self.snapshot().services.get(service)
        if state is None:
            return str(Status.UNKNOWN), "it is not checked"
        return str(state.status), state.output
