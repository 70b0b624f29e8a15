"""A candidate must be healthy to the engine *and* answer our own probe; otherwise it is explained why not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from oatie_ops.config.settings import AppSettings
from oatie_ops.deployment.containers.uncut import uncut
from oatie_ops.deployment.targets.base import BakeFailed, GateFailed, Tell
from oatie_ops.deployment.targets.docker.fleet import Container, Fleet
from oatie_ops.errors import OatieError
from oatie_ops.supervisor.probe import ProbeResult, probe

FAST_POLL_SECONDS = 0.05
SLOW_POLL_SECONDS = 0.25
FAST_PHASE_SECONDS = 2.0
PROBE_TIMEOUT_SECONDS = 5.0
LISTEN = "0A"


@dataclass(frozen=True)
class Seen:
    """What was seen of one container last."""

    container: Container | None
    probed: ProbeResult | None = None
    health_output: str = ""
    inside_port: int = 0
    listening: tuple[int, ...] = ()


def pass_gate(
    fleet: Fleet,
    identities: Collection[str],
    app: AppSettings,
    *,
    inside_port: int,
    health_check: bool,
    tell: Tell,
) -> float:
    """The seconds until all were ready. Raises `GateFailed`."""
    began = time.monotonic()
    waiting = list(identities)
    while waiting:
        seen = {identity: _see(fleet, identity, app, inside_port, health_check) for identity in waiting}
        for identity, one in seen.items():
            late = time.monotonic() - began > app.ready_timeout_seconds
            if _is_over(one) or (late and not _is_ready(one, app, health_check)):
                raise explain(_complete(fleet, identity, one), app, time.monotonic() - began, fleet)
        waiting = [each for each in waiting if not _is_ready(seen[each], app, health_check)]
        if waiting:
            tell(_waiting_for(seen[waiting[0]]))
            fast = time.monotonic() - began < FAST_PHASE_SECONDS
            time.sleep(FAST_POLL_SECONDS if fast else SLOW_POLL_SECONDS)
    return time.monotonic() - began


def still_good(fleet: Fleet, identities: Collection[str], app: AppSettings, inside_port: int) -> None:
    """During the bake: one look. Raises `BakeFailed`."""
    for identity in identities:
        one = _see(fleet, identity, app, inside_port, health_check=True)
        if _is_over(one) or (one.container is not None and one.container.restarts > 0):
            raise _as_bake(explain(_complete(fleet, identity, one), app, 0.0, fleet))
        if not _is_ready(one, app, health_check=True):
            # One slow answer is no verdict: asked once more.
            again = _see(fleet, identity, app, inside_port, health_check=True)
            if not _is_ready(again, app, health_check=True):
                raise _as_bake(explain(_complete(fleet, identity, again), app, 0.0, fleet))


def _as_bake(error: OatieError) -> BakeFailed:
    return BakeFailed(
        error.what.replace("did not become ready", "did not stay ready"),
        why=error.why,
        fix=error.fix,
        details=error.details,
        data=error.data,
    )


def _see(fleet: Fleet, identity: str, app: AppSettings, inside_port: int, health_check: bool) -> Seen:
    container = fleet.look(identity)
    if container is None or not container.running or not health_check or container.port is None:
        return Seen(container, inside_port=inside_port)
    asked = partial(probe, container.port, app.ready or "/", app.ready_host, PROBE_TIMEOUT_SECONDS)
    # In a thread: a signal's exception that is raised inside an event loop is swallowed by it.
    result = uncut(lambda: asyncio.run(asked()))
    return Seen(container, result, inside_port=inside_port)


def _is_over(one: Seen) -> bool:
    """It ended, or says itself that it is unhealthy: waiting longer changes nothing."""
    each = one.container
    return each is None or (not each.running and each.status != "created") or each.health == "unhealthy"


def _is_ready(one: Seen, app: AppSettings, health_check: bool) -> bool:
    each = one.container
    if each is None or not each.running:
        return False
    if not health_check:
        return True
    healthy = each.health in (None, "healthy")
    return healthy and one.probed is not None and one.probed.ready(declared=app.ready is not None)


def _waiting_for(one: Seen) -> str:
    each, result = one.container, one.probed
    assert each is not None
    if result is not None and (result.status is None or result.status >= 300):
        return f"{each.short}: GET {result.path}: {result.error or f'status {result.status}'}"
    return f"{each.short}: its health check says {each.health or each.status}"


def _complete(fleet: Fleet, identity: str, one: Seen) -> Seen:
    """With what is asked only of a container that failed."""
    from oatie_ops.deployment.containers.api import explained
    from oatie_ops.deployment.targets.docker.fleet import last_health_output

    if one.container is None:
        return one
    output = ""
    with explained("looking at a container", ignore=(404,)):
        output = last_health_output(fleet.engine.api.inspect_container(identity))
    listening = listening_ports(one.container.pid) if one.container.running else ()
    return Seen(one.container, one.probed, output, one.inside_port, listening)


def listening_ports(pid: int | None) -> tuple[int, ...]:
    """In the network namespace of this process of this machine; empty where that is not told."""
    ports: set[int] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        fields = (line.split() for line in lines)
        # Docker's own DNS server, on every user-defined network, is on 127.0.0.11.
        ports |= {
            int(each[1].rpartition(":")[2], 16)
            for each in fields
            if len(each) > 3 and each[3] == LISTEN and not each[1].startswith("0B00007F")
        }
    return tuple(sorted(ports))


def explain(one: Seen, app: AppSettings, waited_seconds: float, fleet: Fleet) -> GateFailed:
    why, fix = _reason(one, app, waited_seconds)
    each = one.container
    tail = fleet.log_tail(each.id) if each is not None else []
    release = each.release if each is not None else "?"
    return GateFailed(
        f"release {release} did not become ready",
        why=why,
        fix=fix,
        details=[f"  | {line}" for line in tail],
        data={
            "release": release,
            "container": each.name if each else None,
            "exit_code": each.exit_code if each and not each.running else None,
            "oom_killed": bool(each and each.oom_killed),
            "health": each.health if each else None,
            "probe": None
            if one.probed is None
            else {"path": one.probed.path, "status": one.probed.status, "error": one.probed.error},
            "listening_ports": list(one.listening),
        },
    )


def _reason(one: Seen, app: AppSettings, waited: float) -> tuple[str, str]:
    each, result = one.container, one.probed
    if each is None:
        return "its container is gone: somebody removed it", "deploy again"
    if each.oom_killed:
        return (
            f"{each.name} was killed: it used more memory than its limit",
            "raise [container] memory, or lower [app] workers",
        )
    if not each.running:
        if each.error:
            return f"{each.name} could not run: {each.error}", "mend the image or [container]"
        return (
            f"{each.name} ended with exit code {each.exit_code}",
            "it must stay in the foreground" if each.exit_code == 0 else "see its last log lines above",
        )
    if result is not None and not result.ready(declared=app.ready is not None):
        return _probe_reason(one, app, result, waited)
    if each.health == "unhealthy":
        said = f": {one.health_output}" if one.health_output else ""
        return (
            f"the health check of {each.name} failed{said}",
            "mend what it tests, or the check ([container] healthcheck, HEALTHCHECK in the Dockerfile)",
        )
    said = f"its health check still says {each.health!r}" if each.health else "it was not probed in time"
    return f"{said} after {waited:.1f} s", "raise [app] ready_timeout, or lower the interval of the check"


def _probe_reason(one: Seen, app: AppSettings, result: ProbeResult, waited: float) -> tuple[str, str]:
    after = f" for {waited:.1f} s" if waited >= 0.1 else ""
    if result.status is None:
        if one.listening and one.inside_port not in one.listening:
            ports = ", ".join(map(str, one.listening))
            return (
                f"nothing answers on port {one.inside_port} in the container{after}: it listens on {ports}",
                "make it listen on $PORT, or set [container] port",
            )
        if one.listening:
            return (
                f"GET {result.path}: {result.error}{after}, though it listens on port {one.inside_port}",
                "make it listen on 0.0.0.0, not only on 127.0.0.1 inside the container",
            )
        return (
            f"GET {result.path}: {result.error}{after}: it listens on no port",
            "see its last log lines above; it must listen on $PORT of 0.0.0.0",
        )
    answer = f"GET {result.path} answered {result.status}"
    if result.location:
        return (
            f"{answer} (redirect to {result.location}){after}; a redirect is not ready",
            "set app.ready to a path that answers 200 itself",
        )
    said = f": {result.body}" if result.body else ""
    if result.status == 404:
        return f"{answer}{said}", f"add the route {result.path}, or change app.ready in oatie.toml"
    if result.status == 400:
        return f"{answer}{said}", "if it refuses the Host header, set app.ready_host to a name that it serves"
    return (
        f"{answer}{said}{after}",
        "the application says itself that it is not ready: see its log lines above",
    )
