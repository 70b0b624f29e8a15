"""What ``oatie start`` runs: the release that was deployed last, else this checkout, else the demo."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oatie_ops.cli.filling import EVERYTHING, SUPERVISOR, filled, read_release
from oatie_ops.config.settings import AppSettings, Settings
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.spec import CHECKOUT, ReleaseSpec

if TYPE_CHECKING:
    from oatie_ops.config.load import Loaded


@dataclass(frozen=True)
class Choice:
    """The release, or the checkout as one, and what to call it; ``settings`` are the supervisor's."""

    spec: ReleaseSpec
    what: str  # for people: "release 7", "this checkout (main:app)"
    settings: Settings


def choose(loaded: Loaded, paths: StatePaths, *, dev: bool = False, log_level: str | None = None) -> Choice:
    """``dev`` always means the checkout. ``log_level`` is what the command line said.

    Secrets are looked up: raises as `filled` and `read_release`.
    """
    number = None if dev else deployed(paths)
    loaded = filled(loaded, EVERYTHING if number is None else SUPERVISOR)
    settings = loaded.settings
    if number is None:
        return Choice(ReleaseSpec(CHECKOUT, settings.root, settings.app), describe(loaded), settings)
    spec = read_release(paths.releases / str(number), loaded).spec()
    return Choice(replace(spec, app=live(spec.app, settings.app, log_level)), f"release {number}", settings)


def deployed(paths: StatePaths) -> int | None:
    """The release that serves according to the store, or the last good one."""
    # Cheaper than to ask the database; there is one as soon as anything has run here.
    if not paths.releases.is_dir() or not any(paths.releases.iterdir()):
        return None
    from oatie_ops.store import Store

    with Store.open(paths.database) as store:
        number = store.releases.serving()
        good = store.releases.last_good() if number is None else None
    return number if good is None else good.number


def live(release: AppSettings, now: AppSettings, log_level: str | None) -> AppSettings:
    """A release brings its own code and start; where and how wide it runs is today's configuration."""
    app = replace(release, host=now.host, port=now.port, workers=now.workers)
    if log_level is None:
        return app
    said = {"LOG_LEVEL": now.env.get("LOG_LEVEL", now.log_level.upper())}
    return replace(app, log_level=now.log_level, env={**app.env, **said})


def describe(loaded: Loaded) -> str:
    app, found = loaded.settings.app, loaded.discovered
    what = app.run or " ".join(app.command or ())
    if found is None:
        return f"this checkout ({what})"
    if found.kind == "demo":
        return "the built-in demo: no application was found here"
    return f"this checkout ({what}, found by {found.evidence})"
