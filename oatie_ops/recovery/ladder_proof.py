"""Did it help? Only checks say so: an exit code of 0 proves nothing.

`Verdict` is pure; `prove` looks again and again until there is one. What is counted begins after the action
and after its time to settle, so that neither failures before it nor luck count.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from oatie_ops.health.heartbeats import HEARTBEAT
from oatie_ops.health.model import CheckSpec, Result, Snapshot, Status
from oatie_ops.health.plan import NEEDS

PAUSE_SECONDS = 0.5
# So many failures in a row refute it, whatever the check's own `fall`: a start takes a moment.
MAX_FALL = 3

Look = Callable[[str], Awaitable[Sequence[tuple[CheckSpec, Result]]]]
"""One fresh result of each check of a service, none of which began before the call."""


@dataclass(frozen=True)
class Proof:
    """``output``: what the deciding check found. ``looks``: how often each check was run for it."""

    proven: bool
    output: str
    looks: int = 0


@dataclass(frozen=True)
class Tally:
    """The latest results of one check in a row."""

    passes: int = 0
    fails: int = 0

    def add(self, result: Result) -> Tally:
        if result.status is Status.UNKNOWN:
            return self
        failed = result.status is Status.FAIL
        return Tally(0, self.fails + 1) if failed else Tally(self.passes + 1, 0)


def judge(found: Iterable[tuple[CheckSpec, Result, Tally]], *, falls: int) -> Proof | None:
    """Proven once every check has passed as often in a row as its ``rise`` asks; refuted as soon as one has
    failed ``falls`` times in a row. None: look again.
    """
    entries = list(found)
    for spec, result, tally in entries:
        if tally.fails >= max(falls, _silent_looks(spec) if falls > 1 else 0):
            return Proof(False, result.output)
    if entries and all(tally.passes >= spec.rise for spec, _, tally in entries):
        return Proof(True, entries[-1][1].output)
    return None


def provers(service: str, snapshot: Snapshot) -> list[str]:
    """The services whose checks tell whether this one is well: itself, or what it stands on."""
    found: dict[str, None] = {}
    waiting, seen = [service], set[str]()
    while waiting:
        name = waiting.pop(0)
        state = snapshot.services.get(name)
        if state is None or name in seen:
            continue
        seen.add(name)
        if any(entry.spec.type != NEEDS for entry in state.checks):
            found[name] = None
        else:
            waiting += state.needs
    return list(found)


async def prove(
    names: Sequence[str], look: Look, *, settle_seconds: float, look_seconds: float, patient: bool
) -> Proof:
    """``look_seconds`` bounds one look. ``patient`` False: of what repairs nothing, one failure is enough."""
    if not names:
        return Proof(False, "nothing checks it, so nothing can prove that it is well")
    await asyncio.sleep(settle_seconds)
    tallies: dict[tuple[str, str], Tally] = {}
    looks, output = 0, "no check came to a result"
    deadline: float | None = None
    loop = asyncio.get_running_loop()
    while True:
        try:
            async with asyncio.timeout(look_seconds):
                found = [pair for results in [await look(name) for name in names] for pair in results]
        except TimeoutError:
            return Proof(False, f"its checks did not come to an end within {look_seconds:g} s", looks)
        looks += 1
        for spec, result in found:
            tallies[spec.key] = tallies.get(spec.key, Tally()).add(result)
            output = result.output
        proof = judge(
            [(spec, result, tallies[spec.key]) for spec, result in found], falls=MAX_FALL if patient else 1
        )
        if proof is not None:
            return Proof(proof.proven, proof.output, looks)
        if deadline is None:
            deadline = loop.time() + _patience_seconds(spec for spec, _ in found)
        if loop.time() > deadline:
            return Proof(False, f"neither well nor failing for long enough: {output}", looks)
        await asyncio.sleep(PAUSE_SECONDS)


def _silent_looks(spec: CheckSpec) -> int:
    """A service that calls in is waited for: as many failing looks as there are until its call is overdue."""
    if spec.type != HEARTBEAT:
        return 0
    silence_seconds = float(spec.options.get("every", 60.0)) + float(spec.options.get("grace", 10.0))
    return math.ceil(silence_seconds / PAUSE_SECONDS)


def _patience_seconds(specs: Iterable[CheckSpec]) -> float:
    """Long enough for every check to fail and then to pass as often as it must."""
    return max(
        (
            (spec.rise + max(spec.fall, MAX_FALL)) * (spec.timeout_seconds + PAUSE_SECONDS)
            + _silent_looks(spec) * 2 * PAUSE_SECONDS
            for spec in specs
        ),
        default=0.0,
    )
