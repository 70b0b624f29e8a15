"""What every check type is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from oatie_ops.config.settings import Settings
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.heartbeats import Heartbeats
from oatie_ops.health.model import Result, Status
from oatie_ops.health.threads import CheckThreads


class CheckUnusable(Exception):
    """The declared check cannot be run: an option is missing or a driver is not installed."""


class DriverMissing(CheckUnusable):
    """``module`` cannot be imported; it may be installed while the supervisor runs."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"this check needs the driver {module}: pip install 'oatie-ops[{extra}]'")
        self.module = module


class Check(Protocol):
    async def run(self, attempt: Attempt) -> Result:
        """Measures once. May be cancelled at its deadline; raises only what is a bug or `OSError`."""
        ...


@dataclass(frozen=True)
class Tools:
    """What checks may use. ``app_status`` is None where no supervisor runs in this process.

    ``beats`` None: nobody listens for heartbeats. ``store_problem`` None: nothing is being remembered.
    """

    settings: Settings
    threads: CheckThreads
    state_home: Path
    app_status: Callable[[], Mapping[str, Any]] | None = None
    beats: Heartbeats | None = None
    store_problem: Callable[[], str] | None = None


def driver(module: str, extra: str) -> Any:
    """The driver's module. Raises `DriverMissing` that tells which extra brings it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise DriverMissing(module, extra) from error


@dataclass(frozen=True)
class Unmeasured:
    """Stands in for a check that cannot be run, and says so each time."""

    why: str
    result: Result = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "result", Result(Status.UNKNOWN, self.why))

    async def run(self, attempt: Attempt) -> Result:
        return self.result
