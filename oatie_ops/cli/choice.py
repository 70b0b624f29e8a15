"""What ``oatie start`` runs: the release that was deployed last, else this checkout, else the demo."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oatie_ops.cli.filling import EVERYTHING, SUPERVISOR, filled, read_release
from oatie_ops.config.found import choice_notes, require_decided
from oatie_ops.config.settings import AppSettings, Settings
from oatie_ops.paths import StatePaths
from oatie_ops.records import dataclass
from oatie_ops.supervisor.spec import CHECKOUT, ReleaseSpec

if TYPE_CHECKING:
    from oatie_ops.config.load import Loaded


@dataclass(frozen=True)
class Choice:
    """The release, or the checkout as one, and what to call it; ``settings`` are the supervisor's."""

    spec: ReleaseSpec
    what: str  # for people: "release 7", "this checkout (main:app)"
    settings: Settings
    notes: tuple[str, ...] = ()  # what else could have been run


def choose(loaded: Loaded, paths: StatePaths, *, dev: bool = False, log_level: str | None = None) -> Choice:
    """``dev`` always means the checkout. ``log_level`` is what the command line said.

    Secrets are looked up: raises as `filled` and `read_release`; `Undecided` where it is the checkout
    and what runs there cannot be told.
    """
    number = None if dev else deployed(paths)
    if number is None:
        require_decided(loaded.discovery)
    loaded = filled(loaded, EVERYTHING if number is None else SUPERVISOR)
    settings = loaded.settings
    if settings.proxy.enabled:
        from oatie_ops.deployment.proxy.front import with_front

        settings = with_front(settings, paths, make=True)
    if number is None:
        spec = ReleaseSpec(CHECKOUT, settings.root, settings.app)
        said = (*choice_notes(loaded.discovery), *_installation_note(settings))
        return Choice(spec, describe(loaded), settings, said)
    spec = read_release(paths.releases / str(number), loaded).spec()
    app = live(spec.app, settings.app, log_level)
    # What the command line said is no change of the file.
    said = changed_since(str(number), app, live(settings.app, settings.app, log_level))
    return Choice(replace(spec, app=app), f"release {number}", settings, said)


def changed_since(release: str, then: AppSettings, now: AppSettings) -> tuple[str, ...]:
    """At most one note: what in oatie.toml is not what this release runs with."""
    from oatie_ops.deployment.drift import drift, drift_note

    return tuple(filter(None, [drift_note(release, drift(then, now))]))


def _installation_note(settings: Settings) -> list[str]:
    """A start builds nothing: what a deploy would install has to be there."""
    if settings.app.run is None or not (settings.root / "src").is_dir():
        return []
    from oatie_ops.config.checkout import not_installed

    package = not_installed(settings)
    if not package:
        return []
    return [
        f"{package} is in src/ and not installed where oatie is: `pip install -e .` there first, "
        "or `oatie deploy`, which runs the commands of [deploy] build"
    ]


def deployed(paths: StatePaths) -> int | None:
    """The release that serves according to the store, or the last good one."""
    # Cheaper than to ask the database; there is one as soon as anything has run here.
    if not paths.releases.is_dir() or not any(paths.releases.iterdir()):
        return None
    from oatie_ops.deployment.reconcile import reconcile, unsettled
    from oatie_ops.store import Store

    if unsettled(paths):  # what a killed deploy left: finished or undone before anything is chosen
        reconcile(paths)
    with Store.open(paths.database) as store:
        number = store.releases.serving()
        good = store.releases.last_good() if number is None else None
    return number if good is None else good.number


def live(release: AppSettings, now: AppSettings, log_level: str | None) -> AppSettings:
    """A release brings its own code and start; where and how wide it runs is today's configuration."""
    from oatie_ops.deployment.proxy.front import front_of

    app = front_of(replace(release, host=now.host, port=now.port, workers=now.workers), now)
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
