"""Starts an application once, beside whatever serves, and ends it again: the same way as the real start.

A release's own interpreter, the fork server, the gate and the public socket are those of a supervisor; only
the addresses are of the kernel's choice and the state directory is a temporary one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from oatie_ops.config.settings import ServiceSettings
from oatie_ops.errors import OatieError
from oatie_ops.paths import StatePaths
from oatie_ops.performance import detail, importtime
from oatie_ops.performance.peers import peers
from oatie_ops.performance.phases import FIRST_REQUEST, Phase, Start
from oatie_ops.performance.profiles import Inside, waits_of
from oatie_ops.performance.starts import start_of
from oatie_ops.supervisor.death import become_subreaper
from oatie_ops.supervisor.generation import Generation
from oatie_ops.supervisor.listen import PublicSocket
from oatie_ops.supervisor.logs import LogSink
from oatie_ops.supervisor.machinery import Machinery
from oatie_ops.supervisor.probe import probe
from oatie_ops.supervisor.reaper import Reaper
from oatie_ops.supervisor.spec import ReleaseSpec
from oatie_ops.supervisor.workers import Worker

GRACE_SECONDS = 2.0
REQUEST_SECONDS = 10.0
END_SECONDS = 5.0
LOG_BYTES = 10_000_000
LOG_LINES = 20


@dataclass
class Scratch:
    """Makes starts, one after the other. From `scratch`."""

    machinery: Machinery
    services: Mapping[str, ServiceSettings]
    _number: int = 0

    async def start(self, spec: ReleaseSpec) -> Start:
        """One timed start. Raises the `OatieError` that explains why it failed."""
        async with self._started(spec) as (start, _directory):
            return start

    async def start_watched(self, spec: ReleaseSpec) -> Inside:
        """One start that is watched from within: imports, stacks, bytecode. Raises `OatieError`."""
        home = self.machinery.paths.home / "watched"
        home.mkdir(exist_ok=True)
        env = {**spec.app.env, "PYTHONPROFILEIMPORTTIME": "1", detail.VARIABLE: str(home)}
        watched = replace(spec, app=replace(spec.app, env=env))
        try:
            async with self._started(watched, server_log=home / "server.txt"):
                return _inside(home)
        except OatieError as error:
            # Its standard error went where the times of imports go, which nobody asked for here.
            told = [line.removeprefix("  | ") for line in error.details]
            told += _text(home / detail.IMPORTS_FILE).splitlines()
            said = [line for line in told if not importtime.is_timing(line)]
            error.details = tuple(f"  | {line}" for line in said[-LOG_LINES:])
            raise

    @contextlib.asynccontextmanager
    async def _started(
        self, spec: ReleaseSpec, server_log: Path | None = None
    ) -> AsyncIterator[tuple[Start, Path]]:
        self._number += 1
        public = PublicSocket("127.0.0.1", 0)
        public.hold()
        generation = Generation(self._number, spec, self.machinery, public)
        try:
            began = time.monotonic()
            with _stderr_to(server_log):
                generation.prepare()
            worker = await _born(generation)
            await generation.gate(worker)
            await _accepted(generation, worker)
            reports = dict(worker.reports)
            start = start_of(
                began,
                reports,
                program=spec.app.run is None,
                services=self.services,
                peers=await asyncio.to_thread(peers, worker.pid),
            )
            asked = time.monotonic()
            await probe(public.port, spec.app.ready or "/", spec.app.ready_host, REQUEST_SECONDS)
            first = Phase(FIRST_REQUEST, start.seconds, time.monotonic() - asked)
            yield replace(start, first_request=first), self.machinery.paths.home
        finally:
            await generation.retire(GRACE_SECONDS)
            public.let_go()


@contextlib.asynccontextmanager
async def scratch(services: Mapping[str, ServiceSettings]) -> AsyncIterator[Scratch]:
    """What scratch workers need; at the end no process of theirs is left."""
    with tempfile.TemporaryDirectory(prefix="oatie-profile-", ignore_cleanup_errors=True) as directory:
        paths = StatePaths(Path(directory))
        paths.ensure()
        become_subreaper()
        reaper = Reaper()
        reaper.install()
        sink = LogSink(paths.logs, LOG_BYTES, 1, echo=False)
        machinery = Machinery(paths, sink, reaper)
        reaper.expect(machinery.guarded.pid, lambda _ended: None)
        try:
            yield Scratch(machinery, services)
        finally:
            # One that was being forked when we were interrupted ends by itself, and is then accounted for.
            deadline = time.monotonic() + END_SECONDS
            while machinery.living and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
            reaper.uninstall()
            machinery.close()
            sink.close()


async def _born(generation: Generation) -> Worker:
    """An interrupt waits for the fork that is under way, so that the new process is known and ended."""
    birth = asyncio.ensure_future(generation.add_worker())
    try:
        return await asyncio.shield(birth)
    except asyncio.CancelledError:
        with contextlib.suppress(OatieError):
            await birth
        raise


async def _accepted(generation: Generation, worker: Worker) -> None:
    try:
        await generation.accept_worker(worker)
    except (ChildProcessError, TimeoutError) as error:
        raise OatieError("the application passed its gate and then did not serve", why=str(error)) from error


@contextlib.contextmanager
def _stderr_to(path: Path | None) -> Iterator[None]:
    """For the processes that are started meanwhile."""
    if path is None:
        yield
        return
    before = os.dup(2)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.dup2(file, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(file)


def _inside(home: Path) -> Inside:
    try:
        told = json.loads((home / detail.DETAIL_FILE).read_text())
    except (OSError, ValueError):
        return Inside()
    application, server = (
        importtime.parse(_text(home / name)) for name in (detail.IMPORTS_FILE, "server.txt")
    )
    samples = tuple(told["samples"])
    return Inside(
        tuple(application), tuple(server), told["modules"], told["uncached"], waits_of(samples), samples
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
