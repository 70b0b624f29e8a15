"""``oatie stop``: ends the supervisor and its workers, and returns when they are gone."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from oatie_ops.cli.context import Context
from oatie_ops.cli.output import emit_json, emit_report, warn
from oatie_ops.cli.waiting import Waiting
from oatie_ops.errors import OatieError
from oatie_ops.identity import ProcessIdentity, pid_namespace
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.client import ControlClient, NotRunning
from oatie_ops.supervisor.pidfile import live_owner

SCHEMA = "oatie.stop/v1"
POLL_SECONDS = 0.05
TELL_SECONDS = 0.5
# On top of what the supervisor may take: for its own end, after its workers'.
GRACE_SECONDS = 10.0
# On top of the time-out that was asked for, before the order is given again.
HURRY_SECONDS = 1.0
# Where the supervisor does not say how long it may take.
DEFAULT_DEADLINE_SECONDS = 120.0


def command(
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="SECONDS", help="How long requests in flight may take.  [default: the app's drain]"
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object: status, pid, seconds.")] = False,
) -> None:
    """Stop the supervisor and its workers, gracefully.

    No new connection is accepted, requests in flight are answered, then everything ends. Returns when no
    process is left. It is not an error where nothing runs.
    """
    begun = time.monotonic()
    paths = Context().paths
    if (count := stop_on_engine(paths, timeout, quiet=json)) is not None:
        seconds = round(time.monotonic() - begun, 3)
        status = "stopped" if count else "not running"
        if json:
            emit_json(
                {"schema": SCHEMA, "status": status, "pid": None, "replicas": count, "seconds": seconds}
            )
        else:
            plural = "" if count == 1 else "s"
            emit_report(
                f"stopped {count} replica{plural} in {seconds:.1f}s"
                if count
                else f"{status}: nothing to stop"
            )
        return
    with Waiting(quiet=json) as waiting:
        pid = stop(paths, timeout, waiting.update)
    seconds = round(time.monotonic() - begun, 3)
    if json:
        emit_json(
            {"schema": SCHEMA, "status": "stopped" if pid else "not running", "pid": pid, "seconds": seconds}
        )
    else:
        emit_report(
            f"stopped (pid {pid}) in {seconds:.1f}s" if pid else "not running: there is nothing to stop"
        )


def stop_on_engine(paths: StatePaths, timeout_seconds: float | None, *, quiet: bool) -> int | None:
    """How many replicas were stopped; None where it is processes of this host that may run."""
    if live_owner(paths.supervisor_pid) is not None:
        return None
    from oatie_ops.cli.on_engine import locked, serving_engine

    engine = serving_engine(paths)
    if engine is None:
        return None
    with Waiting(quiet=quiet) as waiting, locked(paths, "stop"):
        return engine.stop(timeout_seconds, waiting.update)


def stop(paths: StatePaths, timeout_seconds: float | None, tell: Callable[[str], None]) -> int | None:
    """The pid of the supervisor that was stopped, None where none ran.

    Raises `OatieError` where something is left at the deadline.
    """
    client = ControlClient(paths.control_socket)
    try:
        status = client.call("GET", "/control/status")
        processes = running(status)
        order = {"timeout_seconds": timeout_seconds, "quick": timeout_seconds == 0}
        answer = client.call("POST", "/control/stop", order)
    except NotRunning:
        owner = live_owner(paths.supervisor_pid)
        return _stop_by_signal(owner, timeout_seconds, tell) if owner else None
    except OatieError as error:
        owner = live_owner(paths.supervisor_pid)
        if owner is None:
            raise
        warn(f"{error.what} ({error.why}); stopping it by signal")
        return _stop_by_signal(owner, timeout_seconds, tell)
    if timeout_seconds is None:
        patience = float(answer.get("deadline_seconds") or DEFAULT_DEADLINE_SECONDS) + GRACE_SECONDS
    else:
        patience = timeout_seconds + HURRY_SECONDS
    if answer.get("pid_namespace", pid_namespace()) != pid_namespace():
        _wait_for_silence(client, patience, tell)
        return int(status["supervisor"]["pid"])
    try:
        _wait(processes, patience, lambda: tell(_progress(client, processes)))
    except OatieError:
        if timeout_seconds is None:
            raise
        _hurry(client)
        _wait(processes, GRACE_SECONDS, lambda: tell(_progress(client, processes)))
    return int(status["supervisor"]["pid"])


def _wait_for_silence(client: ControlClient, seconds: float, tell: Callable[[str], None]) -> None:
    """For a supervisor in another pid namespace (a container), whose pids are those of others here."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            client.call("GET", "/control/status", timeout_seconds=1)
        except NotRunning:
            return
        except OatieError as error:
            if time.monotonic() >= deadline:
                raise
            tell(f"waiting for the supervisor: {error.why}")
        if time.monotonic() >= deadline:
            raise OatieError(
                "not everything has stopped",
                why=f"the supervisor, in another pid namespace, still answers after {seconds:.0f}s",
                fix="wait and look at `oatie status`, or end it now with `oatie stop --timeout 0`",
            )
        time.sleep(POLL_SECONDS)


