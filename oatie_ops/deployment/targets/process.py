"""The `process` target: the switch protocol, spoken to the supervisor of this checkout.

The switch is a lease. One connection stays open for its whole length (in a thread of its own); when this
process dies, however it dies, the connection closes and the supervisor steps back by itself.
"""

from __future__ import annotations

import base64
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from oatie_ops.config import live
from oatie_ops.config.settings import Settings
from oatie_ops.deployment.targets.base import (
    BakeFailed,
    GateFailed,
    PromotionFailed,
    Running,
    SpawnFailed,
    SupervisorStopped,
    Tell,
)
from oatie_ops.deployment.waiting import until
from oatie_ops.errors import Interrupted, OatieError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.paths import StatePaths
from oatie_ops.redaction import known_values
from oatie_ops.supervisor.client import ControlClient, NotRunning, error_from_dict
from oatie_ops.supervisor.pidfile import live_owner
from oatie_ops.supervisor.spec import ReleaseSpec

OPEN_SECONDS = 15.0
LEAVE_SECONDS = 15.0
POLL_SECONDS = 0.05
SILENCE_SECONDS = 60.0
# What a failure of each verb is called; a drain fails only where the bake's watch does.
FAILURES: dict[str, type[OatieError]] = {
    "spawn": SpawnFailed,
    "gate": GateFailed,
    "promote": PromotionFailed,
    "drain": BakeFailed,
    "bake": BakeFailed,
    "commit": BakeFailed,
}


class ProcessSupervisor:
    """The supervisor of this checkout, as far as clearing up needs it."""

    def __init__(self, paths: StatePaths) -> None:
        self._paths = paths
        self._client = ControlClient(paths.control_socket)

    def running(self) -> Running | None:
        try:
            return running_from(self._client.call("GET", "/control/status"))
        except NotRunning:
            return None
        except OatieError:
            if live_owner(self._paths.supervisor_pid) is None:  # it went away while it was asked
                return None
            raise

    def leave_if_empty(self) -> None:
        owner = live_owner(self._paths.supervisor_pid)
        if owner is None:
            return
        until(lambda: self.running() is not None or not owner.alive(), LEAVE_SECONDS)
        running = self.running()
        if running is not None and running.release is None:
            with suppress(NotRunning):
                self._client.call("POST", "/control/stop", {"timeout_seconds": 0.0, "quick": True})
        elif running is not None:
            return
        if not until(lambda: not owner.alive(), LEAVE_SECONDS):
            raise OatieError(
                "a supervisor that serves nothing is still there",
                why=f"process {owner.pid} was asked to leave {LEAVE_SECONDS:g} s ago",
                fix="`oatie stop`, and see `oatie logs`",
            )


