"""Keeps the serving generation at its strength: replaces the dead, the hung and the worn out."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

from oatie_ops.config.settings import AppSettings
from oatie_ops.errors import OatieError
from oatie_ops.supervisor.generation import Generation
from oatie_ops.supervisor.machinery import Machinery
from oatie_ops.supervisor.memory import rss_bytes
from oatie_ops.supervisor.mishaps import LastEnd, describe_end, last_lines, tell
from oatie_ops.supervisor.protocol import STACK_SIGNAL
from oatie_ops.supervisor.restart_policy import Ending, next_restart
from oatie_ops.supervisor.workers import Worker, WorkerState

TICK_SECONDS = 1.0
STACK_SECONDS = 0.2
RECYCLE_RETRY_SECONDS = 60.0
REPLACED_POLL_SECONDS = 0.05


class Fleet:
    """One serving generation and the number of workers that it should have."""

    def __init__(self, machinery: Machinery, app: AppSettings) -> None:
        self.generation: Generation | None = None
        self.desired = app.workers
        self.spare = app.spare
        self.failure: OatieError | None = None
        self.served = asyncio.Event()  # set when the first worker ever serves
        self.hopeless = asyncio.Event()  # set when a first boot fails in a way that trying again cannot mend
        self.restarts = 0
        self._machinery = machinery
        self._endings: deque[Ending] = deque(maxlen=100)
        self._tasks: set[asyncio.Task[None]] = set()
        self._raising = 0
        self._claimed = 0  # places of workers that are just being told to accept
        self._recycling = asyncio.Lock()
        self._no_recycle_before = 0.0
        self._told_of_loop = False
        self.last_end: LastEnd | None = None

    @property
    def looping(self) -> bool:
        """More unplanned ends within the window than the limit: a state, until the window is over."""
        if self.generation is None:
            return False
        app = self.generation.spec.app
        since = time.monotonic() - app.restart_window_seconds
        return sum(ending.at >= since for ending in self._endings) > app.restart_limit

    def adopt(self, generation: Generation) -> None:
        """From now on this generation serves and is kept at strength."""
        self.generation = generation
        self._endings.clear()
        self.failure = None
        generation.on_exit = self._on_exit
        generation.on_terminating = self._on_terminating
        if generation.serving:
            self.served.set()
        self.refill()

    def release(self) -> Generation | None:
        """Stops looking after the serving generation, because a switch is about to judge between two."""
        generation, self.generation = self.generation, None
        if generation is not None:
            generation.on_exit = lambda _worker: None
            generation.on_terminating = lambda _worker: None
        for task in self._tasks:
            task.cancel()
        for worker in generation.living if generation else ():
            if worker.state == WorkerState.STARTING:
                worker.expected_end = True
                worker.kill()
        return generation

    def refill(self) -> None:
        """Starts what is missing; a booted spare takes a dead worker's place at once."""
        generation = self.generation
        if generation is None:
            return
        spares = [w for w in generation.workers if w.state == WorkerState.READY]
        for worker in spares[: max(0, self._places(generation))]:
            worker.state = WorkerState.STARTING  # nobody else takes it, nobody counts it as a spare
            self._start(self._take_place(generation, worker))
        missing = self.desired + self.spare - len(generation.serving) - len(spares) - self._raising
        for _ in range(missing):
            self._raising += 1
            self._start(self._raise(generation))

    def scale_soon(self, workers: int) -> None:
        self._start(self.scale(workers))

    async def scale(self, workers: int) -> None:
        """Returns once those too many are gone; those that are missing boot on their own."""
        self.desired = workers
        self.refill()
        generation = self.generation
        if generation is not None:
            await asyncio.gather(*(self._send_home(worker) for worker in generation.serving[workers:]))

    async def replace_all(self) -> int:
        """Ends every worker at once and waits until as many serve again as should; how many.

        For workers that only look alive. Those that a switch has put beside them are none of ours.
        """
        generation = self.generation
        living = generation.living if generation else []
        old = [worker for worker in living if worker.state != WorkerState.STARTING]
        for worker in old:
            worker.expected_end = True
            worker.kill()
        await asyncio.gather(*(worker.exited.wait() for worker in old))
        while self.generation is generation and generation is not None:
            self.refill()
            if len(generation.serving) >= self.desired:
                break
            await asyncio.sleep(REPLACED_POLL_SECONDS)
        return len(generation.serving) if generation else 0

    def tick(self) -> None:
        """Once a second: who hangs, who is worn out?"""
        generation = self.generation
        if generation is None:
            return
        now = time.monotonic()
        for worker in generation.serving:
            if not self._recycling.locked() and (reason := self._hung(worker, now)):
                self._start(self._replace(generation, worker, reason, kill=True))
            elif self._may_recycle(now) and (reason := self._worn_out(worker, now)):
                self._start(self._replace(generation, worker, reason, kill=False))

    def _may_recycle(self, now: float) -> bool:
        return not self._recycling.locked() and now >= self._no_recycle_before

    def _hung(self, worker: Worker, now: float) -> str:
        limit = worker.spec.app.hang_timeout_seconds
        beat = self._machinery.stats.read(worker.slot).beat
        if worker.spec.app.run is None or limit <= 0 or beat == 0 or now - beat <= limit:
            return ""
        return f"its event loop has been blocked for {now - beat:.0f} s"

    def _worn_out(self, worker: Worker, now: float) -> str:
        app = worker.spec.app
        if app.max_requests:
            if not worker.max_requests:  # spread, so that workers started together do not go together
                worker.max_requests = round(app.max_requests * random.uniform(1.0, 1.1))
            requests = self._machinery.stats.read(worker.slot).requests
            if requests >= worker.max_requests:
                return f"{requests} requests (max_requests)"
        if app.max_rss_bytes and (rss := rss_bytes(worker.pid)) > app.max_rss_bytes:
            return f"{rss / 1e6:.0f} MB of memory (max_rss)"
        if app.max_age_seconds and now - worker.started_monotonic > app.max_age_seconds:
            return f"{now - worker.started_monotonic:.0f} s of age (max_age)"
        return ""

    def _on_exit(self, worker: Worker) -> None:
        if worker.expected_end:
            self.refill()
            return
        if worker.gated or worker.ready_monotonic is not None:
            self.restarts += 1
            self._endings.append(Ending(time.monotonic(), served=True))
            self.last_end = end = describe_end(self._machinery, worker)
            told = [end.what, *end.log]
            tell(self._machinery, f"a worker {worker.ended}", told, worker.spec.name)
            self._note(f"worker {worker.id} (pid {worker.pid}) {worker.ended}; starting another")
            self.refill()

    def _on_terminating(self, worker: Worker) -> None:
        why = str(worker.reports["terminating"].get("why") or "")
        said = f"worker {worker.id} (pid {worker.pid}) {why or 'was told to end from outside'}"
        self._note(f"{said}; starting another")
        worker.expected_end = True
        if why:  # an end like any other that nobody asked for: again and again it is a crash loop
            self.restarts += 1
            self._endings.append(Ending(time.monotonic(), served=True))
            tell(self._machinery, "a worker wore out", [said], worker.spec.name)
        self.refill()

    def _too_many(self, generation: Generation, *, already_ready: int = 0) -> bool:
        """Fewer are wanted than when this worker was asked for. A ready one is not to be counted twice."""
        ready = sum(worker.state == WorkerState.READY for worker in generation.workers) - already_ready
        return len(generation.serving) + ready + self._raising > self.desired + self.spare

    def _places(self, generation: Generation) -> int:
        return self.desired - len(generation.serving) - self._claimed

    async def _take_place(self, generation: Generation, worker: Worker) -> None:
        self._claimed += 1
        try:
            await generation.accept_worker(worker)
            self.served.set()
        except (ChildProcessError, TimeoutError) as error:
            self._note(f"a ready worker could not take over: {error}")
            worker.kill()
        finally:
            self._claimed -= 1

    async def _raise(self, generation: Generation) -> None:
        """Boots one worker of the serving release, as often as it takes."""
        try:
            while self.generation is generation:
                restart = next_restart(
                    tuple(self._endings),
                    time.monotonic(),
                    limit=generation.spec.app.restart_limit,
                    window_seconds=generation.spec.app.restart_window_seconds,
                    jitter=random.random(),
                )
                self._report_loop(restart.looping)
                await asyncio.sleep(restart.delay_seconds)
                if self._too_many(generation):
                    return
                if await self._boot_one(generation):
                    return
        finally:
            self._raising -= 1

    async def _boot_one(self, generation: Generation) -> bool:
        worker: Worker | None = None
        try:
            # A plain program that served before is gated by its own port: nobody else answers there now.
            direct = generation.owns_port and self.served.is_set()
            worker = await generation.add_worker(direct=direct)
            if not direct:
                await generation.gate(worker)
            if self._places(generation) > 0:
                worker.state = WorkerState.STARTING
                await self._take_place(generation, worker)
            elif self._too_many(generation, already_ready=1):
                worker.expected_end = True
                worker.kill()
        except (OatieError, ChildProcessError, TimeoutError) as error:
            self._boot_failed(error)
        except asyncio.CancelledError:
            if worker is not None:
                worker.kill()
            raise
        else:
            if self.failure is not None:
                self._note(f"worker {worker.id} is up again")
            self.failure = None
            return True
        if worker is not None:
            worker.expected_end = True
            worker.kill()
            await worker.exited.wait()
        return False

    def _boot_failed(self, error: Exception) -> None:
        self._endings.append(Ending(time.monotonic(), served=False))
        self.failure = error if isinstance(error, OatieError) else OatieError(str(error))
        if not self.served.is_set() and self.failure.data.get("deterministic"):
            self.hopeless.set()
        failed = sum(not ending.served for ending in self._endings)
        self._note(f"a new worker failed to boot (try {failed}): {self.failure.why or self.failure.what}")

    def _report_loop(self, looping: bool) -> None:
        if looping and not self._told_of_loop:
            self._note("workers end again and again; trying on slowly (see `oatie status`)")
        self._told_of_loop = looping

    async def _replace(self, generation: Generation, old: Worker, reason: str, *, kill: bool) -> None:
        """A reload of one worker: the new one serves before the old one stops."""
        async with self._recycling:
            self._note(f"replacing worker {old.id} (pid {old.pid}): {reason}")
            if kill:
                old.dump_stack(STACK_SIGNAL)
                await asyncio.sleep(STACK_SECONDS)
                told = [f"worker {old.id} (pid {old.pid}): {reason}", *last_lines(self._machinery, old)]
                tell(self._machinery, "a worker hung", told, old.spec.name)
            worker = await generation.add_worker()
            try:
                await generation.gate(worker)
                await generation.accept_worker(worker)
            except (OatieError, ChildProcessError, TimeoutError) as error:
                worker.expected_end = True
                worker.kill()
                self._no_recycle_before = time.monotonic() + RECYCLE_RETRY_SECONDS
                self._note(f"worker {old.id} stays: its replacement failed ({error})")
                if not kill:
                    return
            if kill:
                self.restarts += 1
                old.expected_end = True
                old.kill()
            else:
                await self._send_home(old)

    async def _send_home(self, worker: Worker) -> None:
        worker.expected_end = True
        await worker.drain()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(worker.drained.wait(), worker.spec.app.drain_seconds)
        worker.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(worker.exited.wait(), worker.spec.app.stop_timeout_seconds)
        worker.kill()

    def _note(self, message: str) -> None:
        self._machinery.sink.note(message)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._note(f"internal error while looking after workers: {error!r}")
