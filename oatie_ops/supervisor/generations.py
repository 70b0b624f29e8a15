"""Which releases are alive in a supervisor, with which workers, and where they are reached."""

from __future__ import annotations

import asyncio
import time

from oatie_ops.supervisor.fleet import Fleet
from oatie_ops.supervisor.generation import Generation
from oatie_ops.supervisor.launcher import ForkServer
from oatie_ops.supervisor.listen import PublicSocket
from oatie_ops.supervisor.machinery import Machinery
from oatie_ops.supervisor.spec import ReleaseSpec
from oatie_ops.supervisor.switch import Switch
from oatie_ops.supervisor.workers import Worker


class Generations:
    """The serving one is the fleet's; beside it those of a switch under way, and those that are leaving."""

    def __init__(self, fleet: Fleet, machinery: Machinery, first_public: PublicSocket) -> None:
        self.switch: Switch | None = None
        self._fleet = fleet
        self._machinery = machinery
        self._first_public = first_public
        self._made = 0
        self._leaving: dict[Generation, asyncio.Task[None]] = {}

    @property
    def public(self) -> PublicSocket:
        """Where the application is reached now."""
        return self._fleet.generation.public if self._fleet.generation else self._first_public

    def make(self, spec: ReleaseSpec, forkserver: ForkServer | None = None) -> Generation:
        """Keeps the public socket where the address stays; a release may also bring a new address."""
        self._made += 1
        public = self.public
        if spec.app.port not in (0, public.port):
            public = PublicSocket(spec.app.host, spec.app.port)
            if spec.app.front is None:
                public.hold()
        elif spec.app.host != public.host:
            # The same port on another address can be bound only once the old one is let go, at the switch.
            public = PublicSocket(spec.app.host, public.port)
        return Generation(self._made, spec, self._machinery, public, forkserver=forkserver)

    def alive(self) -> list[Generation]:
        """Each once, the serving one first."""
        switching = self.switch.generations() if self.switch else []
        serving = [self._fleet.generation] if self._fleet.generation else []
        return list(dict.fromkeys([*serving, *switching, *self._leaving]))

    def workers(self) -> list[Worker]:
        """Those that serve first; then those of a switch under way and those that are leaving."""
        workers = list(self._fleet.generation.workers) if self._fleet.generation else []
        leaving = [worker for generation in list(self._leaving) for worker in generation.workers]
        others = [*(self.switch.workers() if self.switch else ()), *leaving]
        return workers + [worker for worker in others if worker not in workers]

    def serving_count(self) -> int:
        """Workers of the release that most of them serve: during a switch there are two."""
        return max((len(generation.serving) for generation in self.alive()), default=0)

    def let_leave(self, generation: Generation) -> None:
        """Waits beside everything else until the last connection of a withdrawn release is gone."""

        async def leave() -> None:
            await generation.wait_drained(time.monotonic() + generation.spec.app.drain_seconds)
            await generation.retire()
            self._leaving.pop(generation, None)

        self._leaving[generation] = asyncio.get_running_loop().create_task(leave())
