"""What a degraded service answers: its routes and canned responses, ready to be sent. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from oatie_ops.records import dataclass

if TYPE_CHECKING:
    from oatie_ops.config.settings import Settings

DEFAULT_RETRY_AFTER_SECONDS = 30.0
MARK = b"x-degraded"
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Canned:
    """An answer that is ready to be sent; ``method`` "" is every method."""

    method: str
    path: str
    status: int
    headers: Headers
    body: bytes

    def matches(self, method: str, path: str) -> bool:
        return self.method in ("", method) and covers(self.path, path)


@dataclass(frozen=True)
class Rule:
    """One service. ``source`` is what it was compiled from."""

    service: str
    routes: tuple[str, ...] = ()
    responses: tuple[Canned, ...] = ()
    retry_after_seconds: float = DEFAULT_RETRY_AFTER_SECONDS
    source: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(route for route in self.routes if not route.endswith("*"))

    @cached_property
    def _prefixes(self) -> tuple[str, ...]:
        return tuple(route.rstrip("*") for route in self.routes if route.endswith("*"))

    def concerns(self, path: str) -> bool:
        return path in self._exact or path.startswith(self._prefixes)

    def answer(self, method: str, path: str) -> Canned | None:
        asked = "GET" if method == "HEAD" else method
        return next((canned for canned in self.responses if canned.matches(asked, path)), None)


def covers(pattern: str, path: str) -> bool:
    """``*`` at the end matches the rest."""
    return path.startswith(pattern[:-1].rstrip("*")) if pattern.endswith("*") else path == pattern


def source_of(settings: Settings) -> dict[str, dict[str, Any]]:
    """By service, what its rule is made of, as JSON: the part of oatie.toml that workers need."""
    found: dict[str, dict[str, Any]] = {}
    for service in settings.services.values():
        degrade = service.degrade or {}
        found[service.name] = {
            "routes": list(service.routes),
            "responses": [dict(response) for response in degrade.get("responses", ())],
            "retry_after": float(degrade.get("retry_after", DEFAULT_RETRY_AFTER_SECONDS)),
            "auto": list(degrade.get("auto", ())),
        }
    return found


def compile_rule(service: str, source: Mapping[str, Any]) -> Rule:
    return Rule(
        service,
        tuple(source.get("routes", ())),
        tuple(_canned(service, response) for response in source.get("responses", ())),
        float(source.get("retry_after", DEFAULT_RETRY_AFTER_SECONDS)),
        source,
    )


def _canned(service: str, response: Mapping[str, Any]) -> Canned:
    method, _, path = str(response["match"]).rpartition(" ")
    body, given = response.get("body"), dict(response.get("headers") or {})
    if body is None:
        content, kind = b"", ""
    elif isinstance(body, str):
        content, kind = body.encode(), "text/plain; charset=utf-8"
    else:
        content, kind = json.dumps(body).encode(), "application/json"
    lower = {name.lower(): value for name, value in given.items()}
    lower.setdefault("cache-control", "no-store")
    if kind:
        lower.setdefault("content-type", kind)
    lower |= {"content-length": str(len(content)), MARK.decode(): service}
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lower.items()]
    return Canned(method.strip().upper(), path, int(response.get("status", 200)), headers, content)


def refusal(
    rule: Rule, *, reason: str, retry_after_seconds: float, left_seconds: float | None
) -> tuple[int, Headers, bytes]:
    """503 as problem details (RFC 9457); nobody is told to come back later than the decision lasts."""
    wait = retry_after_seconds if left_seconds is None else min(retry_after_seconds, left_seconds)
    seconds = max(1, math.ceil(wait))
    problem = {
        "type": "urn:oatie:problem:degraded",
        "title": "Service Unavailable",
        "status": 503,
        "detail": f"{rule.service} is degraded; try again in {seconds} s",
        "service": rule.service,
        "reason": reason,
        "retry_after_seconds": seconds,
    }
    body = json.dumps(problem).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(seconds).encode()),
        (b"cache-control", b"no-store"),
        (MARK, rule.service.encode()),
    ]
    return 503, headers, body


def library_source(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule of `degradation_manager`: what looks like a route in it is served by the middleware."""
    responses: Mapping[str, Any] = rule.get("degraded_responses") or {}
    routed = [{"match": match, "body": body} for match, body in responses.items() if "/" in match]
    routes: Sequence[str] = rule.get("routes") or [each["match"].rpartition(" ")[2] for each in routed]
    return {
        "routes": list(routes),
        "responses": routed,
        "retry_after": rule.get("retry_after", DEFAULT_RETRY_AFTER_SECONDS),
    }
