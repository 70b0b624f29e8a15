"""The target "docker": see `Engine` and `SwitchTarget`. One object serves one run or one command.

A candidate is containers on private ports of the loopback, without a restart policy. The switch is a file
that Caddy looks at for each request (`oatie_ops.deployment.proxy.switch`). What served before stays as it is
until the commit; then the restart policy is handed over, and it is stopped and kept for a rollback.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from typing import ClassVar

from oatie_ops.config.settings import Settings
from oatie_ops.deployment.containers import images, names
from oatie_ops.deployment.containers.api import Connection
from oatie_ops.deployment.containers.errors import EngineFailed
from oatie_ops.deployment.containers.identity import Identity, keep
from oatie_ops.deployment.containers.one_off import run_once
from oatie_ops.deployment.containers.spec import Made, application, container_port
from oatie_ops.deployment.proxy.caddy import Proxy, ProxyPlace, proxy_place
from oatie_ops.deployment.proxy.connections import open_connections
from oatie_ops.deployment.proxy.errors_ratio import answered, error_ratio
from oatie_ops.deployment.proxy.switch import SLOTS, Live
from oatie_ops.deployment.targets.base import BakeFailed, PromotionFailed, Tell
from oatie_ops.deployment.targets.docker.accessories import Accessories
from oatie_ops.deployment.targets.docker.caddy_image import end_caddy, start_caddy
from oatie_ops.deployment.targets.docker.clearing import UNDO_DRAIN_SECONDS, Clearing
from oatie_ops.deployment.targets.docker.fleet import APPLICATION, ONE_OFF, Container, Fleet, with_port
from oatie_ops.deployment.targets.docker.gate import pass_gate, still_good
from oatie_ops.deployment.targets.docker.looking import Looking
from oatie_ops.deployment.targets.docker.operations import Operations
from oatie_ops.deployment.targets.engine import Place
from oatie_ops.errors import PrerequisiteMissing
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.spec import ReleaseSpec

POLL_SECONDS = 0.1
BAKE_POLL_SECONDS = 0.5
MIN_REQUESTS = 20


def place_of(settings: Settings, paths: StatePaths, mine: Identity) -> Place:
    return {
        "target": DockerTarget.name,
        "host": settings.docker.host,
        "project": mine.project,
        "service": settings.app.name,
        "restart": settings.docker.restart,
        "replicas": settings.docker.replicas,
        "proxy": asdict(proxy_place(settings, mine.short, mine.token, paths)),
    }


class DockerTarget(Looking, Clearing, Operations):
    name: ClassVar[str] = "docker"

    def __init__(
        self, place: Place, paths: StatePaths, mine: Identity, settings: Settings | None = None
    ) -> None:
        self._place, self._paths, self._identity, self._settings = place, paths, mine, settings
        self.engine = Connection(place["host"])
        self.project = str(place["project"])
        self.fleet = Fleet(self.engine, self.project)
        image = settings.proxy.image if settings is not None else None
        start = None if image is None else lambda: start_caddy(self.fleet, image, self.proxy)
        self.proxy = Proxy(ProxyPlace(**place["proxy"]), paths, start, lambda: end_caddy(self.fleet))
        self.generation = secrets.token_hex(3)
        self._spec: ReleaseSpec | None = None
        self._candidate: list[str] = []
        self._reused: list[str] = []
        self._promoted: Live | None = None
        self._made_network = False
        self._health_check = True

    def place(self) -> Place:
        keep(self._paths, self._identity)
        return self._place

    # --- making a release

    def build(self, release: str, output: Tell) -> str:
        making = images.Making(self.settings, self._paths.home, self.project, release, self.generation)
        return images.make(self.engine, making, output)

    def remove_image(self, release: str) -> None:
        images.remove(self.engine, self.project, release)

    def release_command(self, spec: ReleaseSpec, command: str, timeout_seconds: float, output: Tell) -> None:
        self.fleet.network(make=True)
        if self.settings.accessories:
            self.accessories.start_missing(spec.name, output)
        made = self._container(spec, 0, ONE_OFF)
        name = names.container_name(self.project, spec.name, self.generation, 0)
        run_once(self.engine, made, name, command=command, timeout_seconds=timeout_seconds, output=output)

    def prepare(self, name: str, spec: ReleaseSpec, tell: Tell) -> str:
        match name:
            case "network":
                self._made_network = self.fleet.network(make=True)
                return "made" if self._made_network else "it is there"
            case "accessories":
                return self.accessories.start_missing(spec.name, tell)
            case _:
                return self.proxy.install(tell)

    def unprepare(self, name: str) -> None:
        match name:
            case "network":
                if self._live() is None:
                    self.fleet.remove_network()
            case "accessories":
                self.accessories.undo()
            case "release-command":
                self.accessories.undo()
                self.unprepare("network")
            case _:
                if self._live() is None:
                    self.proxy.undo_install()

    # --- the switch

    def start_supervisor(self) -> int:
        raise AssertionError("containers have no supervisor of ours")

    def spawn(self, spec: ReleaseSpec, *, health_check: bool, tell: Tell) -> tuple[int, ...]:
        self._spec, self._health_check = spec, health_check
        for number in range(1, self.settings.docker.replicas + 1):
            tell(f"container {number} of {self.settings.docker.replicas}")
            self._candidate.append(self._start_kept(spec) or self._start_new(spec, number))
        found = filter(None, map(self.fleet.look, self._candidate))
        return tuple(each.pid for each in found if each.pid)

    def _start_kept(self, spec: ReleaseSpec) -> str:
        """A rollback finds the containers of the release again, where they would be made the same today."""
        digest = self._container(spec, 0).digest(self.key)
        for each in self.fleet.of_release(spec.name):
            if each.running or each.id in self._reused or each.digest != digest:
                continue
            self._reused.append(each.id)
            with suppress(EngineFailed):  # its port may belong to somebody else by now
                self.fleet.start(each.id)
                return each.id
        return ""

    def _start_new(self, spec: ReleaseSpec, number: int) -> str:
        name = names.container_name(self.project, spec.name, self.generation, number)

        def make(port: int) -> str:
            identity = self.fleet.create(name, self._container(spec, port))
            try:
                self.fleet.start(identity)
            except EngineFailed:
                self.fleet.remove([identity])
                raise
            return identity

        return str(with_port(make))

    def gate(self, tell: Tell) -> float:
        return pass_gate(
            self.fleet,
            self._candidate,
            self.spec.app,
            inside_port=container_port(self.settings),
            health_check=self._health_check,
            tell=tell,
        )

    def promote(self) -> float:
        return self._promote(self._candidate)

    def _promote(self, identities: Collection[str]) -> float:
        found = [self.fleet.look(identity) for identity in identities]
        ports = [each.port for each in found if each is not None and each.port is not None]
        if len(ports) != len(identities):
            raise PromotionFailed(
                "a new container is gone", why="somebody removed it after the gate", fix="deploy again"
            )
        before = self.proxy.switch.now()
        try:
            return self.proxy.promote(self.spec.name, ports)
        finally:
            now = self.proxy.switch.now()
            self._promoted = now if now != before else None

    def drain(self, tell: Tell) -> str:
        assert self._promoted is not None, "promoted before"
        ports = [p for live in self.proxy.switch.all() if live != self._promoted for p in live.ports]
        return self._drained([p for p in ports if p not in self._promoted.ports], self._drain_seconds, tell)

    def _drained(self, ports: Collection[int], seconds: float, tell: Tell) -> str:
        """Caddy closes an idle connection after a second, so what is left are requests in flight."""
        deadline = time.monotonic() + seconds
        while ports and (left := open_connections(ports)):
            if time.monotonic() > deadline:
                return f"the drain time of {seconds:g} s was over; what was left is cut"
            tell(f"{left} connection{'s' if left != 1 else ''} open")
            time.sleep(POLL_SECONDS)
        return "every request was answered"

    def bake(self, seconds: float, max_error_ratio: float, tell: Tell) -> None:
        began, server = time.monotonic(), self.proxy.place.wanted().id
        before = answered(self.proxy.admin, server)
        while (left := seconds - (time.monotonic() - began)) > 0:
            tell(f"{left:.0f} s left")
            time.sleep(min(BAKE_POLL_SECONDS, left))
            still_good(self.fleet, self._candidate, self.spec.app, container_port(self.settings))
            self.proxy.keep_up()
            ratio, count = error_ratio(before, answered(self.proxy.admin, server))
            if count >= MIN_REQUESTS and ratio > max_error_ratio:
                raise BakeFailed(
                    f"release {self.spec.name} answers too often with an error",
                    why=f"{ratio:.0%} of {count} answers were 5xx, {max_error_ratio:.0%} is the limit",
                    fix="see `oatie logs`; [deploy] bake_max_error_ratio is the limit",
                )

    def commit(self) -> tuple[str, ...]:
        assert self._promoted is not None, "promoted before"
        self._commit(self._promoted)
        return ()

    def _commit(self, live: Live) -> None:
        serving = self._containers_of(live)
        if not serving or not all(each.running for each in serving):
            raise BakeFailed(
                f"a container of release {live.release} has ended",
                why="it ran at the end of the bake",
                fix="see `oatie logs`",
            )
        for each in serving:
            self.fleet.set_policy(each.id, {"Name": str(self._place["restart"])})
        # From here on there is nothing to turn back to; what fails now is done again by the prune.
        self.proxy.switch.keep_only(live)
        with suppress(EngineFailed):
            self._retire_others(live)

    def _retire_others(self, live: Live) -> None:
        serving = {each.id for each in self._containers_of(live)}
        for each in self.fleet.all(APPLICATION):
            if each.id not in serving:
                self.fleet.retire(each)

    def abort(self) -> None:
        if self._promoted is not None:
            self.proxy.switch.withdraw(self._promoted)
            self._drained(self._promoted.ports, min(self._drain_seconds, UNDO_DRAIN_SECONDS), lambda _: None)
            self._promoted = None
        mine = [each for each in self.fleet.all() if each.generation == self.generation]
        self.fleet.remove(each.id for each in mine)
        for identity in self._reused:
            if (kept := self.fleet.look(identity)) is not None:
                self.fleet.retire(kept)
        self._candidate, self._reused = [], []

    # --- parts

    @property
    def settings(self) -> Settings:
        assert self._settings is not None, "only what was configured can deploy"
        return self._settings

    @property
    def spec(self) -> ReleaseSpec:
        assert self._spec is not None, "spawned before"
        return self._spec

    @property
    def _drain_seconds(self) -> float:
        return self.spec.app.drain_seconds

    @cached_property
    def accessories(self) -> Accessories:
        return self._accessories(dict(self.settings.accessories))

    def replace_accessory(self, name: str, tell: Tell) -> str:
        """The application is not touched. Raises `AccessoryFailed`, with the old one running again."""
        problems = self._engine_problems()
        for problem in problems:
            raise PrerequisiteMissing(problem.what, why=problem.why, fix=problem.fix)
        keep(self._paths, self._identity)
        return self.accessories.replace(name, tell)

    def _accessories(self, wanted: dict[str, object]) -> Accessories:
        seconds = self._settings.docker.accessory_timeout_seconds if self._settings else 0.0
        return Accessories(self.fleet, str(self._place["service"]), wanted, self.key, seconds)  # type: ignore[arg-type]

    @property
    def key(self) -> bytes:
        return bytes.fromhex(self._identity.key)

    def _container(self, spec: ReleaseSpec, port: int, role: str = APPLICATION) -> Made:
        service = str(self._place["service"])
        labels = names.labels(self.project, service, spec.name, role=role, generation=self.generation)
        made = application(self.settings, spec, labels=labels, network=self.project, host_port=port)
        made.config["Labels"][names.SPEC] = made.digest(self.key)
        return made

    def _live(self) -> Live | None:
        return self.proxy.switch.now()

    def _containers_of(self, live: Live) -> list[Container]:
        return [each for each in self.fleet.of_release(live.release) if each.port in live.ports]


assert SLOTS >= 16, "[docker] replicas goes up to 16"