class ProcessTarget(ProcessSupervisor):
    """See `SwitchTarget`. One object serves one run.

    ``ops_factory`` (``module:function``) makes the ops API of a supervisor that has to be started; it is
    handed in because this room does not know `oatie_ops.api`.
    """

    def __init__(self, settings: Settings, paths: StatePaths, actor: str, ops_factory: str | None) -> None:
        super().__init__(paths)
        self._settings, self._actor, self._ops_factory = settings, actor, ops_factory
        self._lease: Lease | None = None
        self._candidate = ""

    def start_supervisor(self) -> int:
        from oatie_ops.supervisor.daemon import start

        status = start(self._settings, self._paths, None, ops_factory=self._ops_factory)
        return int(status["supervisor"]["pid"])

    def spawn(self, spec: ReleaseSpec, *, health_check: bool, tell: Tell) -> tuple[int, ...]:
        self._candidate = spec.name
        body = {
            "release": spec.to_dict(),
            "health_check": health_check,
            "actor": self._actor,
            "declared": live.to_dict(self._settings),
            "secrets": [base64.b64encode(value).decode() for value in known_values()],
        }
        self._open(body, tell)
        answer = self._call("spawn")
        return tuple(int(worker["pid"]) for worker in answer.get("workers", ()))

    def gate(self, tell: Tell) -> float:
        last = self._watch("gate", None, tell)
        return float(last.get("seconds", 0.0))

    def promote(self) -> float:
        # A matter of milliseconds, but a program that binds the port itself stops and starts as a whole.
        seconds = self._switch_seconds() + self._settings.app.ready_timeout_seconds
        return float(self._call("promote", timeout_seconds=seconds).get("cutover_ms", 0.0))

    def drain(self, tell: Tell) -> str:
        if self._watch("drain", None, tell).get("complete", True):
            return "every connection left by itself"
        return f"the drain time of {self._settings.app.drain_seconds:g} s was over; what was left is cut"

    def bake(self, seconds: float, max_error_ratio: float, tell: Tell) -> None:
        self._watch("bake", {"seconds": seconds, "max_error_ratio": max_error_ratio}, tell)

    def commit(self) -> tuple[str, ...]:
        told: tuple[str, ...] = ()
        try:
            answer = self._call("commit", timeout_seconds=self._settings.app.stop_timeout_seconds + 30)
            told = tuple(answer.get("told", ()))
        except OatieError:
            # Was only the answer lost? What serves decides, as turning back would remove its files.
            running = self.running()
            if running is None or running.release != self._candidate or running.candidate is not None:
                raise
        self._lease = None
        return told

    def abort(self) -> None:
        if self._lease is not None and self._lease.is_open():
            try:
                path, seconds = self._lease.path("abort"), self._switch_seconds()
                self._client.call("POST", path, timeout_seconds=seconds)
            except OatieError:
                # Where the supervisor or the switch is gone, there is nothing left to step back from.
                running = self.running()
                if running is not None and running.has_candidate(self._candidate):
                    raise
        self._lease = None

    def _switch_seconds(self) -> float:
        """How long a switch may keep the supervisor busy with its workers."""
        return self._settings.app.drain_seconds + self._settings.app.stop_timeout_seconds + 30

    def _open(self, body: dict[str, Any], tell: Tell) -> None:
        """Waits for a reload that goes on, and for the end of a switch whose deploy was killed."""
        deadline = time.monotonic() + self._switch_seconds()
        while True:
            # Known before it is open: an interruption must find what there is to abort.
            self._lease = Lease(self._client, body)
            try:
                self._lease.open()
                return
            except OatieError as error:
                if error.exit_code != ExitCode.LOCKED or time.monotonic() > deadline:
                    raise
                tell(error.why or error.what)
                time.sleep(POLL_SECONDS)

    def _call(self, verb: str, body: Any = None, timeout_seconds: float = 30.0) -> dict[str, Any]:
        try:
            return self._client.call("POST", self._switch().path(verb), body, timeout_seconds)
        except OatieError as error:
            raise self._explained(verb, error) from None

    def _watch(self, verb: str, body: Any, tell: Tell) -> dict[str, Any]:
        try:
            for event in self._client.stream("POST", self._switch().path(verb), body):
                if event.get("event") == "failed":
                    raise error_from_dict(event.get("error", {}))
                if event.get("event") in ("passed", "drained"):
                    return event
                if said := sentence(event):
                    tell(said)
        except OatieError as error:
            raise self._explained(verb, error) from None
        broken_off = OatieError(
            f"the supervisor broke off during {verb}",
            why="its answer ended without a verdict",
            fix="see `oatie status` and `oatie logs`",
        )
        raise self._explained(verb, broken_off)

    def _explained(self, verb: str, error: OatieError) -> OatieError:
        """The same under the name of what failed, unless all that happened is that somebody stopped it."""
        if isinstance(error, Interrupted):
            return error
        try:
            running = self.running()
        except OatieError:
            return error
        if running is None or running.stopping:
            # A supervisor that ends in good order takes its pid file away.
            killed = self._paths.supervisor_pid.exists() and live_owner(self._paths.supervisor_pid) is None
            how = "was killed" if killed else "was stopped"
            return SupervisorStopped(
                f"the supervisor {how}",
                why=f"it {how} during the {verb} of release {self._candidate}, by somebody else",
                fix="`oatie logs` tells more; then deploy again, or `oatie start` what served before",
            )
        name = FAILURES.get(verb)
        if name is None or type(error) is not OatieError:
            return error
        return name(
            error.what,
            why=error.why,
            fix=error.fix,
            details=error.details,
            data=error.data,
            exit_code=error.exit_code,
        )

    def _switch(self) -> Lease:
        assert self._lease is not None, "spawn opens the switch"
        return self._lease


