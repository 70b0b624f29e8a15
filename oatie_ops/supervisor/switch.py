"""From one release to the next without losing a request: spawn, gate, promote, drain, bake, commit; or abort.

The old release stays warm until the commit, so that an abort is a promotion back, not a boot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from oatie_ops.errors import OatieError
from oatie_ops.supervisor.bake import Traffic, judge
from oatie_ops.supervisor.fleet import Fleet
from oatie_ops.supervisor.gate import LOG_LINES, OnWait
from oatie_ops.supervisor.generation import Generation
from oatie_ops.supervisor.listen import PublicSocket
from oatie_ops.supervisor.machinery import Machinery
from oatie_ops.supervisor.probe import probe
from oatie_ops.supervisor.workers import Worker

WATCH_SECONDS = 0.25
PROBE_EVERY_SECONDS = 1.0
BAKE_PROBE_TIMEOUT_SECONDS = 5.0
VERDICT_GRACE_SECONDS = 2.0
DECISION_SECONDS = 120.0


class Stage(StrEnum):
    OPENED = "opened"
    SPAWNED = "spawned"
    GATED = "gated"
    PROMOTED = "promoted"
    COMMITTED = "committed"
    ABORTED = "aborted"


class Switch:
    """One attempt. Its methods are called in the order of `Stage`; `abort` is possible until `commit`."""

    def __init__(
        self,
        switch_id: str,
        candidate: Generation,
        fleet: Fleet,
        machinery: Machinery,
        *,
        workers: int | None = None,
        health_check: bool = True,
        max_error_ratio: float = 1.0,
        bake_seconds: float = 0.0,
        leave: Callable[[Generation], None],
        on_own_abort: Callable[[], None],
    ) -> None:
        self.id = switch_id
        self.candidate = candidate
        self.stage = Stage.OPENED
        self.cutover_ms = 0.0
        self.verdict: OatieError | None = None
        self._fleet = fleet
        self._machinery = machinery
        self.declared: Mapping[str, Any] | None = None  # what oatie.toml says today (`config.live.to_dict`)
        self.wanted = max(1, workers or candidate.spec.app.workers)
        self._health_check = health_check
        self._max_error_ratio = max_error_ratio
        self._patience_seconds = bake_seconds + DECISION_SECONDS
        self._leave = leave
        self._on_own_abort = on_own_abort
        self._old: Generation | None = None
        self._born: list[Worker] = []
        self._before = Traffic()
        self._promoted_at = 0.0
        self._watch: asyncio.Task[None] | None = None
        self._own_abort: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        candidate.on_exit = self._candidate_ended

    def generations(self) -> list[Generation]:
        return [self.candidate] if self._old is None else [self._old, self.candidate]

    def workers(self) -> list[Worker]:
        return [worker for generation in self.generations() for worker in generation.workers]

    def old_name(self) -> str | None:
        return self._old.spec.name if self._old else None

    async def spawn(self) -> list[int]:
        for _ in range(self.wanted + self._fleet.spare):
            async with self._lock:  # an abort waits for the fork in progress, and no fork follows it
                if self.stage != Stage.OPENED:
                    raise OatieError(f"release {self.candidate.spec.name} was withdrawn while it started")
                self._born.append(await self.candidate.add_worker())
        self.stage = Stage.SPAWNED
        return [worker.pid for worker in self._born]

    async def gate(self, on_wait: OnWait) -> float:
        """Seconds that it took. Raises the explained error of the first worker that fails."""
        began = time.monotonic()
        try:
            await self.candidate.gate_all(self._born, health_check=self._health_check, on_wait=on_wait)
        except ExceptionGroup as group:
            raise _first(group) from None
        self.stage = Stage.GATED
        return time.monotonic() - began

    async def promote(self) -> float:
        """Lets the new workers serve and the old ones accept no more. Milliseconds of the cut-over."""
        async with self._lock:
            began = time.monotonic()
            if self._fleet.generation is not None:
                self._old = self._fleet.release()
            if self._old is not None:
                self._before = self._old.traffic()
            self.stage = Stage.PROMOTED
            try:
                await self._cut_over()
            except (ChildProcessError, TimeoutError) as error:
                raise OatieError(
                    f"release {self.candidate.spec.name} could not take over",
                    why=str(error),
                    fix="see its last log lines above and `oatie logs`",
                    details=self._machinery.sink.tail(None, LOG_LINES),
                ) from error
            self._promoted_at = time.monotonic()
            self.cutover_ms = (self._promoted_at - began) * 1000.0
            self._watch = asyncio.get_running_loop().create_task(self._bake_watch())
            return self.cutover_ms

    async def _cut_over(self) -> None:
        old = self._old
        # A plain program must bind the port itself, so nobody may hold it: here lies the stated gap.
        if old is not None and self._gapped(old):
            await _end(old)
        elif old is not None and self._contends(old):
            await old.drain_all()
            old.public.let_go()
        await self.candidate.accept(self.wanted)
        if old is not None:
            await old.drain_all()

    async def drain(self, on_tick: Callable[[int, int], None]) -> bool:
        """True if every connection of the old release left by itself, False if the deadline cut some.

        Raises the bake's verdict if the new release failed meanwhile.
        """
        if self._old is None:
            return True

        def tick(connections: int, in_flight: int) -> None:
            self._raise_verdict()
            on_tick(connections, in_flight)

        deadline = self._promoted_at + self._old.spec.app.drain_seconds
        drained = await self._old.wait_drained(deadline, tick)
        self._raise_verdict()
        return drained

    async def bake(
        self, seconds: float, on_tick: Callable[[float], None], max_error_ratio: float | None = None
    ) -> None:
        """Returns once the new release has survived ``seconds`` since its promotion. Raises the verdict.

        ``max_error_ratio`` is the deploying configuration's, which may be newer than the supervisor's.
        """
        if max_error_ratio is not None:
            self._max_error_ratio = max_error_ratio
        self._patience_seconds = max(self._patience_seconds, seconds + DECISION_SECONDS)
        while (left := self._promoted_at + seconds - time.monotonic()) > 0:
            self._raise_verdict()
            on_tick(left)
            await asyncio.sleep(min(WATCH_SECONDS, left))
        self._raise_verdict()

    async def commit(self) -> None:
        async with self._lock:
            if self.stage != Stage.PROMOTED:
                raise OatieError(f"this switch is {self.stage}; nothing to commit")
            self._raise_verdict()
            self.stage = Stage.COMMITTED
            self._stop_watch()
            self._fleet.desired = self.wanted
            self._fleet.adopt(self.candidate)
            if self._old is not None:
                await self._old.retire()
            for public in self._publics() - {self.candidate.public}:
                public.let_go()

    async def abort(self) -> None:
        """Back to where it began: the old release serves, the candidate is gone. Safe to call again."""
        async with self._lock:
            if self.stage in (Stage.COMMITTED, Stage.ABORTED):
                return
            promoted = self.stage == Stage.PROMOTED
            self.stage = Stage.ABORTED
            self._stop_watch()
            self.candidate.on_exit = lambda _worker: None
            if not promoted:
                await self.candidate.retire(grace_seconds=0.0)
                return
            await self._back_to_old()

    async def give_up(self) -> None:
        """The supervisor stops: nothing is promoted any more, in neither direction."""
        async with self._lock:
            if self.stage not in (Stage.COMMITTED, Stage.ABORTED):
                self.stage = Stage.ABORTED
                self._stop_watch()
                self.candidate.on_exit = lambda _worker: None

    async def _back_to_old(self) -> None:
        old = self._old
        if old is None:
            await _end(self.candidate)
            return
        if self._gapped(old):
            await _end(self.candidate)
        elif self._contends(old):
            await self.candidate.drain_all()
            self.candidate.public.let_go()
        await self._promote_again(old)
        await self.candidate.drain_all()
        self._fleet.adopt(old)
        for public in self._publics() - {old.public}:
            public.let_go()
        # The old release serves: this switch is over, however long the last client stays.
        self._leave(self.candidate)

    def _gapped(self, old: Generation) -> bool:
        """Can the public address not be handed over while both are there?"""
        return self.candidate.owns_port or old.owns_port or self.candidate.fronted != old.fronted

    def _contends(self, old: Generation) -> bool:
        """The same port on another address: the kernel does not let both be bound at once."""
        ours, theirs = self.candidate.public, old.public
        return ours is not theirs and ours.port == theirs.port

    def _publics(self) -> set[PublicSocket]:
        return {generation.public for generation in self.generations()}

    async def _promote_again(self, old: Generation) -> None:
        """Warm workers first, each by itself. Programs ended when they were drained: those are started anew.

        What is then still missing is the fleet's to raise, as after any death.
        """
        try:
            if not old.living:
                old.reopen()
                worker = await old.add_worker(direct=old.owns_port)
                if not old.owns_port:
                    await old.gate(worker, health_check=self._health_check)
        except OatieError as error:
            self._machinery.sink.note(f"release {old.spec.name} does not start again: {error.why}")
        for worker in old.living[: self._fleet.desired]:
            try:
                await old.accept_worker(worker)
            except (ChildProcessError, TimeoutError) as error:
                self._machinery.sink.note(f"an old worker did not come back ({error}); starting another")

    async def _bake_watch(self) -> None:
        """Looks at the new release from its promotion to the commit; writes `verdict` once."""
        failed_probes, next_probe = 0, time.monotonic() + PROBE_EVERY_SECONDS
        while self.verdict is None:
            await asyncio.sleep(WATCH_SECONDS)
            if self._health_check and time.monotonic() >= next_probe:
                next_probe = time.monotonic() + PROBE_EVERY_SECONDS
                failed_probes = failed_probes + 1 if await self._some_probe_fails() else 0
            reason = (
                judge(
                    self.candidate.traffic(),
                    self._before,
                    max_error_ratio=self._max_error_ratio if self._health_check else 1.0,
                    failed_probes=failed_probes,
                )
                or self._undecided()
            )
            if reason:
                self._fail(reason)

    def _undecided(self) -> str | None:
        """Without this end, a deploy whose terminal was put to sleep would keep two releases for ever."""
        limit = self._patience_seconds + self.candidate.spec.app.drain_seconds
        if time.monotonic() - self._promoted_at <= limit:
            return None
        return f"the deploying process has not decided in {limit:.0f} s; is it stopped, or its terminal gone?"

    async def _some_probe_fails(self) -> bool:
        app = self.candidate.spec.app
        results = await asyncio.gather(
            *(
                probe(worker.port, app.ready or "/", app.ready_host, BAKE_PROBE_TIMEOUT_SECONDS)
                for worker in self.candidate.serving
            )
        )
        return not all(result.ready(declared=app.ready is not None) for result in results)

    def _candidate_ended(self, worker: Worker) -> None:
        if self.stage == Stage.PROMOTED and not worker.expected_end:
            lived = time.monotonic() - (self._promoted_at or time.monotonic())
            self._fail(
                f"worker {worker.id} (pid {worker.pid}) {worker.ended} {lived:.1f} s into the bake", worker
            )

    def _fail(self, reason: str, worker: Worker | None = None) -> None:
        if self.verdict is None:
            tail = self._machinery.sink.tail(worker.id if worker else None, LOG_LINES)
            self.verdict = OatieError(
                f"release {self.candidate.spec.name} did not survive its bake",
                why=reason,
                fix="mend the release and deploy again (deploy.bake sets how long it is watched)",
                details=[f"  | {line}" for line in tail],
            )
            self._own_abort = asyncio.get_running_loop().create_task(self._abort_unless_told())

    async def _abort_unless_told(self) -> None:
        """The verdict is acted on even if the deploying process is stopped, or hangs on its terminal."""
        await asyncio.sleep(VERDICT_GRACE_SECONDS)
        if self.stage == Stage.PROMOTED:
            self._machinery.sink.note(f"stepping back by myself: {self.verdict and self.verdict.why}")
            await self.abort()
            self._on_own_abort()

    def _raise_verdict(self) -> None:
        if self.verdict is not None:
            raise self.verdict

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()


async def _end(generation: Generation) -> None:
    """Lets its connections leave, ends it, and lets go of its port."""
    await generation.drain_all()
    generation.public.let_go()
    await generation.wait_drained(time.monotonic() + generation.spec.app.drain_seconds)
    await generation.retire()


def _first(group: ExceptionGroup[Exception]) -> OatieError:
    """The evidence of a worker that failed by itself says more than that of one that timed out."""
    explained, unexpected = group.split(OatieError)
    if explained is None:
        raise group
    if unexpected is not None:
        raise unexpected
    errors = [error for error in explained.exceptions if isinstance(error, OatieError)]
    return next((e for e in errors if e.data.get("exit_code") is not None), errors[0])
