"""What every worker of one supervisor shares, and how a worker is made from it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import field

from oatie_ops.paths import StatePaths
from oatie_ops.records import dataclass
from oatie_ops.supervisor.fronted import Front, FrontedWorker
from oatie_ops.supervisor.guarded import Guarded
from oatie_ops.supervisor.launcher import ForkServer
from oatie_ops.supervisor.listen import PublicSocket, bind_private
from oatie_ops.supervisor.logs import LogSink
from oatie_ops.supervisor.programs import ProgramWorker
from oatie_ops.supervisor.reaper import Reaper
from oatie_ops.supervisor.spec import ReleaseSpec
from oatie_ops.supervisor.starting import StartLog
from oatie_ops.supervisor.stats import StatsPage
from oatie_ops.supervisor.workers import Ended, PythonWorker, Worker


@dataclass(frozen=True)
class Birth:
    """What the workers of one generation have in common."""

    spec: ReleaseSpec
    generation: int
    public: PublicSocket


@dataclass
class Machinery:
    paths: StatePaths
    sink: LogSink
    reaper: Reaper
    stats: StatsPage = field(default_factory=StatsPage)
    lifeline: tuple[int, int] = field(default_factory=os.pipe)
    guarded: Guarded = field(default_factory=Guarded)
    starts: StartLog = field(default_factory=StartLog)
    front: Front | None = None  # Caddy, for programs that stand behind it
    _ids: set[int] = field(default_factory=set)

    @property
    def living(self) -> int:
        """How many workers have not ended yet, those that nobody wants any more included."""
        return len(self._ids)

    def take_id(self) -> int:
        """The lowest number that no living worker has, so that logs and screens stay readable."""
        worker_id = next(n for n in range(1, len(self._ids) + 2) if n not in self._ids)
        self._ids.add(worker_id)
        return worker_id

    def expect(self, pid: int, callback: Callable[[Ended], None]) -> None:
        """For every worker process, which leads a group of its own: reaped by us, guarded while it lives."""

        def ended(how: Ended) -> None:
            callback(how)
            self.guarded.discard(pid)

        self.guarded.add(pid)
        self.reaper.expect(pid, ended)

    def forget(self, worker: Worker) -> None:
        self._ids.discard(worker.id)
        self.stats.release(worker.slot)

    async def make_worker(
        self, birth: Birth, forkserver: ForkServer | None, *, direct: bool = False
    ) -> Worker:
        """A worker that is booting. Raises `LaunchFailed`."""
        worker_id, slot = self.take_id(), self.stats.acquire()
        try:
            if birth.spec.app.command is not None:
                return self._make_program(birth, worker_id, slot, direct=direct)
            assert forkserver is not None
            return await self._make_python(birth, worker_id, slot, forkserver)
        except BaseException:
            self._ids.discard(worker_id)
            self.stats.release(slot)
            raise

    async def _make_python(self, birth: Birth, worker_id: int, slot: int, forkserver: ForkServer) -> Worker:
        spec = birth.spec
        worker = PythonWorker(worker_id, birth.generation, spec, slot)
        ours, theirs = socket.socketpair()
        private = bind_private()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        self.attach_output(worker_id, out_read, err_read)
        order = {
            "app": {**_plain(spec)},
            "directory": str(spec.directory),
            "slot": slot,
            "env": worker_environment(birth, worker_id, self.paths),
            "secrets": spec.app.secret_env,
        }
        fds = {
            "control": theirs.fileno(),
            "private": private.fileno(),
            "stdout": out_write,
            "stderr": err_write,
            "stats": self.stats.fd,
            "lifeline": self.lifeline[0],
        }
        try:
            pid = await forkserver.fork(order, fds)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(out_write)
            os.close(err_write)
            port = int(private.getsockname()[1])
            private.close()
        worker.attach(ours, pid, port)
        self.expect(pid, worker.finish)
        return worker

    def _make_program(self, birth: Birth, worker_id: int, slot: int, *, direct: bool) -> Worker:
        front = birth.spec.app.front
        kind = ProgramWorker if front is None else FrontedWorker
        worker = kind(
            worker_id,
            birth.generation,
            birth.spec,
            slot,
            environment=worker_environment(birth, worker_id, self.paths),
            public_port=birth.public.port,
            attach_output=lambda out, err: self.attach_output(worker_id, out, err),
            expect=self.expect,
        )
        if isinstance(worker, FrontedWorker):
            assert front is not None
            place = {**front, "port": birth.public.port}
            if self.front is None or not self.front.is_at(place):
                self.front = Front(place, self.paths, self.sink.note)
            worker.front = self.front
        if not direct:
            worker.boot()
        return worker

    def attach_output(self, worker_id: int, out_read: int, err_read: int) -> None:
        loop = asyncio.get_running_loop()
        self.sink.attach(loop, out_read, worker_id, "stdout")
        self.sink.attach(loop, err_read, worker_id, "stderr")

    def close(self) -> None:
        self.guarded.close()
        os.close(self.lifeline[1])
        os.close(self.lifeline[0])
        self.stats.close()


def worker_environment(birth: Birth, worker_id: int, paths: StatePaths) -> Mapping[str, str]:
    """What a worker finds in its environment beside the supervisor's own."""
    return {
        "OATIE_DATA_DIR": str(paths.data),
        "OATIE_SWITCHES": str(paths.switches),
        "OATIE_BREAKERS": str(paths.breakers),
        "OATIE_ERRORS": str(paths.errors_socket),
        **birth.spec.app.open_env,
        "PORT": str(birth.public.port),
        "OATIE_APP": birth.spec.app.name,
        "OATIE_RELEASE": birth.spec.name,
        "OATIE_WORKER": str(worker_id),
        "OATIE_GENERATION": str(birth.generation),
    }


def _plain(spec: ReleaseSpec) -> dict[str, object]:
    """The settings for the wire; the environment travels once, in ``env``."""
    data: dict[str, object] = {**spec.to_dict()["app"], "env": {}}
    return data
