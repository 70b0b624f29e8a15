"""What one-shot ``oatie health`` prints, and which exit code goes with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from oatie_ops.cli import github
from oatie_ops.cli.health_source import Health
from oatie_ops.cli.output import emit_json, emit_json_line, emit_report
from oatie_ops.exit_codes import ExitCode

DEFAULT_TIMEOUT_SECONDS = 10.0
SCHEMA = "oatie.health/v1"
BY_DEFAULT = {"pass": ExitCode.OK, "fail": ExitCode.FAILED}
EXIT_CODES: Mapping[str | None, Mapping[str, ExitCode]] = {
    None: BY_DEFAULT,
    "fail": {**BY_DEFAULT, "warn": ExitCode.OK},
    "warn": {**BY_DEFAULT, "warn": ExitCode.FAILED, "unknown": ExitCode.FAILED},
}


def exit_code(status: str, fail_on: str | None = None) -> int:
    return EXIT_CODES[fail_on].get(status, ExitCode.DEGRADED)


def show(health: Health, *, as_json: bool, as_line: bool = False) -> None:
    if as_json:
        emit_json({"schema": SCHEMA, **health})
    elif as_line:
        emit_json_line({"schema": SCHEMA, **health})
    else:
        from oatie_ops.cli.health_text import render

        emit_report("\n".join(render(health, sys.stdout)))
    if github.wanted():
        _summarize(health)


def _summarize(health: Health) -> None:
    services = health["services"]
    rows = [(name, service["status"], service["output"]) for name, service in services.items()]
    github.summarize(f"oatie health: {health['status']}", ("service", "status", "finding"), rows)
