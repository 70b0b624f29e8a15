"""Where one service stands on its ladder. Pure: what is seen and what was proven goes in, the next state
comes out.

A try that was proven does not climb: what fails next begins with the rung that helped. But the budget (which
rung, how many tries of it, how many repairs) is kept over repairs that do not hold, so a service that falls
over again and again is not restarted for ever; it is whole again after `RESET_SECONDS` of health. Times are
seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from oatie_ops.config import defaults
from oatie_ops.health.model import Status
from oatie_ops.recovery.ladder import Ladder

BACKOFF_SECONDS = defaults.RECOVERY_BACKOFF_SECONDS
BACKOFF_MAX_SECONDS = defaults.RECOVERY_BACKOFF_MAX_SECONDS
RESET_SECONDS = defaults.RECOVERY_RESET_SECONDS
GIVE_UP_RETRY_SECONDS = defaults.RECOVERY_GIVE_UP_RETRY_SECONDS
# The service that explains others has so much time to be found failing itself.
GROUP_SECONDS = 2.0
# A service that flaps is believed to be down when it has failed for so long on end.
FLAPPING_SECONDS = 60.0
# When the tries of a rung were proven so often over and did not hold, a further repair climbs, too.
ROUNDS = 3


class Phase(StrEnum):
    WELL = "well"
    FAILING = "failing"
    GAVE_UP = "gave_up"


@dataclass(frozen=True)
class Seen:
    """One service now. ``consequence_of``: the failed service that explains this one.

    ``patience_seconds``: how long its own checks may need to notice that it is back. ``doubtful``: its latest
    result was a failure, but not yet often enough to call it failed.
    """

    status: Status
    output: str = ""
    maintenance: bool = False
    consequence_of: str = ""
    flapping: bool = False
    patience_seconds: float = GROUP_SECONDS
    doubtful: bool = False

    @property
    def well(self) -> bool:
        return self.status in (Status.PASS, Status.WARN)

    @property
    def held(self) -> str:
        """Why no repair of it is due although it fails; empty where one is."""
        if self.maintenance:
            return "under maintenance"
        return f"follows from {self.consequence_of}" if self.consequence_of else ""


@dataclass(frozen=True)
class Progress:
    """``rung`` is the index of the next rung and ``used`` its tries so far; ``attempts`` counts all since the
    budget was whole, ``tried`` those of this failure, ``repairs`` those that were proven since then.
    ``spent``: they have used up the ladder; the next failure is given up at once. ``due_at``: no try before.
    """

    phase: Phase = Phase.WELL
    rung: int = 0
    used: int = 0
    attempts: int = 0
    tried: int = 0
    repairs: int = 0
    spent: bool = False
    due_at: float = 0.0
    failing_since: float | None = None
    well_since: float | None = None
    was_held: bool = False

    @property
    def has_budget_used(self) -> bool:
        return bool(self.attempts)


def observe(progress: Progress, seen: Seen, now: float) -> Progress:
    """The state after a look at the service, without any try."""
    if seen.well:
        return _well(progress, now)
    if seen.status is Status.UNKNOWN:
        return replace(progress, well_since=None)
    if seen.held:
        return replace(progress, failing_since=None, well_since=None, was_held=True)
    since = now if progress.failing_since is None else progress.failing_since
    if progress.phase is Phase.WELL:
        phase = Phase.GAVE_UP if progress.spent else Phase.FAILING
        return replace(progress, phase=phase, failing_since=since, well_since=None, tried=0)
    return replace(progress, failing_since=since, well_since=None)


def _well(progress: Progress, now: float) -> Progress:
    since = now if progress.well_since is None else progress.well_since
    if progress.has_budget_used and now - since >= RESET_SECONDS:
        return Progress(well_since=since)
    return replace(progress, phase=Phase.WELL, tried=0, failing_since=None, well_since=since, was_held=False)


def ready_at(progress: Progress, seen: Seen) -> float | None:
    """When the next try of a failing service is due; None while none is."""
    if seen.status is not Status.FAIL or seen.held or progress.failing_since is None:
        return None
    patience = GROUP_SECONDS
    if progress.was_held:
        patience = max(patience, seen.patience_seconds)
    if seen.flapping:
        patience = max(patience, FLAPPING_SECONDS)
    return max(progress.due_at, progress.failing_since + patience)


def begin(ladder: Ladder, progress: Progress) -> Progress:
    """Right before a try: it counts from here on, even if nobody lives to see its end."""
    last = progress.used + 1 >= ladder.rungs[progress.rung].max
    return replace(
        progress,
        phase=progress.phase if progress.phase is Phase.GAVE_UP else Phase.FAILING,
        rung=progress.rung + 1 if last else progress.rung,
        used=0 if last else progress.used + 1,
        attempts=progress.attempts + 1,
        tried=progress.tried + 1,
    )


def end(ladder: Ladder, progress: Progress, *, proven: bool, now: float, chance: float) -> Progress:
    """After a try that `begin` counted. ``chance``: a random number from 0 to 1 that the caller draws."""
    if proven:
        progress = _after_repair(ladder, progress)
    over = progress.rung >= len(ladder.rungs)
    wait = backoff_seconds(progress.attempts, chance)
    if over:
        # Nothing is left: from the bottom again, slowly, for as long as it fails.
        progress = replace(progress, rung=0, used=0, spent=progress.spent or proven)
        wait = GIVE_UP_RETRY_SECONDS * (0.9 + 0.2 * chance)
    if proven:
        return replace(
            progress,
            phase=Phase.WELL,
            tried=0,
            due_at=now + wait,
            failing_since=None,
            well_since=now,
            # Another service may have proven it: its own checks need a moment to agree.
            was_held=True,
        )
    phase = Phase.GAVE_UP if over else progress.phase
    return replace(progress, phase=phase, due_at=now + wait)


def _after_repair(ladder: Ladder, progress: Progress) -> Progress:
    """Gives the try back that `begin` counted, or goes on to the next rung."""
    rung, repairs = progress.rung if progress.used else progress.rung - 1, progress.repairs + 1
    most = ladder.rungs[rung].max
    if repairs >= ROUNDS * most:
        return replace(progress, rung=rung + 1, used=0, repairs=repairs)
    return replace(progress, rung=rung, used=(progress.used or most) - 1, repairs=repairs)


def manual(*, proven: bool, now: float, chance: float) -> Progress:
    """After somebody has climbed the whole ladder by hand: the budget is whole again."""
    if proven:
        return Progress(well_since=now, was_held=True)
    wait = GIVE_UP_RETRY_SECONDS * (0.9 + 0.2 * chance)
    return Progress(phase=Phase.GAVE_UP, due_at=now + wait)


def backoff_seconds(attempts: int, chance: float) -> float:
    """After so many tries: doubled each time up to a limit, between half of that and all of it."""
    whole = min(BACKOFF_MAX_SECONDS, BACKOFF_SECONDS * 2.0 ** min(max(0, attempts - 1), 30))
    return whole * (0.5 + 0.5 * chance)


def to_json(progress: Progress, now: float, epoch_seconds: float) -> dict[str, Any]:
    """For `from_json` in another process, whose monotonic clock may be another one."""
    return {
        "phase": str(progress.phase),
        "rung": progress.rung,
        "used": progress.used,
        "attempts": progress.attempts,
        "tried": progress.tried,
        "repairs": progress.repairs,
        "spent": progress.spent,
        "due_in_seconds": max(0.0, progress.due_at - now),
        "saved_at": epoch_seconds,
    }


def from_json(ladder: Ladder, data: Mapping[str, Any], now: float, epoch_seconds: float) -> Progress:
    """A ladder that has become shorter meanwhile begins anew; a stepped wall clock makes no wait longer."""
    wait = float(data["due_in_seconds"])
    passed = max(0.0, epoch_seconds - float(data["saved_at"]))
    rung, used = int(data["rung"]), int(data["used"])
    fits = rung < len(ladder.rungs) and used < ladder.rungs[rung].max
    return Progress(
        phase=Phase(data["phase"]),
        rung=rung if fits else 0,
        used=used if fits else 0,
        attempts=int(data["attempts"]),
        tried=int(data["tried"]),
        repairs=int(data.get("repairs", 0)),
        spent=bool(data.get("spent", False)),
        due_at=now + max(0.0, wait - passed),
    )
