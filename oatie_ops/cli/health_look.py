"""One look at the health for ``oatie health --watch``: what it found, and whether the watch is over."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oatie_ops.cli.context import Context
from oatie_ops.cli.health_source import fetch, narrowed
from oatie_ops.cli.output import report_error
from oatie_ops.config.durations import format_duration
from oatie_ops.errors import OatieError, UsageError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.health.words import WORDS

# The look at the deadline takes its time: cut shorter, it would call failing what was only not waited for.
MIN_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Wanted:
    """``until`` is the status to wait for; ``deadline_seconds`` is how long. Empty services: all."""

    services: tuple[str, ...] = ()
    interval_seconds: float = 2.0
    count: int | None = None
    until: str | None = None
    deadline_seconds: float | None = None
    timeout_seconds: float = 5.0
    as_json: bool = False


@dataclass(frozen=True)
class Look:
    """What one look found: health, or why there is none. ``at`` is in epoch seconds."""

    at: float
    health: Mapping[str, Any] | None = None
    error: OatieError | None = None

    @property
    def status(self) -> str:
        return "unknown" if self.health is None else str(self.health["status"])

    @property
    def why(self) -> str:
        if self.error is None:
            return ""
        return f"{self.error.what}: {self.error.why}" if self.error.why else self.error.what


Verdict = ExitCode | str


def look_once(context: Context, wanted: Wanted, since_seconds: float) -> Look:
    """Raises `UsageError` only: whatever else is wrong may be over at the next look."""
    patience = wanted.timeout_seconds
    if wanted.deadline_seconds is not None:
        patience = max(MIN_LOOK_SECONDS, min(patience, wanted.deadline_seconds - since_seconds))
    try:
        found = fetch(context, wanted.services, patience, settle=False)
        return Look(time.time(), narrowed(found, wanted.services))
    except UsageError:
        raise
    except OatieError as error:
        return Look(time.time(), error=error)


def judge(wanted: Wanted, looks: int, status: str, since_seconds: float) -> Verdict | None:
    """Is the watch over? Pure."""
    if wanted.until is not None and status == wanted.until:
        return ExitCode.OK
    if wanted.deadline_seconds is not None and since_seconds >= wanted.deadline_seconds:
        return ExitCode.FAILED
    if wanted.count is not None and looks >= wanted.count:
        return status if wanted.until is None else ExitCode.FAILED
    return None


def say_unmet(wanted: Wanted, look: Look | None, verdict: Verdict) -> None:
    """Why a pipeline stops here: what was not reached, and what stood in the way."""
    if wanted.until is None or verdict != ExitCode.FAILED:
        return
    limit = f" within {format_duration(wanted.deadline_seconds)}" if wanted.deadline_seconds else ""
    report_error(
        OatieError(
            f"it did not become {WORDS[wanted.until]}{limit}",
            why="" if look is None else in_the_way(look),
            fix="only some services matter? name them: `oatie health app --until pass`"
            if wanted.until == "pass" and not wanted.services
            else "",
        )
    )


def in_the_way(look: Look) -> str:
    """Every service that does not pass, with its finding; pure."""
    if look.health is None:
        return look.why
    found = [
        f"{name} is {WORDS[service['status']]}: {service['output']}"
        for name, service in look.health["services"].items()
        if service["status"] != "pass"
    ]
    return "\n".join(found) or "everything is healthy"