def _hurry(client: ControlClient) -> None:
    """A second order to stop cuts what is still in flight."""
    with contextlib.suppress(NotRunning):
        client.call("POST", "/control/stop", {"quick": True})


def running(status: Mapping[str, Any]) -> dict[str, ProcessIdentity]:
    """The processes that have to go, by what they are."""
    pids = {f"worker {worker['id']}": worker["pid"] for worker in status["workers"]}
    pids["supervisor"] = status["supervisor"]["pid"]
    found = {name: ProcessIdentity.of(pid) for name, pid in pids.items() if pid}
    return {name: identity for name, identity in found.items() if identity is not None}


def _progress(client: ControlClient, processes: Mapping[str, ProcessIdentity]) -> str:
    left = [name for name, identity in processes.items() if identity.alive()]
    try:
        workers = client.call("GET", "/control/status", timeout_seconds=1)["workers"]
    except OatieError:
        workers = []
    in_flight = sum(worker.get("in_flight") or 0 for worker in workers)
    connections = sum(worker.get("connections") or 0 for worker in workers)
    return f"waiting for {', '.join(left)}: {connections} connections, {in_flight} requests in flight"


def _stop_by_signal(
    owner: ProcessIdentity, timeout_seconds: float | None, tell: Callable[[str], None]
) -> int:
    """For a supervisor that takes no orders: TERM, and KILL at the deadline (its workers die with it)."""
    processes = {"supervisor": owner}
    _signal(owner, signal.SIGTERM)
    try:
        deadline = DEFAULT_DEADLINE_SECONDS if timeout_seconds is None else timeout_seconds + GRACE_SECONDS
        _wait(
            processes, deadline, lambda: tell(f"waiting for the supervisor (pid {owner.pid}) after SIGTERM")
        )
    except OatieError:
        warn(f"the supervisor (pid {owner.pid}) did not stop in time; killing it")
        _signal(owner, signal.SIGKILL)
        _wait(processes, GRACE_SECONDS, lambda: tell("waiting for the killed supervisor"))
    return owner.pid


def _signal(owner: ProcessIdentity, number: signal.Signals) -> None:
    if owner.alive():
        os.kill(owner.pid, number)


def _wait(processes: Mapping[str, ProcessIdentity], seconds: float, tell: Callable[[], None]) -> None:
    deadline = time.monotonic() + seconds
    told = time.monotonic()
    while left := {name: identity for name, identity in processes.items() if identity.alive()}:
        if time.monotonic() >= deadline:
            names = ", ".join(f"{name} (pid {identity.pid})" for name, identity in left.items())
            raise OatieError(
                "not everything has stopped",
                why=f"after {seconds:.0f}s there is still {names}",
                fix="wait and look at `oatie status`, or end it now with `oatie stop --timeout 0`",
            )
        if time.monotonic() - told >= TELL_SECONDS:
            tell()
            told = time.monotonic()
        time.sleep(POLL_SECONDS)
