"""The `process` target: the switch protocol, spoken to the supervisor of this checkout.

The switch is a lease. One connection stays open for its whole length (in a thread of its own); when this
process dies, however it dies, the connection closes and the supervisor steps back by itself.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from oatie_ops.config.settings import Settings
from oatie_ops.deployment.targets.base import Running, Tell
from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.identity import ProcessIdentity
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.client import ControlClient, NotRunning, error_from_dict
from oatie_ops.supervisor.spec import ReleaseSpec

# A lease that was just lost (its owner was killed) is being cleaned up for a moment.
OPEN_RETRY_SECONDS = 15.0
LEAVE_SECONDS = 15.0
POLL_SECONDS = 0.05
LEASE_SILENCE_SECONDS = 60.0


class ProcessTarget:
    """See `SwitchTarget`. One object serves one run."""

    def __init__(self, settings: Settings, paths: StatePaths, actor: str) -> None:
        self._settings, self._paths, self._actor = settings, paths, actor
        self._client = ControlClient(paths.control_socket)
        self._switch: Lease | None = None
        self._started: ProcessIdentity | None = None

    def running(self) -> Running | None:
        try:
            return running_from(self._client.call("GET", "/control/status"))
        except NotRunning:
            return None

    def start_supervisor(self) -> int:
        from oatie_ops.supervisor.daemon import spawn

        pid = spawn(self._settings, empty=True)
        self._started = ProcessIdentity.of(pid)
        return pid

    def supervisor_gone(self) -> None:
        started = self._started
        if started is None:
            return
        if not _until(lambda: not started.alive(), LEAVE_SECONDS / 3):
            self._client.call("POST", "/control/stop", {"timeout_seconds": 5.0})
        if not _until(lambda: not started.alive(), LEAVE_SECONDS):
            raise OatieError(
                "the supervisor that this deploy started is still there",
                why=f"process {started.pid} was asked to leave {LEAVE_SECONDS:g} s ago",
                fix="`oatie stop`, and see `oatie logs`",
            )

    def spawn(self, spec: ReleaseSpec, *, health_check: bool) -> tuple[int, ...]:
        body = {"release": spec.to_dict(), "health_check": health_check, "actor": self._actor}
        self._switch = self._open(body)
        answer = self._call("spawn")
        return tuple(int(worker["pid"]) for worker in answer.get("workers", ()))

    def gate(self, tell: Tell) -> float:
        last = self._watch("gate", None, tell)
        return float(last.get("seconds", 0.0))

    def promote(self) -> float:
        # Old workers close their listeners, new ones open theirs; a program needs its whole start.
        seconds = self._settings.app.ready_timeout_seconds + self._settings.app.stop_timeout_seconds + 30
        return float(self._call("promote", timeout_seconds=seconds).get("cutover_ms", 0.0))

    def drain(self, tell: Tell) -> None:
        self._watch("drain", None, tell)

    def bake(self, seconds: float, max_error_ratio: float, tell: Tell) -> None:
        self._watch("bake", {"seconds": seconds, "max_error_ratio": max_error_ratio}, tell)

    def commit(self) -> None:
        self._call("commit", timeout_seconds=60.0)
        self._switch = None

    def abort(self) -> None:
        if self._switch is None:
            return
        app = self._settings.app
        try:
            seconds = app.drain_seconds + app.stop_timeout_seconds + 30
            self._client.call("POST", self._switch.path("abort"), timeout_seconds=seconds)
        except NotRunning:
            pass  # noqa: S110 - it is gone, and its workers with it: there is nothing to step back from
        self._switch = None

    def _open(self, body: dict[str, Any]) -> Lease:
        deadline = time.monotonic() + OPEN_RETRY_SECONDS
        while True:
            try:
                return Lease(lambda: self._client.stream("POST", "/control/switch", body, LEASE_SILENCE_SECONDS))
            except OatieError as error:
                if error.exit_code != ExitCode.LOCKED or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)

    def _call(self, verb: str, body: Any = None, timeout_seconds: float = 30.0) -> dict[str, Any]:
        return self._client.call("POST", self._lease().path(verb), body, timeout_seconds)

    def _watch(self, verb: str, body: Any, tell: Tell) -> dict[str, Any]:
        for event in self._client.stream("POST", self._lease().path(verb), body):
            if event.get("event") == "failed":
                raise error_from_dict(event.get("error", {}))
            if event.get("event") in ("passed", "drained"):
                return event
            if said := sentence(event):
                tell(said)
        raise OatieError(
            f"the supervisor broke off during {verb}",
            why="its answer ended without a verdict",
            fix="see `oatie status` and `oatie logs`",
        )

    def _lease(self) -> Lease:
        assert self._switch is not None, "spawn opens the switch"
        return self._switch


class Lease:
    """Holds ``POST /control/switch`` open and reads its ticks in a thread, until this process ends."""

    def __init__(self, stream: Callable[[], Iterator[dict[str, Any]]]) -> None:
        first: queue.Queue[dict[str, Any] | OatieError] = queue.Queue()
        self._thread = threading.Thread(target=_hold, args=(stream, first), name="switch-lease", daemon=True)
        self._thread.start()
        opened = first.get()
        if isinstance(opened, OatieError):
            raise opened
        self._id = str(opened["switch"])

    def path(self, verb: str) -> str:
        return f"/control/switch/{self._id}/{verb}"


def _hold(
    stream: Callable[[], Iterator[dict[str, Any]]], first: queue.Queue[dict[str, Any] | OatieError]
) -> None:
    try:
        for event in stream():
            if event.get("event") == "opened":
                first.put(event)
        first.put(OatieError("the supervisor closed the switch before it was open"))
    except OatieError as error:
        # Later than the first event, the next verb meets the same trouble and explains it.
        first.put(error)


def running_from(status: dict[str, Any]) -> Running:
    """The object of ``GET /control/status``, reduced to what a deploy decides on."""
    workers = [worker for worker in status.get("workers", ()) if worker.get("pid")]
    return Running(
        supervisor_pid=int(status["supervisor"]["pid"]),
        release=status.get("release"),
        state=str(status.get("state", "")),
        app_url=(status.get("app") or {}).get("url"),
        ops_url=(status.get("ops") or {}).get("url"),
        worker_pids=tuple(int(worker["pid"]) for worker in workers),
        worker_rss_bytes=tuple(int(worker["rss_bytes"]) for worker in workers if worker.get("rss_bytes")),
    )


def sentence(event: dict[str, Any]) -> str:
    """What a line of a stream means for the person who waits."""
    match event.get("event"):
        case "waiting":
            return f"worker {event.get('worker')}: {event.get('why')}"
        case "draining":
            return f"{_count(event, 'connections')} open, {_count(event, 'in_flight')} in flight"
        case "baking":
            return f"{float(event.get('left_seconds', 0)):.0f} s left"
        case _:
            return ""


def _count(event: dict[str, Any], key: str) -> str:
    value = event.get(key)
    return "unknown" if value is None else f"{value} {'connections' if key == 'connections' else 'requests'}"


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
