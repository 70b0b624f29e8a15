"""Rules across the keys of ``[services.*]`` and ``[alerts.*]``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from oatie_ops.config.issues import WARNING, Problem
from oatie_ops.config.settings import ServiceSettings, Settings
from oatie_ops.config.spans import KeyPath


def check_services(settings: Settings) -> Iterator[Problem]:
    names = [*settings.services, "app", "system"]
    for service in settings.services.values():
        here: KeyPath = ("services", service.name)
        yield from _unknown((*here, "needs"), service.needs, names, "service")
        if service.name in service.needs:
            yield Problem("conflict", (*here, "needs"), "names the service itself")
        yield from _check_of(service)
        yield from _limits(service)
        degrade = service.degrade or {}
        yield from _unknown((*here, "degrade", "auto"), degrade.get("auto", ()), [*names, "load"], "service")
        yield from _responses(service)
        wrong = list(_ladder(service, names, list(settings.alerts)))
        yield from wrong or _proof(service)
    yield from _cycles(settings.services)


def _check_of(service: ServiceSettings) -> Iterator[Problem]:
    check, path = service.check or {}, ("services", service.name, "check")
    kind = check.get("type")
    if kind == "http" and ("url" in check) == ("path" in check):
        yield Problem("missing-key", path, "needs `url`, or `path` for the application itself", at="key")
    if kind == "tcp" and ("url" in check) == ("port" in check):
        yield Problem("missing-key", path, "needs `port` (and `host`), or `url`", at="key")
    if kind == "process" and ("pid_file" in check) == ("name" in check):
        yield Problem("missing-key", path, "needs `pid_file` or `name`", at="key")


def _limits(service: ServiceSettings) -> Iterator[Problem]:
    interval, timeout = (service.check or {}).get("interval", 0), (service.check or {}).get("timeout", 0)
    if timeout > interval:
        yield Problem(
            "slow-check",
            ("services", service.name, "check", "timeout"),
            "is longer than the interval: a hanging check is reported late",
            severity=WARNING,
        )
    warn, fail = (service.check or {}).get("warn"), (service.check or {}).get("fail")
    if warn is not None and fail is not None and warn > fail:
        yield Problem("conflict", ("services", service.name, "check", "warn"), "must not be above `fail`")


_MATCH = re.compile(r"(?:[A-Z]+ +)?(/\S*)")


def _responses(service: ServiceSettings) -> Iterator[Problem]:
    for number, response in enumerate((service.degrade or {}).get("responses", ())):
        path: KeyPath = ("services", service.name, "degrade", "responses", number, "match")
        match = _MATCH.fullmatch(str(response["match"]))
        route = match[1] if match else ""
        if match is None:
            yield Problem("bad-value", path, "must be a method and a path", 'such as "GET /api/reports"')
        elif not any(_covers(pattern, route) for pattern in service.routes):
            yield Problem("not-covered", path, "is on none of the service's routes", severity=WARNING)


def _covers(pattern: str, route: str) -> bool:
    if pattern.endswith("*"):
        return route.startswith(pattern[:-1].rstrip("*"))
    return route == pattern


def _ladder(service: ServiceSettings, names: list[str], alerts: list[str]) -> Iterator[Problem]:
    for number, rung in enumerate(service.recover):
        path: KeyPath = ("services", service.name, "recover", number)
        for key in ("degrade", "verify"):
            if key in rung:
                yield from _unknown((*path, key), [rung[key]], names, "service")
        if "page" in rung:
            yield from _unknown((*path, "page"), [rung["page"]], alerts, "alert")
        if "restart" in rung and not _is_restart(rung["restart"]):
            hint = '"worker", "process", "app", "rollout", "systemd:UNIT" or "docker:CONTAINER"'
            yield Problem("bad-value", (*path, "restart"), "names nothing that can be restarted", hint)


def _proof(service: ServiceSettings) -> Iterator[Problem]:
    checked = service.check or service.needs or service.routes or service.name in ("app", "system")
    if service.recover and not checked:
        yield Problem(
            "no-proof",
            ("services", service.name, "recover"),
            "is never climbed by itself: nothing checks this service",
            "give it a `check`, or `needs` that have one",
            severity=WARNING,
        )


def _is_restart(target: str) -> bool:
    kind, _, name = target.partition(":")
    return target in ("worker", "process", "app", "rollout") or (kind in ("systemd", "docker") and bool(name))


def _unknown(path: KeyPath, used: Iterable[str], known: list[str], what: str) -> Iterator[Problem]:
    for number, name in enumerate(used):
        if name in known:
            continue
        near = get_close_matches(name, known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"there is no [{what}s.…] of that name"
        exact = path if path[-1] not in ("needs", "auto") else (*path, number)
        yield Problem(f"unknown-{what}", exact, f"names no {what}", hint)


def _cycles(services: Mapping[str, ServiceSettings]) -> Iterator[Problem]:
    for name in services:
        seen: set[str] = set()
        stack = [(name, [name])]
        while stack:
            at, trail = stack.pop()
            for need in services[at].needs if at in services else ():
                if need == name and len(trail) > 1 and name == min(trail):
                    ring = " → ".join([*trail, name])
                    yield Problem("cycle", ("services", name, "needs"), f"goes round in a circle: {ring}")
                elif need not in seen and need != name:
                    seen.add(need)
                    stack.append((need, [*trail, need]))


def check_alerts(settings: Settings) -> Iterator[Problem]:
    for name, alert in settings.alerts.items():
        ways = [way for way in ("webhook", "command", "email") if alert.get(way)]
        if len(ways) != 1:
            yield Problem(
                "missing-key",
                ("alerts", name),
                "needs exactly one of `webhook`, `command`, `email`",
                at="key",
            )
