"""The few changes that would make a start faster, each with what it would save. All pure.

From phases and connections alone, which every start has; a profile with its imports knows more
(`oatie_ops.performance.importadvice`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from oatie_ops.performance.phases import LIFESPAN, LOAD, READY, Dependency, Start

# Below that a change is not worth anybody's time.
WORTH_SECONDS = 0.02
WORTH_SHARE = 0.02
WAITING_SHARE = 0.5
KEEP = 5


@dataclass(frozen=True)
class Advice:
    """``saves_seconds`` of each start, at most; None where only a profile can tell. ``evidence``: numbers."""

    kind: str
    title: str
    action: str
    saves_seconds: float | None
    evidence: str

    def as_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def advise(starts: Sequence[Start]) -> list[Advice]:
    """The most helpful first; from the median of these starts of one release."""
    if not starts:
        return []
    total = median(start.seconds for start in starts)
    found = [*_dependencies(starts), *_load(starts, total), *_lifespan(starts), *_ready(starts)]
    return worthwhile(found, total)


def worthwhile(found: Iterable[Advice], total_seconds: float) -> list[Advice]:
    """Without what saves next to nothing; what is not measured comes last."""
    least = max(WORTH_SECONDS, WORTH_SHARE * total_seconds)
    kept = [one for one in found if one.saves_seconds is None or one.saves_seconds >= least]
    return sorted(kept, key=lambda one: -(one.saves_seconds or 0.0))[:KEEP]


def _dependencies(starts: Sequence[Start]) -> Iterable[Advice]:
    waits: dict[str, list[float]] = {}
    failed: dict[str, int] = {}
    for start in starts:
        for name, seconds in _waited(start.dependencies).items():
            waits.setdefault(name, []).append(seconds)
        for one in start.dependencies:
            if not one.ok:
                failed[_name(one)] = failed.get(_name(one), 0) + 1
    each = {name: sum(found) / len(starts) for name, found in waits.items()}
    for name, seconds in each.items():
        note = f", {failed[name]} attempts failed" if name in failed else ""
        yield Advice(
            "dependency",
            f"the start waits for {name}",
            f"connect to {name} on first use or in the background; let the ready path say when it is there",
            seconds,
            f"{seconds:.3f} s a start on connections to {name}, over {len(starts)} starts{note}",
        )
    if len(each) > 1:
        yield Advice(
            "parallel",
            f"{len(each)} services are connected to one after the other",
            "connect to them at the same time (asyncio.gather, a thread each)",
            sum(each.values()) - max(each.values()),
            " + ".join(f"{name} {seconds:.3f} s" for name, seconds in each.items()),
        )


def _waited(dependencies: Iterable[Dependency]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in dependencies:
        if one.seconds is not None:
            found[_name(one)] = found.get(_name(one), 0.0) + one.seconds
    return found


def _name(one: Dependency) -> str:
    return one.service or one.address


def _load(starts: Sequence[Start], total: float) -> Iterable[Advice]:
    seconds, waiting = _phase(starts, LOAD)
    if seconds < 0.4 * total:
        return
    note = f", {waiting:.3f} s of them waiting" if waiting is not None else ""
    yield Advice(
        "imports",
        "importing the application is most of the start",
        "`oatie profile` shows which imports, and what each would save",
        None,
        f"application load takes {seconds:.3f} of {total:.3f} s{note}",
    )


def _lifespan(starts: Sequence[Start]) -> Iterable[Advice]:
    seconds, waiting = _phase(starts, LIFESPAN)
    known = sum(sum(_waited(start.dependencies).values()) for start in starts) / len(starts)
    if waiting is None or waiting - known < WAITING_SHARE * seconds:
        return
    yield Advice(
        "lifespan",
        "the application's own startup mostly waits",
        "look in its lifespan for sleeps, retries and calls to others; do them at the same time or later",
        waiting - known,
        f"lifespan takes {seconds:.3f} s, of which {waiting:.3f} s without the processor",
    )


def _ready(starts: Sequence[Start]) -> Iterable[Advice]:
    seconds, _ = _phase(starts, READY)
    yield Advice(
        "ready",
        "the ready path says yes late",
        "see what it checks; work that it waits for may be started earlier",
        seconds - 0.05,
        f"{seconds:.3f} s from the booted worker to the first good answer",
    )


def _phase(starts: Sequence[Start], name: str) -> tuple[float, float | None]:
    """Medians of the seconds, and of those without the processor."""
    found = [phase for start in starts if (phase := start.phase(name)) is not None]
    if not found:
        return 0.0, None
    waits = [phase.waiting_seconds for phase in found if phase.waiting_seconds is not None]
    return median(phase.seconds for phase in found), median(waits) if waits else None
