"""One worker process of a Python application: a uvicorn server that accepts only when told to.

It listens on a private socket from the start, so that it can be asked whether it is ready, and on the
public one between ``accept`` and ``drain``. Orders and reports are JSON lines on the control socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import faulthandler
import json
import logging
import os
import signal
import socket
import sys
import time
from array import array
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from uvicorn.config import Config
from uvicorn.server import Server, ServerState

from oatie_ops.degradation import reader as readers
from oatie_ops.degradation.middleware import OatieMiddleware
from oatie_ops.degradation.reader import Reader
from oatie_ops.records import dataclass
from oatie_ops.supervisor import descriptors, stats
from oatie_ops.supervisor.accepting import Acceptor
from oatie_ops.supervisor.connecting import ConnectionWatch
from oatie_ops.supervisor.loading import load_application
from oatie_ops.supervisor.observe import Observer, RaisedCounter
from oatie_ops.supervisor.protocol import EXIT_BOOT_FAILED, STACK_SIGNAL
from oatie_ops.supervisor.reporting import Reporter
from oatie_ops.supervisor.spec import app_from_dict

if TYPE_CHECKING:
    from oatie_ops.performance.detail import Detail
    from oatie_ops.supervisor.stats import Slot

BEAT_SECONDS = 1.0
DRAIN_POLL_SECONDS = 0.02
# A connection that the kernel has accepted but the loop has not yet seen is in no set; three empty
# looks in a row are far longer than that gap.
EMPTY_LOOKS = 3
# Above this many requests in a tenth of a second, one tenth in eight is timed, and the rest only counted.
HEAVY_REQUESTS_PER_TICK = 50
TIMED_TICKS = 8
STOP_GRACE_SECONDS = 1
GATE_BACKLOG = 16
PROFILE_TO = "OATIE_PROFILE_TO"
MAX_FDS = 4


@dataclass(frozen=True)
class WorkerSockets:
    control: socket.socket
    private: socket.socket
    stats_fd: int


def run_worker(order: dict[str, Any], sockets: WorkerSockets) -> int:
    """Runs until told to stop; the process's exit code."""
    app = app_from_dict(order["app"])
    faulthandler.register(STACK_SIGNAL, file=sys.stderr, all_threads=True)
    slot = stats.open_slot(sockets.stats_fd, order["slot"])
    reporter = Reporter(sockets.control)
    descriptors.take()
    # Made first, because it sets logging up, which the application may then change as it likes.
    config = Config(
        "",
        interface="asgi3",
        loop=app.loop if app.loop in ("auto", "asyncio", "uvloop") else "auto",
        http=app.http if app.http in ("auto", "h11", "httptools") else "auto",
        ws=cast("type[asyncio.Protocol]", _websocket_protocol),
        log_level=app.log_level.lower(),
        access_log=app.access_log,
        timeout_keep_alive=max(1, round(app.keep_alive_seconds)),
        timeout_graceful_shutdown=max(1, round(app.stop_timeout_seconds)),
        server_header=False,
        proxy_headers=False,  # the observer does it, cheaper
    )
    # Before the application is imported, so that its own middleware and library calls use this one.
    switches = readers.adopt(Reader(readers.shared_path(), worker=order["slot"]))
    detail = _detail(order["directory"])
    if detail is not None:
        detail.begin()
    watch = ConnectionWatch()
    watch.begin()
    try:
        application = load_application(app)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is reported, and the worker ends
        reporter.boot_failed(error, order["directory"])
        return EXIT_BOOT_FAILED
    reporter.send("loaded", times=order.get("times", {}))
    config.app = observer = Observer(OatieMiddleware(application))
    logging.getLogger("uvicorn.error").addFilter(RaisedCounter(observer))
    server = WorkerServer(
        config,
        sockets,
        slot,
        observer,
        reporter,
        switches=switches,
        watch=watch,
        drain_seconds=app.drain_seconds,
    )
    server.detail = detail
    # The same as Server.run, which some versions of uvicorn write differently.
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        try:
            runner.run(server.serve())
        except SystemExit as error:
            return error.code if isinstance(error.code, int) else 1
    return 0


