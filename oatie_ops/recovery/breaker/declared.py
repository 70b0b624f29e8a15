"""The breakers that oatie.toml declares, handed by the supervisor to its workers as a small file.

It stands beside the files of the breakers themselves, in the directory that ``OATIE_BREAKERS`` names.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oatie_ops.recovery.breaker.config import CircuitBreakerConfig

if TYPE_CHECKING:
    from oatie_ops.config.settings import Settings
    from oatie_ops.paths import StatePaths

VARIABLE = "OATIE_BREAKERS"
FILE = "declared.json"

log = logging.getLogger(__name__)


def publish_declared(settings: Settings, paths: StatePaths) -> None:
    """Of every service that declares a breaker; workers read them when they boot."""
    services = settings.services.values()
    publish(paths.breakers, {s.name: s.breaker for s in services if s.breaker is not None})


def publish(directory: Path, breakers: Mapping[str, Mapping[str, Any]]) -> None:
    """By service. Complete or not at all; a failure costs the defaults, nothing else."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = directory / f".{FILE}.{os.getpid()}"
        temporary.write_text(json.dumps({name: dict(breaker) for name, breaker in breakers.items()}))
        temporary.replace(directory / FILE)
    except OSError as error:
        log.warning("the breakers of oatie.toml do not reach the application: %s", error)


def read(directory: Path) -> dict[str, CircuitBreakerConfig]:
    """What a newer oatie wrote and this one does not know is left out."""
    try:
        data = json.loads((directory / FILE).read_text())
        return {name: config_of(breaker) for name, breaker in data.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("the breakers of oatie.toml cannot be read: %s", error)
        return {}


def config_of(breaker: Mapping[str, Any]) -> CircuitBreakerConfig:
    """Raises `ValueError`, `TypeError`."""
    known = {field.name for field in fields(CircuitBreakerConfig)}
    return CircuitBreakerConfig(**{name: value for name, value in breaker.items() if name in known})


def file_of(directory: Path, service: str) -> Path:
    """Its breaker's file; any name of a service gives one that a file may have."""
    from urllib.parse import quote

    return directory / f"{quote(service, safe='')}.breaker"
