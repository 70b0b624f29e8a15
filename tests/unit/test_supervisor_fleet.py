"""A fleet's count of its workers, whatever the order in which they become ready."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from oatie_ops.config.settings import AppSettings
from oatie_ops.supervisor.fleet import Fleet
from oatie_ops.supervisor.spec import ReleaseSpec
from oatie_ops.supervisor.workers import WorkerState


class Booting:
    """A generation whose workers are ready all at once, and are told to accept only after that."""

    owns_port = False

    def __init__(self, app: AppSettings) -> None:
        self.spec = ReleaseSpec("1", Path("/srv/1"), app)
        self.workers: list[Any] = []
        self.may_serve = asyncio.Event()

    @property
    def serving(self) -> list[Any]:
        return [worker for worker in self.workers if worker.state == WorkerState.SERVING]

    async def add_worker(self, *, direct: bool = False) -> Any:
        assert not direct
        worker = SimpleNamespace(id=len(self.workers), pid=0, state=WorkerState.STARTING, expected_end=False)
        worker.kill = lambda: self.workers.remove(worker)
        self.workers.append(worker)
        return worker

    async def gate(self, worker: Any) -> None:
        await asyncio.sleep(0)
        worker.state = WorkerState.READY

    async def accept_worker(self, worker: Any) -> None:
        await self.may_serve.wait()
        worker.state = WorkerState.SERVING


def test_a_spare_that_is_ready_together_with_the_others_stays() -> None:
    async def states() -> list[WorkerState]:
        app = AppSettings(run="main:app", workers=2, spare=1)
        generation = Booting(app)
        fleet = Fleet(SimpleNamespace(), app)  # type: ignore[arg-type]
        fleet.adopt(generation)  # type: ignore[arg-type]
        booting = set(fleet._tasks)
        for _ in range(100):  # turns of the loop: until nothing but the orders to serve is left
            await asyncio.sleep(0)
        generation.may_serve.set()
        await asyncio.wait_for(asyncio.gather(*booting), 30)
        return sorted(worker.state for worker in generation.workers)

    assert asyncio.run(states()) == [WorkerState.READY, WorkerState.SERVING, WorkerState.SERVING]
