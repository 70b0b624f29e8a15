"""A recovery ladder: what is tried, in which order, and how each try is proven. Values only."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from oatie_ops.config import defaults
from oatie_ops.config.settings import ServiceSettings, Settings
from oatie_ops.health.plan import APP, SYSTEM
from oatie_ops.redaction import redact


class Kind(StrEnum):
    RESTART = "restart"
    RUN = "run"
    WEBHOOK = "webhook"
    DEGRADE = "degrade"
    PAGE = "page"


# After these something may be well again. The other two make a failure bearable, or known.
REPAIRS = frozenset({Kind.RESTART, Kind.RUN, Kind.WEBHOOK})
MAX_NAME_CHARACTERS = 80
# Every replica one after the other, each behind its gate.
ROLLOUT_SECONDS = 1_800.0


@dataclass(frozen=True)
class Rung:
    """``number`` counts from 1. ``target`` is what the file says (``"docker:db"``); a webhook's address may
    hold a secret and stays out of `name` and repr. ``verify`` is the service whose checks prove it.
    """

    number: int
    kind: Kind
    verify: str
    target: str = field(default="", repr=False)
    argv: tuple[str, ...] = field(default=(), repr=False)
    max: int = 1
    settle_seconds: float = defaults.RUNG_SETTLE_SECONDS
    timeout_seconds: float = defaults.RUNG_TIMEOUT_SECONDS

    @property
    def repairs(self) -> bool:
        return self.kind in REPAIRS

    @property
    def name(self) -> str:
        """For people, without secrets: ``restart docker:db``, ``run ./start.sh``, ``webhook``."""
        if self.kind is Kind.WEBHOOK:
            return str(self.kind)
        what = shlex.join(self.argv) if self.argv else self.target
        text = redact(f"{self.kind} {what}")
        return text if len(text) <= MAX_NAME_CHARACTERS else f"{text[: MAX_NAME_CHARACTERS - 1]}…"


@dataclass(frozen=True)
class Ladder:
    """``declared`` False: the one that every application has; it is climbed only when somebody asks."""

    service: str
    rungs: tuple[Rung, ...]
    declared: bool = True

    @property
    def restart(self) -> Rung | None:
        """What "restart this service" means: its first rung that restarts something."""
        return next((rung for rung in self.rungs if rung.kind is Kind.RESTART), None)


def ladders(settings: Settings, *, on_engine: bool = False) -> dict[str, Ladder]:
    """By service. `app` always has one: the supervisor replaces workers that crash or hang by itself, and
    an operator who asks for more gets new workers without a gap first, and a hard restart after that.

    ``on_engine``: the application runs as containers of an engine, which replaces all of them.
    """
    found = {
        name: Ladder(name, tuple(_rung(name, number, rung) for number, rung in enumerate(service.recover, 1)))
        for name, service in settings.services.items()
        if service.recover
    }
    if APP not in found:
        rungs: list[dict[str, Any]] = [{"restart": "worker"}, {"restart": "process"}]
        if on_engine:
            rungs = [{"restart": "rollout", "timeout": ROLLOUT_SECONDS}]
        found[APP] = Ladder(
            APP, tuple(_rung(APP, number, rung) for number, rung in enumerate(rungs, 1)), declared=False
        )
    return found


def known_services(settings: Settings) -> list[str]:
    """All names that somebody may ask to recover."""
    return [APP, *(name for name in settings.services if name not in (APP, SYSTEM)), SYSTEM]


def parents_of(settings: Settings) -> dict[str, tuple[str, ...]]:
    """What each service needs; a feature of the application with routes needs the application too."""

    def needs(service: ServiceSettings) -> tuple[str, ...]:
        return (APP, *service.needs) if service.routes and not service.check else service.needs

    return {name: needs(service) for name, service in settings.services.items()}


def _rung(service: str, number: int, options: Mapping[str, Any]) -> Rung:
    kind = next(kind for kind in Kind if options.get(kind) is not None)
    value = options[kind]
    return Rung(
        number,
        kind,
        str(options.get("verify") or service),
        target="" if kind is Kind.RUN else str(value),
        argv=tuple(str(word) for word in value) if kind is Kind.RUN else (),
        max=int(options.get("max", 1)),
        settle_seconds=float(options.get("settle", defaults.RUNG_SETTLE_SECONDS)),
        timeout_seconds=float(options.get("timeout", defaults.RUNG_TIMEOUT_SECONDS)),
    )
