"""From what a worker told of its start to the record of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oatie_ops.config.settings import ServiceSettings
from oatie_ops.performance.phases import (
    FIRST_REQUEST,
    PROGRAM,
    PYTHON,
    Dependency,
    Mark,
    Phase,
    Start,
    phases_of,
    with_interpreter,
)
from oatie_ops.performance.services import service_of

Reports = Mapping[str, Mapping[str, Any]]


def start_of(
    began: float,
    reports: Reports,
    *,
    program: bool,
    services: Mapping[str, ServiceSettings],
    peers: Iterable[str] = (),
    facts: Mapping[str, Any] | None = None,
) -> Start:
    """``reports``: by event, with ``at`` (monotonic) and ``cpu``; ``peers``: what it is connected to now."""
    marks = {
        name: Mark(float(r["at"]), r.get("cpu"), r.get("queued")) for name, r in reports.items() if "at" in r
    }
    times = reports.get("loaded", {}).get("times", {})
    marks |= {
        name: Mark(float(at), times.get(f"{name} cpu"), times.get(f"{name} queued"))
        for name, at in times.items()
        if " " not in name
    }
    if "born" in marks:
        marks["born"] = Mark(marks["born"].at, 0.0, 0.0)
    phases = phases_of(began, marks, PROGRAM if program else PYTHON)
    phases = with_interpreter(began, phases, marks)
    end = phases[-1].start + phases[-1].seconds if phases else 0.0
    return Start(
        end,
        phases,
        tuple(_dependencies(began, reports, services, peers)),
        _first_request(began, reports, end),
        dict(facts or {}),
    )


def _dependencies(
    began: float, reports: Reports, services: Mapping[str, ServiceSettings], peers: Iterable[str]
) -> Iterable[Dependency]:
    seen = set()
    for one in reports.get("booted", {}).get("connections", ()):
        address = str(one["address"])
        seen.add(address)
        start = max(0.0, float(one["at"]) - began)
        yield Dependency(address, start, one["seconds"], bool(one["ok"]), service_of(address, services))
    for address in peers:
        if address not in seen:
            yield Dependency(address, 0.0, None, True, service_of(address, services))


def _first_request(began: float, reports: Reports, end: float) -> Phase | None:
    report = reports.get("first-request")
    if report is None:
        return None
    return Phase(FIRST_REQUEST, end, max(0.0, float(report["at"]) - began - end), report.get("seconds"))