def _detail(directory: str) -> Detail | None:
    """Only in the scratch worker of `oatie profile`."""
    if PROFILE_TO not in os.environ:
        return None
    from oatie_ops.performance.detail import detail_of_this_start

    return detail_of_this_start(directory)


def _websocket_protocol(**arguments: Any) -> Any:
    """uvicorn's choice of websocket protocol, imported at the first upgrade: it costs a tenth of a boot."""
    from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

    assert AutoWebSocketsProtocol is not None  # websockets is a dependency of ours
    return AutoWebSocketsProtocol(**arguments)


class WorkerServer(Server):
    """A uvicorn server whose public listener can be opened, closed and opened again."""

    def __init__(
        self,
        config: Config,
        sockets: WorkerSockets,
        slot: Slot,
        observer: Observer,
        reporter: Reporter,
        *,
        switches: Reader,
        watch: ConnectionWatch,
        drain_seconds: float,
    ) -> None:
        super().__init__(config)
        self._switches = switches
        self._watch = watch
        self.detail: Detail | None = None
        self._sockets = sockets
        self._slot = slot
        self._observer = observer
        self._reporter = reporter
        self._listening: socket.socket | None = None
        self._orders: asyncio.Queue[str] = asyncio.Queue()
        self._listeners: deque[socket.socket] = deque()
        self._public: Acceptor | None = None
        self._private: asyncio.AbstractServer | None = None
        self._private_state = ServerState()
        self._drain_task: asyncio.Task[None] | None = None
        self._drain_seconds = drain_seconds
        self._leaving = False
        self._buffer = b""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._beat()
        if self.detail is not None:
            self.detail.looping(asyncio.get_running_loop())
        os.register_at_fork(after_in_child=self._forget_sockets)
        try:
            await super().startup(sockets=[])
        except SystemExit:
            self._reporter.send(
                "boot-failed",
                error="the application's startup (lifespan) failed",
                where="",
                deterministic=False,
            )
            raise
        if self.should_exit:
            return
        self._private = await asyncio.get_running_loop().create_server(
            self._private_protocol, sock=self._sockets.private, backlog=GATE_BACKLOG
        )
        asyncio.get_running_loop().add_reader(self._sockets.control, self._read_orders)
        self._obeying = asyncio.get_running_loop().create_task(self._obey_orders())
        connections = self._watch.end()
        if self.detail is not None:
            self.detail.end()
        self._reporter.send("booted", pid=os.getpid(), connections=connections)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._close_public()
        if self._private is not None:
            self._private.close()
        await super().shutdown(sockets=[])
        self._publish()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # SIGINT is the supervisor's business; SIGTERM from outside means: finish what you have and go.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._exit_gracefully)
        yield

    def _beat(self) -> None:
        now, before = time.monotonic(), self._slot[stats.BEAT]
        self._slot[stats.LAG] = max(0.0, now - before - BEAT_SECONDS) if before else 0.0
        self._slot[stats.BEAT] = now
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)

    async def on_tick(self, counter: int) -> bool:
        """uvicorn's, ten times a second: here what was counted becomes visible to the supervisor."""
        before = self._slot[stats.REQUESTS]
        self._publish()
        if self._public is not None and descriptors.running_out(
            self._sockets.control.fileno(), len(self.server_state.connections)
        ):
            self._leave("it has no file descriptors left, and not for its connections: something leaks")
        self._switches.look()
        if not before and self._slot[stats.REQUESTS]:
            self._reporter.send(
                "first-request", seconds=self._observer.seconds / max(1, self._observer.timed)
            )
        heavy = self._slot[stats.REQUESTS] - before > HEAVY_REQUESTS_PER_TICK
        self._observer.timing = not heavy or counter % TIMED_TICKS == 0
        return await super().on_tick(counter)

    def _publish(self) -> None:
        slot, state, observer = self._slot, self.server_state, self._observer
        slot[stats.CONNECTIONS] = float(len(state.connections))
        slot[stats.IN_FLIGHT] = float(len(state.tasks))
        slot[stats.REQUESTS] = float(state.total_requests)
        slot[stats.ERRORS] = float(observer.errors)
        if slot[stats.TIMED] != observer.timed:
            slot[stats.TIMED] = float(observer.timed)
            slot[stats.SECONDS] = observer.seconds
            slot[stats.FIRST_BUCKET :] = array("d", observer.buckets)
        slot[stats.FIRST_REPEAT : stats.FIRST_BUCKET] = array("d", observer.repeats.counts)

    def _read_orders(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._sockets.control, 65536, MAX_FDS)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, fds = b"", []
        self._listeners.extend(socket.socket(fileno=fd) for fd in fds)
        if not data:
            asyncio.get_running_loop().remove_reader(self._sockets.control)
            self.should_exit = True
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._orders.put_nowait(json.loads(line)["order"])

    async def _obey_orders(self) -> None:
        """One after the other: an order to drain must find what the order to accept before it has opened."""
        while True:
            order = await self._orders.get()
            if order == "accept":
                listener = self._listeners.popleft()
                if self._leaving:  # whoever orders it sees it end
                    listener.close()
                    continue
                self._accept(listener)
                self._reporter.send("accepting")
            elif order == "drain":
                self._drain()
                self._reporter.send("draining")
            elif order == "look":
                self._switches.look()
            elif order == "stop":
                # Whoever had to be waited for has been waited for in the drain.
                self.config.timeout_graceful_shutdown = STOP_GRACE_SECONDS
                self._close_public()
                self.should_exit = True

    def _accept(self, listener: socket.socket) -> None:
        if self._drain_task is not None:
            self._drain_task.cancel()
            self._drain_task = None
        self._observer.draining = False
        if self._public is None:
            self._listening = listener
            self._public = Acceptor(listener, self._protocol, lambda: self.server_state.total_requests)
        else:
            listener.close()
        self._slot[stats.ACCEPTING] = 1.0

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def _private_protocol(self) -> asyncio.Protocol:
        """For the gate's own questions: the bare application and a state of their own.

        They are not a user's traffic, so they are neither counted nor waited for in a drain.
        """
        config = copy.copy(self.config)
        # Not degraded either: a deploy must be able to bring the cure.
        config.loaded_app = self._observer.application.app
        return config.http_protocol_class(  # type: ignore[call-arg]
            config=config, server_state=self._private_state, app_state=self.lifespan.state
        )

    def _forget_sockets(self) -> None:
        """In a process that the application forks: it must not hold the port when this worker is gone."""
        for sock in (self._listening, self._sockets.private, self._sockets.control):
            if sock is not None and sock.fileno() >= 0:
                os.close(sock.fileno())

    def _close_public(self) -> None:
        if self._public is not None:
            self._public.close()
            self._public = None
        self._slot[stats.ACCEPTING] = 0.0

    def _drain(self) -> None:
        self._close_public()
        self._observer.draining = True
        if self._drain_task is None:
            self._drain_task = asyncio.get_running_loop().create_task(self._watch_drain())

    async def _watch_drain(self) -> None:
        empty = 0
        while empty < EMPTY_LOOKS:
            await asyncio.sleep(DRAIN_POLL_SECONDS)
            self._publish()
            busy = self.server_state.connections or self.server_state.tasks
            empty = 0 if busy else empty + 1
        self._reporter.send("drained")

    def _exit_gracefully(self) -> None:
        """SIGTERM from outside."""
        self._leave("")

    def _leave(self, why: str) -> None:
        """Of its own accord: lets every connection leave by itself, as in a drain, then stops."""
        self._leaving = True
        self._drain()
        self._reporter.send("terminating", why=why)
        seconds = self._drain_seconds if why else self.config.timeout_graceful_shutdown

        async def finish() -> None:
            assert self._drain_task is not None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._drain_task), seconds)
            self.should_exit = True

        asyncio.get_running_loop().create_task(finish())
