"""What recoveries are counted for, and their families on the page of metrics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from oatie_ops.health.exposition import Page, labels
from oatie_ops.recovery.ladder import Ladder, Rung
from oatie_ops.recovery.ladder_decide import Watch
from oatie_ops.recovery.ladder_state import Phase, Progress

OUTCOMES = ("proven", "gave_up", "by_itself")
RESULTS = ("proven", "refuted")


def label(rung: Rung) -> str:
    """No address and no argument, which could be anything: ``2-restart``."""
    return f"{rung.number}-{rung.kind}"


class RecoveryMeter:
    """Belongs to one event loop. Every series of a declared ladder exists from the start, at 0."""

    def __init__(self, ladders: Mapping[str, Ladder]) -> None:
        self._ladders = {name: ladder for name, ladder in ladders.items() if ladder.declared}
        self._tries: Counter[tuple[str, str, str]] = Counter()
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._repair_seconds: defaultdict[str, float] = defaultdict(float)
        for name, ladder in self._ladders.items():
            self._repair_seconds[name] = 0.0
            self._outcomes.update({(name, outcome): 0 for outcome in OUTCOMES})
            self._tries.update(
                {(name, label(rung), result): 0 for rung in ladder.rungs for result in RESULTS}
            )

    def tried(self, service: str, rung: Rung, *, proven: bool) -> None:
        self._tries[service, label(rung), RESULTS[0 if proven else 1]] += 1

    def over(self, service: str, outcome: str, seconds: float | None) -> None:
        """``seconds`` from the failure to its end, where that was proven."""
        if outcome in OUTCOMES:
            self._outcomes[service, outcome] += 1
        if outcome == "proven" and seconds is not None:
            self._repair_seconds[service] += max(0.0, seconds)

    def families(self, page: Page, watch: Watch, acting: str) -> Iterator[str]:
        yield from page.counter(
            "oatie_recovery_attempts_total",
            "Tries of a rung of a recovery ladder, by whether the checks proved it.",
            [(labels(service=s, rung=r, result=x), n) for (s, r, x), n in self._tries.items()],
        )
        yield from page.counter(
            "oatie_recoveries_total",
            "Failures that were acted upon, by how they ended.",
            [(labels(service=s, outcome=o), n) for (s, o), n in self._outcomes.items()],
        )
        yield from page.counter(
            "oatie_recovery_repair_seconds_total",
            "Time from the failure to its proven end; by the proven recoveries: the mean time to repair.",
            [(labels(service=s), n) for s, n in self._repair_seconds.items()],
        )
        standing = {name: watch.services.get(name, Progress()) for name in self._ladders}
        yield from page.gauge(
            "oatie_recovery_active",
            "1 while a rung of its ladder is being tried.",
            [(labels(service=name), int(name == acting)) for name in standing],
        )
        yield from page.gauge(
            "oatie_recovery_given_up",
            "1 while it fails although every rung was tried.",
            [(labels(service=name), int(p.phase is Phase.GAVE_UP)) for name, p in standing.items()],
        )
        if self._ladders:
            yield from page.gauge(
                "oatie_recovery_braked",
                "1 while so many services fail together that nothing is restarted.",
                [("", int(watch.brake.on))],
            )
