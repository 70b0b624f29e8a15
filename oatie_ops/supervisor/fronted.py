"""A program on a private port, with Caddy in front: gated and serving as the same process, without a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from oatie_ops.errors import OatieError
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.listen import PublicSocket
from oatie_ops.supervisor.programs import ProgramWorker
from oatie_ops.supervisor.workers import Ended, WorkerState

if TYPE_CHECKING:
    from oatie_ops.deployment.proxy.caddy import Proxy

POLL_SECONDS = 0.05


class Front:
    """Our part of Caddy, for all generations of one supervisor. Its calls block, so they run in a thread."""

    def __init__(self, place: Mapping[str, Any], paths: StatePaths, note: Callable[[str], None]) -> None:
        self._place, self._paths, self._note = place, paths, note
        self._lock = asyncio.Lock()
        self._fresh = True

    @cached_property
    def _proxy(self) -> Proxy:
        from oatie_ops.deployment.proxy.caddy import Proxy, ProxyPlace

        return Proxy(ProxyPlace(**self._place), self._paths)

    def is_at(self, place: Mapping[str, Any]) -> bool:
        return dict(self._place) == dict(place)

    async def add(self, release: str, port: int) -> None:
        """Requests go to this port too; those of another release get none from here on."""
        async with self._lock:
            await asyncio.to_thread(self._add, release, port)

    async def remove(self, port: int) -> None:
        async with self._lock:
            await asyncio.to_thread(self._remove, port)

    async def close(self) -> None:
        """Nobody answers on the public address any more."""
        async with self._lock:
            try:
                await asyncio.to_thread(self._close)
            except OatieError as error:
                self._note(f"the route in Caddy could not be removed: {error.what} ({error.why})")

    def _add(self, release: str, port: int) -> None:
        proxy = self._proxy
        (proxy.install if self._fresh else proxy.ensure)(self._note)
        live = None if self._fresh else proxy.switch.now()
        beside = live.ports if live is not None and live.release == release else ()
        proxy.promote(release, [*(each for each in beside if each != port), port])
        # The one before stays until the next: a request may just have read its name.
        proxy.switch.keep_newest(1 if self._fresh else 2)
        self._fresh = False

    def _remove(self, port: int) -> None:
        switch = self._proxy.switch
        live = switch.now()
        if live is None or port not in live.ports:
            return
        left = [each for each in live.ports if each != port]
        if left:
            switch.to(live.release, left)
            switch.keep_newest(2)
        else:
            switch.clear()

    def _close(self) -> None:
        self._proxy.uninstall()
        self._proxy.switch.clear()


class FrontedWorker(ProgramWorker):
    """Its private port is the one that it was gated on, so what was gated is what serves."""

    front: Front

    def boot(self) -> None:
        super().boot()
        self.zero_drop = True

    async def accept(self, public: PublicSocket) -> None:
        """Caddy has the public address; nobody of ours may hold it."""
        if not self.alive:
            raise ChildProcessError(f"{self.spec.app.command} {self.ended}")
        public.let_go()
        self.expected_end = False
        self.drained.clear()
        try:
            await self.front.add(self.spec.name, self.port)
        except OatieError as error:
            raise ChildProcessError(f"{error.what}: {error.why}; {error.fix}") from error
        self.state = WorkerState.SERVING
        self._served_first()

    async def drain(self) -> None:
        """It gets no new request and stays warm; what it has is finished."""
        self.state = WorkerState.DRAINING
        await self.front.remove(self.port)
        self._leaving = asyncio.get_running_loop().create_task(self._until_left())

    async def _until_left(self) -> None:
        from oatie_ops.deployment.proxy.connections import open_connections

        while self.alive and self.state == WorkerState.DRAINING:
            if not await asyncio.to_thread(open_connections, [self.port]):
                self.state = WorkerState.WARM
                self.drained.set()
                return
            await asyncio.sleep(POLL_SECONDS)

    def _process_ended(self, pid: int, ended: Ended) -> None:
        if pid == self.pid:
            self._gone = asyncio.get_running_loop().create_task(self.front.remove(self.port))
        super()._process_ended(pid, ended)
