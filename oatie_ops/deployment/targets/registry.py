"""Which engines there are, and how one is opened: from the configuration, or from where a release was put."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from oatie_ops.deployment.targets.engine import Engine, Place
from oatie_ops.errors import OatieError

if TYPE_CHECKING:
    from oatie_ops.config.settings import Settings
    from oatie_ops.paths import StatePaths

PROCESS = "process"
TARGETS = (PROCESS, "docker", "swarm", "kubernetes")
# Each module has `configured(settings, paths)` and `placed(place, paths)`, which both give an `Engine`.
MODULES: dict[str, str] = {
    "docker": "oatie_ops.deployment.targets.docker",
    "swarm": "oatie_ops.deployment.targets.swarm",
    "kubernetes": "oatie_ops.deployment.targets.kubernetes",
}


def configured(settings: Settings, paths: StatePaths) -> Engine:
    """The engine of ``[deploy] target``. Opens no connection yet."""
    return cast(Engine, _module(settings.deploy.target).configured(settings, paths))


def placed(place: Place, paths: StatePaths) -> Engine:
    """The engine that a release was put on, whatever the configuration says today."""
    return cast(Engine, _module(str(place.get("target"))).placed(place, paths))


def _module(target: str):  # type: ignore[no-untyped-def]
    name = MODULES.get(target)
    if name is None:
        raise OatieError(
            f"this version of oatie does not know the target {target!r}",
            why=f"it knows {', '.join((PROCESS, *MODULES))}",
            fix="use the version of oatie that deployed there, or deploy anew",
        )
    return import_module(name)
