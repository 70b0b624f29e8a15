"""What cannot be right although each key on its own is: rules across keys. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches

from oatie_ops.config.address import LOOPBACK_ADDRESSES, listen_address, same_port
from oatie_ops.config.issues import WARNING, Problem
from oatie_ops.config.layers import Origin, Source
from oatie_ops.config.masking import holds_credentials, is_sensitive_name
from oatie_ops.config.settings import AppSettings, ServiceSettings, Settings
from oatie_ops.config.spans import KeyPath

OriginOf = Callable[[KeyPath], Origin]

_ONLY_WITH_RUN = ("interface", "factory", "loop", "http", "spare", "max_requests", "access_log")
_SERVED = ("production", "cloud", "staging", "kubernetes", "docker")
_DEBUG_VARIABLES = ("DEBUG", "FLASK_DEBUG", "DJANGO_DEBUG")
_TRUE = ("1", "true", "yes", "on")


def check(settings: Settings, origin: OriginOf, profile: str) -> list[Problem]:
    return [
        *_application(settings.app, origin),
        *_times(settings),
        *_ports(settings, origin),
        *_exposure(settings),
        *_debug(settings.app, profile),
        *_cors(settings.app),
        *_services(settings),
        *_alerts(settings),
    ]


def _is_set(origin: OriginOf, path: KeyPath) -> bool:
    return origin(path).source > Source.PROFILE


def _application(app: AppSettings, origin: OriginOf) -> Iterator[Problem]:
    if app.run is not None and app.command is not None:
        yield Problem(
            "conflict",
            ("app", "command"),
            "and `app.run` exclude each other",
            "keep one of the two",
            at="key",
        )
        return
    if app.command is None:
        if app.socket is not None:
            yield Problem(
                "conflict",
                ("app", "socket"),
                "is only for `command`",
                "with `run` the workers share the socket by themselves",
                at="key",
            )
        return
    for name in _ONLY_WITH_RUN:
        if _is_set(origin, ("app", name)):
            yield Problem(
                "conflict", ("app", name), "has a meaning only with `app.run`", severity=WARNING, at="key"
            )
    yield from _command_workers(app, origin)
    yield from _unexpanded(app.command)


def _command_workers(app: AppSettings, origin: OriginOf) -> Iterator[Problem]:
    source = origin(("app", "workers"))
    if app.workers <= 1 or app.socket == "activation" or source.source <= Source.PROFILE:
        return
    # WORKERS is set for every application of a platform; it is no decision about this one.
    chosen = source.source in (Source.FILE, Source.OVERLAY, Source.FLAG) or source.name.startswith("OATIE_")
    yield Problem(
        "workers-cannot-share",
        ("app", "workers"),
        "cannot be more than 1: each process of a plain `command` binds the port for itself"
        if chosen
        else "is taken as 1: each process of a plain `command` binds the port for itself",
        'set workers = 1, or socket = "activation" for a program that takes LISTEN_FDS',
        "error" if chosen else WARNING,
    )


_SHELLS = ("sh", "bash", "zsh", "dash", "ash", "ksh", "fish")
_FILLED_IN = ("$PORT", "${PORT}", "$HOST", "${HOST}")


def _unexpanded(command: tuple[str, ...]) -> Iterator[Problem]:
    if command[0].rpartition("/")[2] in _SHELLS:
        return
    for number, argument in enumerate(command):
        rest = argument
        for known in _FILLED_IN:
            rest = rest.replace(known, "")
        if "$" in rest and any(c.isalpha() or c == "{" for c in rest.partition("$")[2][:1]):
            yield Problem(
                "unexpanded",
                ("app", "command", number),
                "holds a variable, but is run without a shell",
                'only $PORT and $HOST are filled in; for others: ["sh", "-c", "exec …"]',
                WARNING,
            )


def _times(settings: Settings) -> Iterator[Problem]:
    app, deploy = settings.app, settings.deploy
    if app.drain_seconds == 0:
        yield Problem(
            "no-drain", ("app", "drain"), "is 0: requests in flight are cut at every deploy", severity=WARNING
        )
    if deploy.keep == 1:
        yield Problem(
            "no-rollback", ("deploy", "keep"), "is 1: there is nothing to roll back to", severity=WARNING
        )
    for service in settings.services.values():
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


def _ports(settings: Settings, origin: OriginOf) -> Iterator[Problem]:
    address = listen_address(settings.ops.listen)
    if (
        address
        and same_port(settings.app.host, settings.app.port, address)
        and _is_set(origin, ("ops", "listen"))
    ):
        hint = 'choose another port, or listen = "app" to serve it on the application\'s own'
        yield Problem("same-port", ("ops", "listen"), "is the port of the application", hint)
    if settings.ops.listen == "app" and settings.app.command is not None:
        yield Problem("conflict", ("ops", "listen"), 'can be "app" only with `app.run`')


def _exposure(settings: Settings) -> Iterator[Problem]:
    address = listen_address(settings.ops.listen)
    if address and address[0] not in LOOPBACK_ADDRESSES and not settings.ops.token_file:
        yield Problem(
            "exposed",
            ("ops", "listen"),
            "is reachable from other machines, and no token is set",
            "set ops.token_file, or listen on 127.0.0.1",
            WARNING,
        )


def _debug(app: AppSettings, profile: str) -> Iterator[Problem]:
    if profile not in _SERVED:
        return
    paths: list[KeyPath] = [("app", "debug")] if app.debug else []
    paths += [("app", "env", name) for name in _DEBUG_VARIABLES if app.env.get(name, "").lower() in _TRUE]
    for path in paths:
        yield Problem(
            "debug-in-production",
            path,
            f"is on in an environment of the profile {profile}: errors would show code and settings to users",
            severity=WARNING,
        )


def _cors(app: AppSettings) -> Iterator[Problem]:
    anyone = "*" in app.cors_origins or app.env.get("CORS_ORIGINS", "").strip() == "*"
    credentials = app.cors_credentials or app.env.get("CORS_ALLOW_CREDENTIALS", "").lower() in _TRUE
    if anyone and credentials:
        path: KeyPath = ("app", "cors_origins") if "*" in app.cors_origins else ("app", "env", "CORS_ORIGINS")
        yield Problem(
            "cors-any-origin",
            path,
            'is "*" while credentials are allowed: any website could act as the user',
            "list the origins",
            WARNING,
        )


def _services(settings: Settings) -> Iterator[Problem]:
    names = [*settings.services, "app", "system"]
    for service in settings.services.values():
        here: KeyPath = ("services", service.name)
        yield from _unknown((*here, "needs"), service.needs, names, "service")
        if service.name in service.needs:
            yield Problem("conflict", (*here, "needs"), "names the service itself")
        yield from _check_of(service)
        degrade = service.degrade or {}
        yield from _unknown((*here, "degrade", "auto"), degrade.get("auto", ()), names, "service")
        yield from _responses(service)
        yield from _ladder(service, names, list(settings.alerts))
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
            hint = '"worker", "app", "systemd:UNIT" or "docker:CONTAINER"'
            yield Problem("bad-value", (*path, "restart"), "names nothing that can be restarted", hint)


def _is_restart(target: str) -> bool:
    kind, _, name = target.partition(":")
    return target in ("worker", "app") or (kind in ("systemd", "docker") and bool(name))


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
        trail, at = [name], name
        seen = set()
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


def _alerts(settings: Settings) -> Iterator[Problem]:
    for name, alert in settings.alerts.items():
        ways = [way for way in ("webhook", "command", "email") if alert.get(way)]
        if len(ways) != 1:
            yield Problem(
                "missing-key",
                ("alerts", name),
                "needs exactly one of `webhook`, `command`, `email`",
                at="key",
            )


def plaintext_secrets(values: Iterable[tuple[KeyPath, object]]) -> list[Problem]:
    """Values of the file that look like secrets: they are in version control, in every copy, for ever."""
    return [
        Problem(
            "plaintext-secret",
            path,
            "looks like a secret in plain text",
            'take it from outside: "${NAME}"',
            WARNING,
        )
        for path, value in values
        if isinstance(value, str) and value and "${" not in value and _looks_secret(path, value)
    ]


def _looks_secret(path: KeyPath, value: str) -> bool:
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    if holds_credentials(value):
        return True
    holder = path[:2] == ("app", "env") or "headers" in path
    return holder and is_sensitive_name(name) and value.lower() not in ("true", "false", "none")
