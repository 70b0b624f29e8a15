"""The target "swarm": one service on the nodes of a swarm; its own orchestrator does the rollout."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oatie_ops.config.settings import Settings
    from oatie_ops.deployment.targets.engine import Place
    from oatie_ops.deployment.targets.swarm.target import SwarmTarget
    from oatie_ops.paths import StatePaths


def configured(settings: Settings, paths: StatePaths) -> SwarmTarget:
    from oatie_ops.deployment.containers.identity import identity
    from oatie_ops.deployment.targets.swarm.target import SwarmTarget, place_of

    mine = identity(paths, settings.app.name)
    return SwarmTarget(place_of(settings, mine), paths, mine, settings)


def placed(place: Place, paths: StatePaths) -> SwarmTarget:
    from oatie_ops.deployment.containers.identity import identity
    from oatie_ops.deployment.targets.swarm.target import SwarmTarget

    return SwarmTarget(place, paths, identity(paths, str(place["service"])))
