"""What ``oatie start`` runs: the release that was deployed last, else this checkout, else the demo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from oatie_ops.config.settings import AppSettings, Settings
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.spec import CHECKOUT, ReleaseSpec

DEMO = "oatie_ops.demo.app:app"
# What a flag of the command line changes in a release too; all else is the release's own.
FLAGS_FOR_RELEASES = ("log_level", "env_file")


@dataclass(frozen=True)
class Choice:
    spec: ReleaseSpec
    what: str  # for people: "release 7", "this checkout (main:app)"


def choose(
    settings: Settings, paths: StatePaths, *, dev: bool, overrides: Mapping[str, Any] | None = None
) -> Choice:
    """``dev`` always means the checkout. ``overrides``: what the command line said (dotted path to value)."""
    release = None if dev else deployed_release(paths)
    if release is not None:
        app = replace(release.app, **_flags(overrides or {}))
        return Choice(replace(release, app=app), f"release {release.name}")
    app, what = application(settings)
    return Choice(ReleaseSpec(CHECKOUT, settings.root, app), what)


def deployed_release(paths: StatePaths) -> ReleaseSpec | None:
    """The release that serves according to the store, or the last good one."""
    if not paths.database.exists():
        return None
    from oatie_ops.store.store import Store

    with Store.open(paths.database) as store:
        number = store.releases.serving()
        if number is None and (good := store.releases.last_good()) is not None:
            number = good.number
    if number is None:
        return None
    from oatie_ops.deployment import manifest

    return manifest.read(paths.releases / str(number)).spec()


def application(settings: Settings) -> tuple[AppSettings, str]:
    """What is configured, else what is found in the checkout, else the demo; and how to call it."""
    app = settings.app
    if app.command is not None:
        return app, f"this checkout ({' '.join(app.command)})"
    if app.run is not None:
        return app, f"this checkout ({app.run})"
    from oatie_ops.config.discover import discover

    found = discover(settings.root)
    if not found:
        return replace(app, run=DEMO, name="demo"), "the built-in demo: there is no application here"
    best = found[0]
    what = best.run or " ".join(best.command or ())
    others = f"; {len(found) - 1} more found, `oatie init` lets you choose" if len(found) > 1 else ""
    chosen = replace(app, run=best.run, command=best.command)
    return chosen, f"this checkout ({what}, found by {best.evidence}{others})"


def _flags(overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {name: overrides[f"app.{name}"] for name in FLAGS_FOR_RELEASES if f"app.{name}" in overrides}
