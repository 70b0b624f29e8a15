"""All the workers of one release (or of one reload of it): born, gated, promoted and retired together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from oatie_ops.errors import OatieError
from oatie_ops.supervisor.bake import Traffic
from oatie_ops.supervisor.gate import OnWait, pass_gate
from oatie_ops.supervisor.launcher import ForkServer, LaunchFailed, early_environment
from oatie_ops.supervisor.listen import PublicSocket
from oatie_ops.supervisor.machinery import Birth, Machinery
from oatie_ops.supervisor.spec import ReleaseSpec
from oatie_ops.supervisor.workers import Worker, WorkerState

POLL_SECONDS = 0.02
# How much longer than the last good boot a boot may take before it counts as failed.
BOOT_SLACK = 3.0


class Generation:
    def __init__(
        self,
        number: int,
        spec: ReleaseSpec,
        machinery: Machinery,
        public: PublicSocket,
        *,
        forkserver: ForkServer | None = None,
        on_exit: Callable[[Worker], None] = lambda _worker: None,
    ) -> None:
        self.number = number
        self.spec = spec
        self.workers: list[Worker] = []
        self.boot_seconds = 0.0
        self.on_exit = on_exit
        self.on_terminating: Callable[[Worker], None] = lambda _worker: None
        self.public = public
        self._machinery = machinery
        self._forkserver = forkserver
        self._past = Traffic()  # of workers that have ended
        self._retired = False

    @property
    def living(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.alive]

    @property
    def serving(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.state == WorkerState.SERVING]

    @property
    def zero_drop(self) -> bool:
        app = self.spec.app
        return app.command is None or app.socket == "activation" or self.fronted

    @property
    def fronted(self) -> bool:
        """Does Caddy hold the public address for it?"""
        return self.spec.app.front is not None

    @property
    def owns_port(self) -> bool:
        """True for a plain program: it binds the public port itself, so nobody else may hold it."""
        return not self.zero_drop

    def prepare(self) -> None:
        """Starts the fork server early, so that its imports run beside ours."""
        if self.spec.app.command is None and self._forkserver is None:
            self._forkserver = ForkServer.start(self.spec.python, early_environment(self.spec))
            self._machinery.reaper.expect(self._forkserver.pid, lambda _ended: None)

    async def add_worker(self, *, direct: bool = False) -> Worker:
        """One more booting worker. Raises `OatieError` where not even the interpreter starts.

        ``direct``: a program that will be started on the public port at once, without a gated process.
        """
        self.prepare()
        try:
            birth = Birth(self.spec, self.number, self.public)
            worker = await self._make(birth, direct=direct)
        except LaunchFailed as error:
            self._forkserver = None
            early = ", ".join(sorted(early_environment(self.spec)))
            given = f", and starts with {early} of [app.env]" if early else ""
            raise OatieError(
                f"release {self.spec.name} cannot start a worker",
                why=f"{error}; its interpreter is {self.spec.python or 'the one that runs oatie'}{given}",
                fix=f"try without {early}: an interpreter that cannot use such a value ends at once"
                if early
                else "see `oatie logs`; deploy again so that the build is made anew",
            ) from error
        worker.on_exit = self._worker_ended
        worker.on_terminating = self._worker_terminating
        worker.on_start = self._machinery.starts.note
        self.workers.append(worker)
        if self._retired:  # while this one was being forked
            worker.kill()
            raise OatieError(f"release {self.spec.name} was withdrawn meanwhile")
        return worker

    async def _make(self, birth: Birth, *, direct: bool) -> Worker:
        """Runs to its end even if nobody waits: half a talk with the fork server would spoil the next."""
        making = asyncio.ensure_future(self._machinery.make_worker(birth, self._forkserver, direct=direct))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(self._discard)
            raise

    def _discard(self, making: asyncio.Future[Worker]) -> None:
        if not making.cancelled() and making.exception() is None:
            worker = making.result()
            worker.on_exit = self._machinery.forget
            worker.kill()

    async def gate(self, worker: Worker, *, health_check: bool = True, on_wait: OnWait | None = None) -> None:
        app = self.spec.app
        await pass_gate(
            worker,
            timeout_seconds=max(app.ready_timeout_seconds, BOOT_SLACK * self.boot_seconds),
            health_check=health_check,
            log_tail=self._machinery.sink.tail,
            on_wait=on_wait or (lambda _worker, _seconds, _why: None),
        )
        self.boot_seconds = time.monotonic() - worker.started_monotonic

    async def gate_all(
        self, born: Iterable[Worker], *, health_check: bool = True, on_wait: OnWait | None = None
    ) -> None:
        """Every worker that was born must pass, the dead ones too; the first that does not speaks for all."""
        async with asyncio.TaskGroup() as group:
            for worker in born:
                group.create_task(self.gate(worker, health_check=health_check, on_wait=on_wait))

    async def accept(self, count: int) -> None:
        """Lets ``count`` workers serve; the rest stay spare. Raises where one of them died meanwhile."""
        if len(self.living) < count:
            raise ChildProcessError(f"only {len(self.living)} of {count} workers still live")
        for worker in self.living[:count]:
            if worker.state != WorkerState.SERVING:
                await self.accept_worker(worker)

    async def accept_worker(self, worker: Worker) -> None:
        if self.owns_port or self.fronted:
            self.public.let_go()
        await worker.accept(self.public)

    async def drain_all(self) -> None:
        await asyncio.gather(*(worker.drain() for worker in self.living), return_exceptions=True)

    async def wait_drained(self, deadline: float, on_tick: Callable[[int, int], None] | None = None) -> bool:
        """True once no connection is left; False at the deadline (monotonic)."""
        while not all(worker.drained.is_set() for worker in self.living):
            if time.monotonic() >= deadline:
                return False
            if on_tick is not None:
                samples = [self._machinery.stats.read(worker.slot) for worker in self.living]
                on_tick(sum(s.connections for s in samples), sum(s.in_flight for s in samples))
            await asyncio.sleep(POLL_SECONDS)
        return True

    def reopen(self) -> None:
        """After a `retire` that turned out to be wrong: the release may have workers again."""
        self._retired = False

    async def retire(self, grace_seconds: float | None = None) -> None:
        """Ends every worker, gracefully first; returns when the last is gone."""
        self._retired = True
        grace = self.spec.app.stop_timeout_seconds if grace_seconds is None else grace_seconds
        for worker in self.living:
            worker.stop()
        await _wait_gone(self.living, grace)
        for worker in self.living:
            worker.kill()
        await _wait_gone(self.living, grace_seconds=5.0)
        if self._forkserver is not None:
            self._forkserver.close()
            self._forkserver = None

    def traffic(self) -> Traffic:
        return self._past + Traffic.of([self._machinery.stats.read(worker.slot) for worker in self.living])

    def _worker_terminating(self, worker: Worker) -> None:
        self.on_terminating(worker)

    def _worker_ended(self, worker: Worker) -> None:
        self._past += Traffic.of([self._machinery.stats.read(worker.slot)])
        self._machinery.forget(worker)
        self.workers.remove(worker)
        self.on_exit(worker)


async def _wait_gone(workers: Iterable[Worker], grace_seconds: float) -> None:
    waits = [asyncio.ensure_future(worker.exited.wait()) for worker in workers]
    if waits:
        _, pending = await asyncio.wait(waits, timeout=grace_seconds)
        for wait in pending:
            wait.cancel()
