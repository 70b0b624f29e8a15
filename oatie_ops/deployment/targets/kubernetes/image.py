"""Builds the image with this host's engine and pushes it, so that the nodes can pull it."""

from __future__ import annotations

from oatie_ops.config.settings import Settings
from oatie_ops.deployment.containers import images, names
from oatie_ops.deployment.containers.api import Connection
from oatie_ops.deployment.targets.base import Tell
from oatie_ops.paths import StatePaths


def build(settings: Settings, paths: StatePaths, release: str, output: Tell) -> str:
    """The reference that pods run: by digest where it was pushed, else the tag that nodes must have."""
    engine = Connection(settings.docker.host)
    project = names.project_name(settings.app.name, paths.home)
    made = images.make(engine, images.Making(settings, paths.home, project, release, "0"), output)
    return made if settings.image.push else names.release_tag(project, release)


def remove(settings: Settings, paths: StatePaths, release: str) -> None:
    project = names.project_name(settings.app.name, paths.home)
    images.remove(Connection(settings.docker.host), project, release)
