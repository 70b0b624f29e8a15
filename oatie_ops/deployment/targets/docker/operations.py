"""What commands do with containers that were deployed: status, start, stop, restart, scale, logs."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from oatie_ops.deployment.containers.api import explained
from oatie_ops.deployment.containers.inside import run_inside
from oatie_ops.deployment.containers.logs import follow, last_lines
from oatie_ops.deployment.targets.docker.fleet import APPLICATION, Container
from oatie_ops.deployment.targets.engine import LogQuery, Replica
from oatie_ops.deployment.targets.status import status_of
from oatie_ops.errors import OatieError

if TYPE_CHECKING:
    from collections.abc import Collection

    from oatie_ops.config.settings import Settings
    from oatie_ops.deployment.proxy.caddy import Proxy
    from oatie_ops.deployment.proxy.switch import Live
    from oatie_ops.deployment.targets.base import Tell
    from oatie_ops.deployment.targets.docker.fleet import Fleet
    from oatie_ops.deployment.targets.engine import Place
    from oatie_ops.deployment.targets.inside import Said
    from oatie_ops.supervisor.spec import ReleaseSpec


class Operations:
    """The part of `DockerTarget` that works on what was deployed."""

    fleet: Fleet
    proxy: Proxy
    _place: Place
    _settings: Settings | None
    _spec: ReleaseSpec | None
    _candidate: list[str]

    if TYPE_CHECKING:  # what `DockerTarget` brings

        def _live(self) -> Live | None: ...
        def _containers_of(self, live: Live) -> list[Container]: ...
        def _start_new(self, spec: ReleaseSpec, number: int) -> str: ...
        def gate(self, tell: Tell) -> float: ...
        def _promote(self, identities: Collection[str]) -> float: ...
        def _drained(self, ports: Collection[int], seconds: float, tell: Tell) -> str: ...
        def abort(self) -> None: ...

    def replicas(self) -> list[Replica]:
        live = self._live()
        return [] if live is None else [_replica(each) for each in self._containers_of(live)]

    def inside(self, replica: Replica, argv: Sequence[str]) -> Said:
        return run_inside(self.fleet.engine.host, replica.id, argv)

    def status(self) -> dict[str, Any]:
        live, found = self._live(), self.replicas()
        place = self.proxy.place
        stopped = bool(found) and all(each.state == "stopped" for each in found)
        detail = cut_off = ""
        if live is not None and not stopped and not self.proxy.is_installed():
            detail = "Caddy is away or has lost the route: `oatie start` puts it back"
            if self.proxy.sees() != live.name:
                cut_off, detail = f"no request reaches it: {detail}", ""
        app = {
            "url": place.wanted().url if live is not None and not stopped else None,
            "port": place.port,
            "name": self._place["service"],
            "ready": None,
            "ready_host": None,
        }
        return status_of(
            target="docker",
            release=live.release if live is not None else None,
            replicas=found,
            wanted=len(live.ports) if live is not None else 0,
            app=app,
            detail=detail,
            stopped=stopped,
            cut_off=cut_off,
        )

    def start(self, release: str, spec: ReleaseSpec, tell: Tell) -> None:
        live = self._live()
        if live is None or live.release != release:
            raise OatieError(
                f"release {release} has no containers to start",
                why="they were removed",
                fix="`oatie deploy`, or `oatie rollback` to a release that is kept",
            )
        found = self._containers_of(live)
        if not found:
            raise OatieError(
                f"the containers of release {release} are gone",
                why="somebody removed them",
                fix=f"`oatie rollback {release}` makes them anew from their image",
            )
        self.fleet.network(make=True)
        for each in self.fleet.all("accessory"):
            if not each.running:
                self.fleet.start(each.id)
        for each in found:
            if not each.running:
                self.fleet.start(each.id)
            self.fleet.set_policy(each.id, {"Name": str(self._place["restart"])})
        self._spec, self._candidate = spec, [each.id for each in found]
        self.gate(tell)
        self.proxy.ensure(tell)
        if self.proxy.sees() != live.name:
            self._promote(self._candidate)
            now = self._live()
            assert now is not None
            self.proxy.switch.keep_only(now)

    def stop(self, timeout_seconds: float | None, tell: Tell) -> int:
        """First no new request, then the containers; accessories go on."""
        live = self._live()
        found = [each for each in self._containers_of(live) if each.running] if live is not None else []
        others = [each for each in self.fleet.all(APPLICATION) if each.running and each not in found]
        if found or others:
            self.proxy.uninstall()
        if live is not None and found:
            seconds = timeout_seconds if timeout_seconds is not None else 10.0
            self._drained(live.ports, seconds, tell)
        for number, each in enumerate([*found, *others], 1):
            tell(f"stopping container {number} of {len(found) + len(others)}")
            self.fleet.stop(each.id, timeout_seconds)
        return len(found) + len(others)

    def restart(self, spec: ReleaseSpec, tell: Tell) -> None:
        """Each container is replaced by a new one of the same release that has passed the gate."""
        self._spec = spec
        old = self._containers_of(self._require_live())
        self.proxy.ensure(tell)  # one that was killed, or has lost the route
        self._add(len(old), [], tell)
        self._drained(_ports(old), spec.app.drain_seconds, tell)
        for each in old:
            self.fleet.stop(each.id)
        self.fleet.remove(each.id for each in old)

    def scale(self, spec: ReleaseSpec, replicas: int, tell: Tell) -> None:
        self._spec = spec
        live = self._require_live()
        now = self._containers_of(live)
        self.proxy.ensure(tell)
        if replicas == len(now):
            return
        if replicas > len(now):
            self._add(replicas - len(now), now, tell)
        else:
            self._take_away(live, now, replicas, tell)

    def _add(self, count: int, now: list[Container], tell: Tell) -> None:
        try:
            self._candidate = [self._start_new(self._required_spec(), n) for n in range(1, count + 1)]
            self.gate(tell)
            for identity in self._candidate:
                self.fleet.set_policy(identity, {"Name": str(self._place["restart"])})
            self._promote([*(each.id for each in now), *self._candidate])
        except BaseException:
            self.abort()
            raise
        self._keep_newest()

    def _take_away(self, live: Live, now: list[Container], replicas: int, tell: Tell) -> None:
        stay, leave = now[:replicas], now[replicas:]
        self._promote([each.id for each in stay])
        self._keep_newest()
        self._drained(_ports(leave), self._required_spec().app.drain_seconds, tell)
        for each in leave:
            self.fleet.stop(each.id)
        self.fleet.remove(each.id for each in leave)

    def _keep_newest(self) -> None:
        now = self._live()
        assert now is not None, "promoted just now"
        self.proxy.switch.keep_only(now)

    def _require_live(self) -> Live:
        live = self._live()
        if live is None:
            raise OatieError("nothing is deployed here", why="no release serves", fix="`oatie deploy`")
        return live

    def _required_spec(self) -> ReleaseSpec:
        assert self._spec is not None, "handed over by `restart` and `scale`"
        return self._spec

    def logs(self, query: LogQuery) -> Iterator[bytes]:
        live = self._live()
        found = self.fleet.all(APPLICATION)
        if query.replica is not None:
            found = [each for each in found if query.replica in (each.name, each.short, _short_name(each))]
        elif live is not None:
            found = self._containers_of(live)
        sources = [(_short_name(each), partial(self._log, each.id)) for each in found]
        return follow(sources, query) if query.follow else iter(last_lines(sources, query))

    def _log(self, identity: str, **wanted: Any) -> Iterator[bytes]:
        with explained("reading the log of a container", ignore=(404,)):
            yield from self.fleet.engine.api.logs(identity, stream=True, timestamps=True, **wanted)


def _short_name(each: Container) -> str:
    """``r7-1a2b3c-1`` of ``oatie-shop-0a1b2c3d-r7-1a2b3c-1``."""
    return "-".join(each.name.split("-")[-3:])


def _replica(each: Container) -> Replica:
    if each.running:
        state = {"starting": "starting", "unhealthy": "failed"}.get(each.health or "", "serving")
    else:
        state = "stopped" if each.status in ("exited", "created") else "failed"
    memory = ", out of memory" if each.oom_killed else ""
    return Replica(
        id=each.id,
        name=_short_name(each),
        release=each.release,
        state=state,
        node=platform.node(),
        healthy=None if each.health is None else each.health == "healthy",
        address=f"127.0.0.1:{each.port}" if each.port else "",
        started_at=each.started_at if each.running else None,
        restarts=each.restarts,
        pid=each.pid,
        rss_bytes=_rss(each.pid),
        detail="" if each.running else f"exit code {each.exit_code}{memory}",
    )


def _ports(containers: list[Container]) -> list[int]:
    return [each.port for each in containers if each.port is not None]


def _rss(pid: int | None) -> int | None:
    """Of the container's processes, where they are processes of this machine."""
    if pid is None:
        return None
    import psutil

    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])
    except psutil.Error:
        return None
