"""The target "swarm": see `Engine` and `RolloutTarget`. One object serves one run or one command."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from oatie_ops.config.settings import Settings
from oatie_ops.deployment.containers import images, names
from oatie_ops.deployment.containers.api import Connection, explained
from oatie_ops.deployment.containers.durations import healthcheck
from oatie_ops.deployment.containers.identity import Identity, keep
from oatie_ops.deployment.containers.one_off import run_once
from oatie_ops.deployment.containers.spec import application
from oatie_ops.deployment.targets.base import BakeFailed, Tell
from oatie_ops.deployment.targets.engine import Place
from oatie_ops.deployment.targets.swarm.clearing import Clearing
from oatie_ops.deployment.targets.swarm.cluster import Cluster
from oatie_ops.deployment.targets.swarm.following import Following
from oatie_ops.deployment.targets.swarm.looking import Looking
from oatie_ops.deployment.targets.swarm.operations import (
    POLL_SECONDS,
    REPLICAS,
    STARTED,
    Operations,
    forced,
    forced_to,
)
from oatie_ops.deployment.targets.swarm.rollout import judge
from oatie_ops.deployment.targets.swarm.spec import HANDOVER, Attached, secret_values, service_spec
from oatie_ops.errors import OatieError, PrerequisiteMissing
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.spec import ReleaseSpec

UNDO_SECONDS = 300.0


def place_of(settings: Settings, mine: Identity) -> Place:
    return {
        "target": SwarmTarget.name,
        "host": settings.swarm.host,
        "project": mine.project,
        "service": settings.app.name,
        "url": _url(settings),
        "port": settings.app.port,
        "timeout": settings.swarm.timeout_seconds,
        "engines": dict(settings.swarm.engines),
    }


def _url(settings: Settings) -> str | None:
    return None if settings.swarm.publish == "none" else f"http://localhost:{settings.app.port}"


class SwarmTarget(Looking, Following, Clearing, Operations):
    name: ClassVar[str] = "swarm"

    def __init__(
        self, place: Place, paths: StatePaths, mine: Identity, settings: Settings | None = None
    ) -> None:
        self._place, self._paths, self._identity, self._settings = place, paths, mine, settings
        self.engine = Connection(place["host"])
        self.project = str(place["project"])
        self.cluster = Cluster(self.engine, self.project, bytes.fromhex(mine.key))
        self.generation = secrets.token_hex(3)
        self._release = ""
        self._first = False
        self._before = ""
        self._applied = False

    def place(self) -> Place:
        keep(self._paths, self._identity)
        return self._place

    # --- making a release

    def build(self, release: str, output: Tell) -> str:
        making = images.Making(self.settings, self._paths.home, self.project, release, self.generation)
        made = images.make(self.engine, making, output)
        self._required_test(made)
        # Without a registry the tag is the name under which the image can be loaded on other nodes.
        return made if "@" in made else names.release_tag(self.project, release)

    def remove_image(self, release: str) -> None:
        images.remove(self.engine, self.project, release)

    def _required_test(self, image: str) -> dict[str, Any]:
        """Without a health check a task counts as running as soon as its process exists, and start-first
        would take the old one away from under its users."""
        declared = healthcheck(self.settings.container.healthcheck)
        if declared is not None:
            return declared
        with explained(f"looking at the image {image}"):
            found = self.engine.api.inspect_image(image)["Config"].get("Healthcheck") or {}
        if not found.get("Test") or found["Test"] == ["NONE"]:
            raise PrerequisiteMissing(
                "the image has no health check",
                why="a swarm replaces a task by a new one as soon as that counts as running, which without a "
                "health check says nothing",
                fix="add HEALTHCHECK to the Dockerfile (`oatie init --docker` writes one), or set "
                "[container] healthcheck",
            )
        return dict(found)

    def release_command(self, spec: ReleaseSpec, command: str, timeout_seconds: float, output: Tell) -> None:
        """On this node, with the swarm's network."""
        self.cluster.network(self.project, own=True)
        labels = names.labels(self.project, str(self._place["service"]), spec.name, role="release-command")
        made = application(self.settings, spec, labels=labels, network=self.project, host_port=0)
        name = names.container_name(self.project, spec.name, self.generation, 0)
        run_once(self.engine, made, name, command=command, timeout_seconds=timeout_seconds, output=output)

    def prepare(self, name: str, spec: ReleaseSpec, tell: Tell) -> str:
        networks, secret, configs = self._surroundings(spec)
        return f"{len(networks)} networks, {len(secret)} secrets, {len(configs)} configs"

    def unprepare(self, name: str) -> None:
        self._sweep(self._release)

    def _surroundings(self, spec: ReleaseSpec) -> tuple[list[str], list[Attached], list[Attached]]:
        settings = self.settings
        networks = [self.cluster.network(self.project, own=True)]
        networks += [self.cluster.network(each, own=False) for each in settings.swarm.networks]
        found = [self.cluster.secret(name, value) for name, value in secret_values(spec.app).items()]
        if spec.app.secret_env:
            import json

            found.append(self.cluster.secret(HANDOVER, json.dumps(spec.app.secret_env)))
        configs = []
        for path, file in settings.swarm.configs.items():
            try:
                configs.append(self.cluster.config(path, (settings.root / file).read_bytes()))
            except OSError as error:
                raise OatieError(
                    f"cannot read {file}, which is to be a config",
                    why=str(error),
                    fix="correct [swarm] configs",
                ) from error
        return networks, found, configs

    # --- the rollout

    def apply(self, spec: ReleaseSpec, tell: Tell) -> str:
        self._release = spec.name
        assert spec.image is not None, "the image was made before"
        test = self._required_test(spec.image)
        networks, secret, configs = self._surroundings(spec)
        service = str(self._place["service"])
        labels = {
            **names.labels(self.project, service, spec.name, generation=self.generation),
            REPLICAS: str(self.settings.swarm.replicas),
        }
        make = partial(
            service_spec,
            self.settings,
            spec,
            name=self.project,
            labels=labels,
            networks=networks,
            secrets=secret,
            configs=configs,
            test=test,
        )
        found = self.cluster.service()
        auth = self.settings.swarm.registry_auth
        self._first, self._applied = found is None, True
        if found is None:
            self.cluster.create(make(force=1), auth=auth)
            return "service created"
        self._before = (found.get("UpdateStatus") or {}).get(STARTED, "")
        self.cluster.update(lambda now: make(force=forced(now) + 1), auth=auth)
        return "service updated"

    def commit(self) -> tuple[str, ...]:
        seen = self._seen()
        if seen.release != self._release or not any(
            t.runs and t.release == self._release for t in seen.tasks
        ):
            raise BakeFailed(
                f"release {self._release} is not what the service runs",
                why=f"its spec is of release {seen.release or '?'} by now",
                fix="`oatie status` tells more; deploy again",
            )
        return ()

    def undo(self) -> None:
        if self._applied:
            self._undo(self._release)
            self._applied = False

    def _undo(self, release: str) -> None:
        """The engine may have turned back by itself; what counts is the spec, and that its tasks run."""
        service = self.cluster.service()
        if service is None:
            return
        mine = service["Spec"]["Labels"].get(names.RELEASE) == release
        previous = service.get("PreviousSpec")
        if mine and (previous is None or previous.get("Labels", {}).get(names.RELEASE) == release):
            self.cluster.remove()
            self._until(lambda: self.cluster.service() is None, "the service is removed")
            return
        if mine:
            self.cluster.update(lambda now: forced_to(now, previous))
        self._until(lambda: self._is_steady(release), "the tasks of the release before run again")

    def _is_steady(self, without: str) -> bool:
        seen = self._seen()
        running = [task for task in seen.tasks if task.runs]
        good = [task for task in running if task.release == seen.release]
        return seen.release != without and len(good) >= seen.replicas and len(good) == len(running)

    def _until(self, holds: Callable[[], bool], what: str, seconds: float = UNDO_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise OatieError(
                    f"it did not come to this in {seconds:g} s: {what}",
                    why=judge(self._seen(), self._release, first=False).why,
                    fix=f"`docker service ps {self.project}` tells more",
                )
            time.sleep(POLL_SECONDS)

    @property
    def settings(self) -> Settings:
        assert self._settings is not None, "only what was configured can deploy"
        return self._settings
