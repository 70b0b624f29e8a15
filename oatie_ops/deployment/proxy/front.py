"""Which applications of a host stand behind Caddy, and where that is."""

from __future__ import annotations

from dataclasses import asdict, replace

from oatie_ops.config.settings import AppSettings, Settings
from oatie_ops.paths import StatePaths


def wants_front(settings: Settings) -> bool:
    """A program that is told its port, where the operator asked for a proxy: one in front of everybody's
    machine is nothing to start unasked."""
    app = settings.app
    return bool(settings.proxy.enabled) and app.command is not None and app.socket is None


def with_front(settings: Settings, paths: StatePaths, *, make: bool) -> Settings:
    """The same settings, with the place of the proxy where there is one. ``make``: it is going to be used,
    so what makes its route ours is kept from now on."""
    if not wants_front(settings):
        return settings
    if make:
        paths.ensure()
    from oatie_ops.deployment.containers.identity import identity, keep
    from oatie_ops.deployment.proxy.caddy import proxy_place

    mine = identity(paths, settings.app.name)
    if make:
        keep(paths, mine)
    place = asdict(proxy_place(settings, mine.short, mine.token, paths))
    return replace(settings, app=replace(settings.app, front=place))


def front_of(release: AppSettings, now: AppSettings) -> AppSettings:
    """Where a release stands is a matter of today, if it is a program at all."""
    fits = release.command is not None and release.socket is None
    return replace(release, front=now.front if fits else None)
