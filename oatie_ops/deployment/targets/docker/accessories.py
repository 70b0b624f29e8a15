"""Accessories: databases, caches and the like, made once and then left alone by every application deploy."""

from __future__ import annotations

import time
from collections.abc import Mapping

from oatie_ops.config.settings_engines import AccessorySettings
from oatie_ops.deployment.containers import images, names
from oatie_ops.deployment.containers.errors import EngineFailed
from oatie_ops.deployment.containers.spec import Made, accessory
from oatie_ops.deployment.targets.base import Tell
from oatie_ops.deployment.targets.docker.fleet import Container, Fleet
from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode

ROLE = "accessory"
POLL_SECONDS = 0.25
# What a replacement calls the one that it replaces, until it has succeeded.
OLD = "-old"


class AccessoryFailed(OatieError):
    """An accessory did not start, or did not become healthy."""


class Accessories:
    def __init__(
        self,
        fleet: Fleet,
        service: str,
        wanted: Mapping[str, AccessorySettings],
        key: bytes,
        timeout_seconds: float,
    ) -> None:
        self._fleet, self._service, self._wanted = fleet, service, wanted
        self._key, self._timeout_seconds = key, timeout_seconds
        self._made: list[str] = []

    def missing(self) -> list[str]:
        """Those that do not run. One that was changed in oatie.toml runs on as it is."""
        there = {each.accessory for each in self._fleet.all(ROLE) if each.running}
        return [name for name in self._wanted if name not in there]

    def outdated(self) -> list[str]:
        """Those that run otherwise than oatie.toml says by now."""
        running = {each.accessory: each for each in self._fleet.all(ROLE) if each.running}
        return [
            name
            for name in self._wanted
            if name in running and running[name].digest != self._container(name).digest(self._key)
        ]

    def start_missing(self, release: str, tell: Tell) -> str:
        self.settle()
        names_ = self.missing()
        stopped = {each.accessory: each for each in self._fleet.all(ROLE) if not each.running}
        for name in names_:
            if name in stopped:
                self._fleet.start(stopped[name].id)
            else:
                self._make(name, release, tell)
        for name in self._wanted:
            self._wait(name, tell)
        return f"started {', '.join(names_)}" if names_ else "all of them run"

    def undo(self) -> None:
        """Removes those that this run has made; their volumes stay."""
        self._fleet.remove(self._made)
        self._made = []

    def remove_of(self, release: str) -> None:
        """Those that the killed deploy of this release has made."""
        found = [each.id for each in self._fleet.all(ROLE) if each.release == release]
        self._fleet.remove(found)

    def replace(self, name: str, tell: Tell) -> str:
        """`oatie deploy --accessory NAME`: stopped, made anew; the old one back if it fails.

        Two of them on one volume would spoil its data, so there is a gap.
        """
        self.settle()
        old = next((each for each in self._fleet.all(ROLE) if each.accessory == name), None)
        self._fleet.network(make=True)
        image = self._image(name, tell)
        if old is not None:
            if old.running and old.digest == self._container(name).digest(self._key):
                return f"{name} runs as oatie.toml says: nothing to do"
            self._fleet.stop(old.id)
            self._fleet.rename(old.id, old.name + OLD)
        try:
            self._make(name, "", tell, image)
            self._wait(name, tell)
        except BaseException as failure:
            self.undo()
            self.settle()
            if isinstance(failure, (AccessoryFailed, EngineFailed)) and old is not None and old.running:
                failure.exit_code = ExitCode.ROLLED_BACK
                failure.fix += "; the one before runs again"
            raise
        if old is not None:
            self._fleet.remove([old.id])
        return f"{name} was replaced" if old is not None else f"{name} was started"

    def settle(self) -> None:
        """What a killed replacement left: the new one where it is healthy, else the old one again."""
        there = {each.name: each for each in self._fleet.all(ROLE)}
        for name, old in there.items():
            if not name.endswith(OLD):
                continue
            new = there.get(name.removesuffix(OLD))
            if new is not None and new.running and new.health in (None, "healthy"):
                self._fleet.remove([old.id])
                continue
            if new is not None:
                self._fleet.remove([new.id])
            self._fleet.rename(old.id, name.removesuffix(OLD))
            self._fleet.start(old.id)

    def _make(self, name: str, release: str, tell: Tell, image: str = "") -> None:
        made = self._container(name, release, image or self._image(name, tell))
        made.config["Labels"][names.SPEC] = self._container(name).digest(self._key)
        identity = self._fleet.create(names.accessory_name(self._fleet.project, name), made)
        self._made.append(identity)
        self._fleet.start(identity)

    def _image(self, name: str, tell: Tell) -> str:
        return images.ensure(self._fleet.engine, self._wanted[name].image, tell)

    def _container(self, name: str, release: str = "", image: str = "") -> Made:
        """What is compared later names the image as oatie.toml does."""
        wanted = self._wanted[name]
        labels = names.labels(self._fleet.project, self._service, release, role=ROLE, accessory=name)
        return accessory(
            wanted, image=image or wanted.image, labels=labels, network=self._fleet.project, alias=name
        )

    def _wait(self, name: str, tell: Tell) -> None:
        deadline = time.monotonic() + self._timeout_seconds
        while True:
            one = self._find(name)
            if one is None or (not one.running and one.status in ("exited", "dead")):
                raise self._failed(name, one, f"it ended with exit code {one.exit_code if one else '?'}")
            if one.running and one.health in (None, "healthy"):
                return
            if one.health == "unhealthy" or time.monotonic() > deadline:
                raise self._failed(name, one, f"its health check says {one.health or one.status}")
            tell(f"{name}: {one.health or one.status}")
            time.sleep(POLL_SECONDS)

    def _find(self, name: str) -> Container | None:
        wanted = names.accessory_name(self._fleet.project, name)
        return next((each for each in self._fleet.all(ROLE) if each.name == wanted), None)

    def _failed(self, name: str, one: Container | None, why: str) -> AccessoryFailed:
        tail = self._fleet.log_tail(one.id) if one is not None else []
        return AccessoryFailed(
            f"the accessory {name} does not run",
            why=why,
            fix=f"see its log lines above, and [accessories.{name}]",
            details=[f"  | {line}" for line in tail],
        )
