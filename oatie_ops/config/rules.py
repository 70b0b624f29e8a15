"""What cannot be right although each key on its own is: rules across keys. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from oatie_ops.config.address import is_loopback, listen_address, same_port
from oatie_ops.config.issues import WARNING, Problem
from oatie_ops.config.layers import Origin, Source
from oatie_ops.config.masking import holds_credentials, is_sensitive_name
from oatie_ops.config.rules_services import check_alerts, check_services
from oatie_ops.config.settings import AppSettings, Settings
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
        *_scale(settings, origin),
        *_exposure(settings),
        *_debug(settings.app, profile),
        *_cors(settings.app),
        *_port_variable(settings.app),
        *check_services(settings),
        *check_alerts(settings),
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
_VARIABLE = re.compile(r"\$(\{|[A-Za-z_])")


def _unexpanded(command: tuple[str, ...]) -> Iterator[Problem]:
    if command[0].rpartition("/")[2] in _SHELLS:
        return
    for number, argument in enumerate(command):
        if _VARIABLE.search(argument):
            yield Problem(
                "unexpanded",
                ("app", "command", number),
                "holds a variable, but is run without a shell",
                'through a shell it is filled in: command = ["sh", "-c", "exec server --port $PORT"]',
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


def _ports(settings: Settings, origin: OriginOf) -> Iterator[Problem]:
    address = listen_address(settings.ops.listen)
    if (
        address
        and same_port(settings.app.host, settings.app.port, address)
        and _is_set(origin, ("ops", "listen"))
    ):
        yield Problem("same-port", ("ops", "listen"), "is the port of the application", "choose another port")
    if settings.ops.listen == "app":
        # The contract of the file knows it; the supervisor does not mount the ops API on the workers yet.
        yield Problem("unsupported", ("ops", "listen"), 'cannot be "app" yet', 'use "127.0.0.1:8000"')


def _scale(settings: Settings, origin: OriginOf) -> Iterator[Problem]:
    scale = settings.scale
    if scale.min > scale.max:
        yield Problem("conflict", ("scale", "min"), f"is above scale.max ({scale.max})", "swap the two")
    if scale.auto and not _is_set(origin, ("scale", "max")):
        yield Problem(
            "no-bound",
            ("scale", "auto"),
            "needs a bound: how many workers there may be at the most",
            "set scale.max, such as max = 8",
        )


def _exposure(settings: Settings) -> Iterator[Problem]:
    ops = settings.ops
    address = listen_address(ops.listen)
    wide = address is not None and not is_loopback(address[0])
    if wide and not ops.token_file:
        yield Problem(
            "exposed",
            ("ops", "listen"),
            "is reachable from other machines: it opens only once there is a token",
            "make one with `oatie token create NAME`, set ops.token_file, or listen on 127.0.0.1",
            WARNING,
        )
    if wide and not ops.tls_certificate:
        yield Problem(
            "clear-text",
            ("ops", "listen"),
            "is reachable from other machines without TLS: tokens can be read on the way",
            "set ops.tls_certificate and ops.tls_key, or put a proxy that ends TLS before it",
            WARNING,
        )
    if ops.tls_key and not ops.tls_certificate:
        yield Problem("conflict", ("ops", "tls_key"), "has no certificate", "set ops.tls_certificate too")


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


def _port_variable(app: AppSettings) -> Iterator[Problem]:
    if app.env.get("PORT", str(app.port)) != str(app.port):
        what = "is not the port that is listened on"
        yield Problem("conflict", ("app", "env", "PORT"), what, "set app.port", WARNING)


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
