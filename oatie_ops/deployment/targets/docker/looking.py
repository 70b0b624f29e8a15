"""What the plan of a deploy to Docker is decided on: engine, image, proxy, accessories. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from oatie_ops.deployment.containers import images
from oatie_ops.deployment.problem import Problem
from oatie_ops.deployment.targets.engine import EngineFacts, Preparation
from oatie_ops.errors import OatieError
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.pidfile import live_owner

if TYPE_CHECKING:
    from oatie_ops.config.settings import Settings
    from oatie_ops.deployment.containers.api import Connection
    from oatie_ops.deployment.proxy.caddy import Proxy
    from oatie_ops.deployment.targets.docker.accessories import Accessories


class Looking:
    """The part of `DockerTarget` that looks around."""

    engine: Connection
    proxy: Proxy
    project: str
    _paths: StatePaths

    if TYPE_CHECKING:  # what `DockerTarget` brings

        @property
        def settings(self) -> Settings: ...
        @property
        def accessories(self) -> Accessories: ...

    def look(self, *, release: int, rollback: bool) -> EngineFacts:
        settings = self.settings
        found, problems = "", list(self._engine_problems())
        if not problems:
            version = self.engine.version()
            found = f"Docker Engine {version['Version']} at {self.engine.host}, {self.proxy.describe()}"
            problems += [] if rollback else images.problems(settings)
            problems += self.proxy.problems()
        problems += self._rivals()
        return EngineFacts(
            target="docker",
            manner="switch",
            found=found,
            image=images.describe(settings),
            replicas=settings.docker.replicas,
            counts_errors=self.proxy.counts_errors(),
            problems=tuple(problems),
            preparations=tuple(self._preparations(bool(found))),
            notes=tuple(self._notes(bool(found))),
        )

    def _engine_problems(self) -> Collection[Problem]:
        try:
            self.engine.version()
        except OatieError as error:
            return [Problem(error.what, error.why, error.fix)]
        if not self.engine.is_local:
            return [
                Problem(
                    f"the engine at {self.engine.host} is on another machine",
                    "the switch is done by Caddy on this one, over ports of its loopback",
                    "run oatie on that machine, or use the target swarm",
                )
            ]
        return []

    def _rivals(self) -> list[Problem]:
        owner = live_owner(self._paths.supervisor_pid)
        if owner is None:
            return []
        return [
            Problem(
                "this project runs as processes of this host",
                f"its supervisor (process {owner.pid}) serves, and holds its address",
                "`oatie stop`, then deploy to docker",
            )
        ]

    def _preparations(self, engine_answers: bool) -> list[Preparation]:
        made = [
            Preparation("network", f"the network {self.project}, for containers and accessories", "remove it")
        ]
        wanted = self.settings.accessories
        if wanted and engine_answers and (missing := self.accessories.missing()):
            made.append(
                Preparation(
                    "accessories",
                    f"start {', '.join(missing)}; those that run are not touched",
                    "remove them",
                )
            )
        where = self.proxy.place.wanted().url
        made.append(
            Preparation("proxy", f"Caddy answers {where} and follows the switch", "take it away again")
        )
        return made

    def _notes(self, engine_answers: bool) -> list[str]:
        notes = []
        if self.settings.deploy.build and not self.settings.image.use:
            notes.append("[deploy] build is not run: what builds the image is its Dockerfile")
        if self.settings.deploy.shared:
            notes.append("[deploy] shared is not used: data of containers belongs into [container] volumes")
        if engine_answers and self.settings.accessories and (old := self.accessories.outdated()):
            notes.append(
                f"{', '.join(old)} runs otherwise than oatie.toml says by now; no deploy of the application "
                f"touches it: `oatie deploy --accessory {old[0]}`"
            )
        return notes
