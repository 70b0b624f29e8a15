"""The supervisor as a process: from settings to an exit code."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Coroutine
from dataclasses import field
from typing import Any

from oatie_ops.claim import claim
from oatie_ops.config.settings import Settings
from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.paths import StatePaths
from oatie_ops.records import dataclass
from oatie_ops.recovery.breaker.declared import publish_declared
from oatie_ops.supervisor.death import become_subreaper
from oatie_ops.supervisor.launcher import ForkServer, early_environment, launch_key
from oatie_ops.supervisor.listen import PublicSocket
from oatie_ops.supervisor.logs import LogSink
from oatie_ops.supervisor.machinery import Machinery
from oatie_ops.supervisor.memory import give_back, keep_what_began, stay_small, trim_forever
from oatie_ops.supervisor.notify import Notifier
from oatie_ops.supervisor.ops_listener import OpsListener
from oatie_ops.supervisor.options import Report, RunOptions
from oatie_ops.supervisor.pidfile import PidFile
from oatie_ops.supervisor.reaper import Reaper
from oatie_ops.supervisor.server_import import import_server_alone
from oatie_ops.supervisor.signals import install_signals
from oatie_ops.supervisor.spec import ReleaseSpec
from oatie_ops.supervisor.supervisor import Supervisor

# How long a slow boot may keep these imports waiting.
CONTROL_IMPORT_SECONDS = 1.0
OPS_IMPORT_SECONDS = 5.0
VERDICT_SECONDS = 5.0
REACHABLE_SECONDS = 2.0
# A thread that computes gives way to the event loop after this long, instead of Python's five milliseconds.
SWITCH_SECONDS = 0.001


def run(
    settings: Settings, paths: StatePaths, spec: ReleaseSpec | None, options: RunOptions | None = None
) -> int:
    """Supervises until told to stop; the process's exit code.

    ``spec`` None starts empty, for a deploy that brings the first release. Raises `OatieError` for what is
    wrong before the first worker (another supervisor, a taken port, an unwritable directory), and when the
    first worker fails in a way that trying again cannot mend.
    """
    options = options or RunOptions()
    report = Report(options.report_fd)
    try:
        asyncio.run(_Main(settings, paths, spec, options, report).run())
        return int(ExitCode.OK)
    except OatieError as error:
        report.send({"event": "failed", "error": error.as_dict()})
        raise


@dataclass
class _Main:
    settings: Settings
    paths: StatePaths
    spec: ReleaseSpec | None
    options: RunOptions
    report: Report
    failure: OatieError | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Raises the reason for which nothing could be started."""
        stay_small()
        sys.setswitchinterval(SWITCH_SECONDS)
        self.paths.ensure()
        claim(self.paths, self.settings.root)
        with contextlib.ExitStack() as stack:
            stack.enter_context(PidFile(self.paths.supervisor_pid))
            supervisor = self._make_supervisor(stack)
            if self.options.pid_file is not None:
                stack.enter_context(PidFile(self.options.pid_file, plain=True))
            install_signals(supervisor)
            self._install_switches(supervisor)
            generation = self._prepare_first(supervisor)
            control = self._bind_control(stack)
            if generation is not None:
                supervisor.fleet.adopt(generation)
                self._start(self._await_first(supervisor))
            else:
                self._start(supervisor.exit_if_left_empty())
                self.report.send({"event": "listening", "status": supervisor.status()})
            self._start(supervisor.tick_forever())
            await self._serve(supervisor, control, stack)
        if self.failure is not None:
            raise self.failure

    def _install_switches(self, supervisor: Supervisor) -> None:
        """A worker finds them at its first request: what was degraded stays so across a restart."""
        from oatie_ops.degradation.install import install
        from oatie_ops.degradation.rules import source_of

        try:
            install(self.paths, source_of(self.settings))
        except OatieError as error:
            supervisor.machinery.sink.note(f"switches are not obeyed: {error.what}: {error.why}")

    def _make_supervisor(self, stack: contextlib.ExitStack) -> Supervisor:
        app = self.settings.app
        public = PublicSocket(app.host, app.port)
        if app.front is None or app.port == 0:  # else Caddy may hold it already
            public.hold()
        logs = self.settings.logs
        sink = LogSink(self.paths.logs, logs.max_bytes, logs.keep_files, echo=self.options.echo)
        stack.callback(sink.close)
        become_subreaper()
        reaper = Reaper()
        reaper.install()
        machinery = Machinery(self.paths, sink, reaper)
        _keep_warden(machinery)
        stack.callback(machinery.close)
        stack.callback(reaper.uninstall)
        publish_declared(self.settings, self.paths)
        supervisor = Supervisor(self.settings, self.paths, machinery, Notifier.from_environment(), public)
        supervisor.started_empty = self.spec is None
        return supervisor

    def _prepare_first(self, supervisor: Supervisor) -> Any:
        spec, ready_made = self.spec, None
        if self.options.forkserver is not None:
            ready_made = ForkServer.started_early(*self.options.forkserver)
            supervisor.machinery.reaper.expect(ready_made.pid, lambda _ended: None)
            if spec is None or not _fits(ready_made, spec):
                ready_made.close()
                ready_made = None
        if spec is None:
            return None
        generation = supervisor.generations.make(spec, ready_made)
        generation.prepare()
        return generation

    def _bind_control(self, stack: contextlib.ExitStack) -> socket.socket:
        path = self.paths.control_socket
        path.unlink(missing_ok=True)  # ours: the pid file's lock is held
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        previous = os.umask(0o177)
        try:
            sock.bind(os.fspath(path))
        finally:
            os.umask(previous)
        sock.listen(128)
        stack.callback(lambda: path.unlink(missing_ok=True))
        return sock

    async def _serve(
        self, supervisor: Supervisor, control: socket.socket, stack: contextlib.ExitStack
    ) -> None:
        # The server's modules are most of a supervisor's start and would take the processor from the
        # workers' boot; nobody needs the control socket in the same moment (it listens already).
        await self._first_served_or_failed(supervisor, CONTROL_IMPORT_SECONDS)
        await asyncio.to_thread(_import_control)  # the gates of a slow boot go on
        from oatie_ops.supervisor.control import control_app
        from oatie_ops.supervisor.embedded import EmbeddedServer
        from oatie_ops.supervisor.late import LateApplication

        trusted = LateApplication()
        application = control_app(supervisor, trusted)
        self._start(EmbeddedServer(application, control).run_until_told())
        self._start(self._stay_reachable(supervisor, application, stack))
        ops_task = self._start(self._serve_ops(supervisor, trusted))
        if self.settings.history.measure:
            self._start(self._measure(supervisor))
        self._start(self._follow_load(supervisor))
        if self.options.dev:
            self._start(self._watch_files(supervisor))
        await supervisor.stopping.wait()
        await supervisor.shut_down()
        ops_task.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _measure(self, supervisor: Supervisor) -> None:
        """From the first served request on: a boot has better uses for the processor."""
        await self._first_served_or_failed(supervisor, OPS_IMPORT_SECONDS)
        from oatie_ops.supervisor.sampling import make_sampler

        supervisor.sampler = make_sampler(supervisor)
        supervisor.sampler.start()
        try:
            await supervisor.stopping.wait()
        finally:
            await asyncio.to_thread(supervisor.sampler.stop)

    async def _follow_load(self, supervisor: Supervisor) -> None:
        await self._first_served_or_failed(supervisor, OPS_IMPORT_SECONDS)
        from oatie_ops.supervisor.autoscale import follow

        await follow(supervisor)

    async def _stay_reachable(
        self, supervisor: Supervisor, application: Any, stack: contextlib.ExitStack
    ) -> None:
        """Somebody may remove the state directory of a supervisor that serves: it makes its own part anew."""
        from oatie_ops.supervisor.embedded import EmbeddedServer

        path = self.paths.control_socket
        ours = path.stat().st_ino
        while True:
            await asyncio.sleep(REACHABLE_SECONDS)
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == ours:
                    continue
            supervisor.machinery.sink.note(f"{path} was removed; making it and the pid file anew")
            self.paths.ensure()
            stack.enter_context(PidFile(self.paths.supervisor_pid))
            control = self._bind_control(stack)
            ours = path.stat().st_ino
            self._start(EmbeddedServer(application, control).run_until_told())

    async def _serve_ops(self, supervisor: Supervisor, trusted: Any) -> None:
        if self.options.ops is None:
            return
        listener = OpsListener(supervisor)
        listener.bind()
        await self._first_served_or_failed(supervisor, OPS_IMPORT_SECONDS)
        services = await asyncio.to_thread(self.options.ops, supervisor)
        trusted.arrive(services.trusted)
        if services.apply is not None:
            supervisor.apply_settings = services.apply
        await asyncio.to_thread(give_back)
        self._start(trim_forever())
        self._start(keep_what_began())
        await asyncio.gather(services.run(), listener.serve(services))

    async def _first_served_or_failed(self, supervisor: Supervisor, timeout_seconds: float) -> None:
        if self.spec is None:
            return
        waits = [
            asyncio.ensure_future(event.wait())
            for event in (supervisor.fleet.served, supervisor.fleet.hopeless)
        ]
        await asyncio.wait(waits, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _await_first(self, supervisor: Supervisor) -> None:
        """Tells the parent and systemd once the application serves; ends a start that cannot succeed."""
        assert self.spec is not None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.spec.app.ready_timeout_seconds
        told: OatieError | None = None
        while supervisor.state()[0] != "running":
            if (failure := supervisor.fleet.failure) is not None and told is None:
                told = failure
                self.report.trying(failure.why or failure.what)
            over = loop.time() - deadline
            # The gate's own deadline began later; its words are worth waiting for.
            spoken = supervisor.fleet.failure is not None
            impatient = self.options.health_check or self.options.report_fd is not None
            given_up = impatient and over > (0.0 if spoken else VERDICT_SECONDS)
            if (supervisor.fleet.hopeless.is_set() and not self.options.dev) or (
                given_up and not supervisor.fleet.served.is_set()
            ):
                self._give_up(supervisor)
                return
            if given_up:
                break
            await asyncio.sleep(0.02)
        supervisor.announce_ready()
        supervisor.machinery.sink.note(supervisor.headline())
        self.report.send({"event": "healthy", "status": supervisor.status()})

    def _give_up(self, supervisor: Supervisor) -> None:
        timeout = self.settings.app.ready_timeout_seconds
        self.failure = supervisor.fleet.failure or OatieError(
            "the application did not start",
            why=f"no worker was ready after {timeout:g} s",
            fix="see `oatie logs`, or raise app.ready_timeout in oatie.toml",
            details=[f"  | {line}" for line in supervisor.machinery.sink.tail(None, 30)],
        )
        self.report.send({"event": "failed", "error": self.failure.as_dict()})
        supervisor.stop(quick=True)

    async def _watch_files(self, supervisor: Supervisor) -> None:
        from oatie_ops.supervisor.dev import changes

        async for changed in changes(self.settings.root, self.paths.home):
            supervisor.machinery.sink.note(f"{changed} changed; reloading")
            supervisor.reload_soon("dev")

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            sys.stderr.write(f"oatie: internal error in the supervisor: {error!r}\n")


def _import_control() -> None:
    import_server_alone()
    import oatie_ops.supervisor.control
    import oatie_ops.supervisor.embedded
    import oatie_ops.supervisor.late  # noqa: F401


def _keep_warden(machinery: Machinery) -> None:
    def again(_ended: object) -> None:
        if machinery.guarded.closed:
            return
        machinery.guarded.start()
        _keep_warden(machinery)

    machinery.reaper.expect(machinery.guarded.pid, again)


def _fits(forkserver: ForkServer, spec: ReleaseSpec) -> bool:
    return spec.app.run is not None and forkserver.key == launch_key(spec.python, early_environment(spec))
