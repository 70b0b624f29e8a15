"""The target "docker": containers of one engine on this machine, switched to and from behind Caddy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oatie_ops.config.settings import Settings
    from oatie_ops.deployment.targets.docker.target import DockerTarget
    from oatie_ops.deployment.targets.engine import Place
    from oatie_ops.paths import StatePaths


def configured(settings: Settings, paths: StatePaths) -> DockerTarget:
    from oatie_ops.deployment.containers.identity import identity
    from oatie_ops.deployment.targets.docker.target import DockerTarget, place_of

    mine = identity(paths, settings.app.name)
    return DockerTarget(place_of(settings, paths, mine), paths, mine, settings)


def placed(place: Place, paths: StatePaths) -> DockerTarget:
    from oatie_ops.deployment.containers.identity import identity
    from oatie_ops.deployment.targets.docker.target import DockerTarget

    return DockerTarget(place, paths, identity(paths, str(place["service"])))