class Lease:
    """Holds ``POST /control/switch`` open and reads its ticks in a thread, until this process ends."""

    def __init__(self, client: ControlClient, body: dict[str, Any]) -> None:
        self._client, self._body = client, body
        self._opened: Future[str] = Future()
        self._thread = threading.Thread(target=self._hold, name="switch-lease", daemon=True)

    def open(self) -> None:
        """Returns once the supervisor has opened the switch; raises why it did not."""
        self._thread.start()
        self._opened.result(SILENCE_SECONDS)

    def is_open(self) -> bool:
        """False where it was refused or never asked. An answer that is still under way is waited for."""
        if not self._thread.is_alive() and not self._opened.done():
            return False
        try:
            return bool(self._opened.result(OPEN_SECONDS))
        except (OatieError, TimeoutError):
            return False

    def path(self, verb: str) -> str:
        return f"/control/switch/{self._opened.result()}/{verb}"

    def _hold(self) -> None:
        end = OatieError("the supervisor closed the switch before it was open", fix="see `oatie logs`")
        try:
            for event in self._client.stream("POST", "/control/switch", self._body, SILENCE_SECONDS):
                if event.get("event") == "opened":
                    self._opened.set_result(str(event["switch"]))
        except OatieError as error:
            end = error
        if not self._opened.done():  # later on, the next verb meets the same trouble and explains it
            self._opened.set_exception(end)


def running_from(status: dict[str, Any]) -> Running:
    """The object of ``GET /control/status``, reduced to what a deploy decides on."""
    workers = [worker for worker in status.get("workers", ()) if worker.get("pid")]
    return Running(
        supervisor_pid=int(status["supervisor"]["pid"]),
        release=status.get("release"),
        state=str(status.get("state", "")),
        app_url=(status.get("app") or {}).get("url"),
        ops_url=(status.get("ops") or {}).get("url"),
        port=_port(status.get("app") or {}),
        host=(status.get("app") or {}).get("host"),
        candidate=(status.get("switch") or {}).get("release"),
        stage=(status.get("switch") or {}).get("stage"),
        worker_releases=frozenset(str(worker.get("release")) for worker in workers),
        serving_releases=frozenset(str(worker.get("release")) for worker in workers if _serves(worker)),
        serving_workers=sum(map(_serves, workers)),
        worker_pids=tuple(int(worker["pid"]) for worker in workers),
        worker_rss_bytes=tuple(int(worker["rss_bytes"]) for worker in workers if worker.get("rss_bytes")),
    )


def _serves(worker: dict[str, Any]) -> bool:
    return worker.get("state") == "serving"


def _port(app: dict[str, Any]) -> int | None:
    """None where the address is that of a forwarder (https) and says nothing about this host."""
    if app.get("port"):
        return int(app["port"])
    parts = urlsplit(str(app.get("url") or ""))
    return (parts.port or 80) if parts.scheme == "http" else None


def sentence(event: dict[str, Any]) -> str:
    """What a line of a stream means for the person who waits."""
    match event.get("event"):
        case "waiting":
            return f"worker {event.get('worker')}: {event.get('why')}"
        case "draining":
            connections, requests = event.get("connections"), event.get("in_flight")
            return f"{_count(connections, 'connection')} open, {_count(requests, 'request')} in flight"
        case "baking":
            return f"{float(event.get('left_seconds', 0)):.0f} s left"
        case _:
            return ""


def _count(value: int | None, noun: str) -> str:
    return f"{'?' if value is None else value} {noun}{'' if value == 1 else 's'}"
