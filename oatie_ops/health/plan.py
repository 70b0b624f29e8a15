"""What is to be checked: the built-in services `app` and `system`, and every declared one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oatie_ops.config import defaults
from oatie_ops.config.durations import parse_duration
from oatie_ops.config.settings import ServiceSettings, Settings
from oatie_ops.health.model import CheckSpec

APP = "app"
SYSTEM = "system"
# Not run on a schedule: its result follows from the services that it needs (`oatie_ops.health.board`).
NEEDS = "needs"

WORKERS_INTERVAL_SECONDS = 1.0
DISK_INTERVAL_SECONDS = 30.0
MIN_INTERVAL_SECONDS = 0.1


# The keeper's own experience: one look is enough to believe it.
_STORE = CheckSpec(SYSTEM, "store", "store", interval_seconds=5.0, rise=1, fall=1)


@dataclass(frozen=True)
class ServicePlan:
    name: str
    checks: tuple[CheckSpec, ...]
    needs: tuple[str, ...] = ()


def plan(
    settings: Settings, state_home: Path, *, supervised: bool, remembering: bool = False
) -> tuple[ServicePlan, ...]:
    """In the order in which people read them: the application, what it declares, the host.

    Without a supervisor nothing is known about workers, so only what can be asked from outside is checked.
    ``remembering``: somebody keeps the history, so whether that works is checked too.
    """
    declared = dict(settings.services)
    app = _merged(APP, _app_checks(supervised), declared.pop(APP, None))
    host = [*_system_checks(settings.root, state_home), *([_STORE] if remembering else ())]
    system = _merged(SYSTEM, host, declared.pop(SYSTEM, None))
    return (app, *(_declared(service) for service in declared.values()), system)


def _merged(name: str, built_in: Iterable[CheckSpec], extra: ServiceSettings | None) -> ServicePlan:
    if extra is None:
        return ServicePlan(name, tuple(built_in))
    checks = list(built_in)
    if extra.check:
        own = _check(name, extra.check)
        taken = any(check.name == own.name for check in checks)
        checks.append(replace(own, name=f"{own.name}-declared") if taken else own)
    return ServicePlan(name, tuple(checks), extra.needs)


def _declared(service: ServiceSettings) -> ServicePlan:
    if service.check:
        return ServicePlan(service.name, (_check(service.name, service.check),), service.needs)
    # Routes are served by the application, so a feature without a check is as well as what it stands on.
    needs = (APP, *service.needs) if service.routes else service.needs
    check = CheckSpec(service.name, NEEDS, NEEDS, rise=1, fall=1)
    return ServicePlan(service.name, (check,), tuple(dict.fromkeys(needs)))


def _check(service: str, options: Mapping[str, Any]) -> CheckSpec:
    kind = str(options.get("type", "unnamed"))
    return CheckSpec(
        service=service,
        name=kind,
        type=kind,
        options=options,
        interval_seconds=max(
            MIN_INTERVAL_SECONDS, parse_duration(options.get("interval", defaults.CHECK_INTERVAL_SECONDS))
        ),
        timeout_seconds=parse_duration(options.get("timeout", defaults.CHECK_TIMEOUT_SECONDS)),
        rise=max(1, int(options.get("rise", defaults.CHECK_RISE))),
        fall=max(1, int(options.get("fall", defaults.CHECK_FALL))),
        warn_after_seconds=parse_duration(options["warn_after"]) if options.get("warn_after") else None,
    )


def _app_checks(supervised: bool) -> list[CheckSpec]:
    answers = CheckSpec(APP, "http", "app", rise=defaults.CHECK_RISE, fall=defaults.CHECK_FALL)
    if not supervised:
        return [answers]
    # The supervisor knows its workers for certain: one look is enough to believe it.
    workers = CheckSpec(
        APP,
        "workers",
        "workers",
        interval_seconds=WORKERS_INTERVAL_SECONDS,
        timeout_seconds=1.0,
        rise=1,
        fall=1,
    )
    return [workers, answers]


def _system_checks(root: Path, state_home: Path) -> list[CheckSpec]:
    disks = [CheckSpec(SYSTEM, "disk", "disk", {"path": root}, DISK_INTERVAL_SECONDS, fall=2)]
    if _device(state_home) not in (None, _device(root)):
        disks.append(
            CheckSpec(SYSTEM, "disk-state", "disk", {"path": state_home}, DISK_INTERVAL_SECONDS, fall=2)
        )
    # Short peaks of processor and memory use are how a host is meant to be used: a minute of it counts.
    return [*disks, CheckSpec(SYSTEM, "memory", "memory", fall=3), CheckSpec(SYSTEM, "cpu", "cpu", fall=6)]


def _device(path: Path) -> int | None:
    try:
        return path.stat().st_dev
    except OSError:
        return None
