"""One line for Nagios, Icinga and Consul script checks (Monitoring Plugins' development guidelines)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oatie_ops.cli.context import Context
from oatie_ops.cli.health_source import fetch, narrowed
from oatie_ops.cli.output import emit
from oatie_ops.errors import OatieError

# The plugin API's codes, not those of the other commands: a scheduler knows only these.
CODES: Mapping[str, int] = {"pass": 0, "warn": 1, "fail": 2, "unknown": 3}
WORDS: Mapping[str, str] = {"pass": "OK", "warn": "WARNING", "fail": "CRITICAL", "unknown": "UNKNOWN"}
UNITS: Mapping[str, str] = {"percent": "%", "seconds": "s", "bytes": "B"}
MAX_OUTPUT_CHARACTERS = 4096


def answer(services: Sequence[str], group: str | None, timeout_seconds: float) -> int:
    """Whatever happens is one line and a plugin's code: a scheduler understands nothing else."""
    try:
        health = narrowed(fetch(Context(), services, timeout_seconds), services)
    except OatieError as error:
        emit(unknown(f"{error.what}: {error.why}" if error.why else error.what))
        return CODES["unknown"]
    if group is not None:
        verdict = health["groups"][group]
        health |= {"status": verdict["status"], "cause": f"{group}: {verdict['output']}"}
    emit(line(health))
    return CODES[health["status"]]


def line(health: Mapping[str, Any]) -> str:
    """``OATIE STATUS - why | performance data`` from the object of ``GET /health/dashboard``."""
    services = health["services"]
    passing = sum(service["status"] == "pass" for service in services.values())
    told = health["cause"] or f"{passing} of {len(services)} services healthy"
    data = " ".join(_performance(services))
    return f"OATIE {WORDS[health['status']]} - {_clean(told)} | {data}".rstrip(" |")


def unknown(why: str) -> str:
    """For what kept us from finding out."""
    return f"OATIE UNKNOWN - {_clean(why)}"


def _performance(services: Mapping[str, Any]) -> Iterator[str]:
    for name, service in services.items():
        for check_name, check in service["checks"].items():
            label = f"{name}.{check_name}"
            if check["duration_seconds"] is not None:
                yield _datum(f"{label}.time", check["duration_seconds"], "s", fail=check["timeout_seconds"])
            if check["observed_value"] is not None:
                yield _datum(label, check["observed_value"], UNITS.get(check["observed_unit"], ""))


def _datum(label: str, value: float, unit: str, fail: float | None = None) -> str:
    """``'label'=value[UOM];[warn];[crit];[min]``."""
    # A quote or an equals sign would end the label.
    shown = label.replace("'", "").replace("=", "_")
    return f"'{shown}'={value:.10g}{unit};;{'' if fail is None else f'{fail:g}'};0"


def _clean(text: str) -> str:
    """``|`` separates the performance data, a line break the long output."""
    return " ".join(text.replace("|", "/").split())[:MAX_OUTPUT_CHARACTERS]
