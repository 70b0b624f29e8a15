"""What the plan of a deploy to a swarm is decided on. Changes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from oatie_ops.config.settings import Settings
from oatie_ops.deployment.containers import images
from oatie_ops.deployment.problem import Problem
from oatie_ops.deployment.targets.engine import EngineFacts, Preparation
from oatie_ops.deployment.targets.swarm.spec import secret_values
from oatie_ops.errors import OatieError
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.pidfile import live_owner

if TYPE_CHECKING:
    from oatie_ops.deployment.containers.api import Connection
    from oatie_ops.deployment.targets.swarm.cluster import Cluster


class Looking:
    """The part of `SwarmTarget` that looks around."""

    engine: Connection
    cluster: Cluster
    _paths: StatePaths

    if TYPE_CHECKING:  # what `SwarmTarget` brings

        @property
        def settings(self) -> Settings: ...

    def look(self, *, release: int, rollback: bool) -> EngineFacts:
        settings, problems, found = self.settings, [], ""
        try:
            version = self.engine.version()["Version"]
            swarm = self.cluster.swarm()
            problems += swarm_problems(swarm)
            found = f"Docker Engine {version} at {self.engine.host}"
            if not problems:
                found += f", a manager of a swarm of {swarm.get('Nodes', 1)} nodes"
        except OatieError as error:
            problems.append(Problem(error.what, error.why, error.fix))
        problems += [] if rollback else images.problems(settings)
        problems += [*_option_problems(settings), *self._rivals()]
        return EngineFacts(
            target="swarm",
            manner="rollout",
            found=found,
            image=images.describe(settings),
            replicas=settings.swarm.replicas,
            unit="task",
            problems=tuple(problems),
            preparations=(
                Preparation(
                    "surroundings",
                    "the network, the secrets and the configs that the tasks need",
                    "remove those that nothing needs",
                ),
            ),
            notes=tuple(self._notes()),
        )

    def _rivals(self) -> list[Problem]:
        owner = live_owner(self._paths.supervisor_pid)
        if owner is None:
            return []
        why = f"its supervisor (process {owner.pid}) serves, and holds its address"
        return [
            Problem("this project runs as processes of this host", why, "`oatie stop`, then deploy again")
        ]

    def _notes(self) -> list[str]:
        settings, notes = self.settings, []
        if not settings.image.use and not settings.image.push:
            notes.append(
                "the image is only on this node: for others set [image] repository and push, or load it there"
            )
        if settings.swarm.publish == "host":
            notes.append(
                "ports published in host mode cannot overlap: an update needs a node without a task for each "
                "task that is started first"
            )
        if named := sorted(secret_values(settings.app)):
            notes.append(
                f"{', '.join(named)}: secrets of the swarm, as files; {named[0]}_FILE names the first"
            )
        if settings.accessories:
            notes.append("[accessories] are for the target docker; here they are services of your own")
        return notes


def swarm_problems(swarm: dict[str, Any]) -> list[Problem]:
    state = swarm.get("LocalNodeState", "inactive")
    if state == "locked":
        why = "its engine was started anew, and the swarm locks its managers then (autolock)"
        return [Problem("this manager of the swarm is locked", why, "`docker swarm unlock` with the key")]
    if state in ("pending", "error"):
        why = str(swarm.get("Error") or f"its state is {state!r}")
        return [Problem("this engine cannot join its swarm", why, "see its log (`journalctl -u docker`)")]
    if state != "active":
        return [
            Problem(
                "this engine is in no swarm",
                f"its state is {state!r}",
                "`docker swarm init`, or name a manager in [swarm] host",
            )
        ]
    if not swarm.get("ControlAvailable"):
        return [
            Problem(
                "this engine is a worker of the swarm",
                "only a manager takes orders",
                "name a manager in [swarm] host",
            )
        ]
    if error := str(swarm.get("Error") or ""):
        fix = "most managers have to run; see `docker node ls` on each of them"
        return [Problem("the managers of the swarm do not agree", error, fix)]
    return []


def _option_problems(settings: Settings) -> list[Problem]:
    swarm = settings.swarm
    if swarm.endpoint_mode == "dnsrr" and swarm.publish == "ingress":
        return [
            Problem(
                "ports cannot be published in ingress mode without a virtual address",
                'endpoint_mode is "dnsrr" and publish is "ingress"',
                'set [swarm] publish to "host" or "none", or endpoint_mode to "vip"',
            )
        ]
    missing = [file for file in swarm.configs.values() if not os.access(settings.root / file, os.R_OK)]
    return [
        Problem(f"cannot read {file}", "it is to be a config of the swarm", "correct [swarm] configs")
        for file in missing
    ]
