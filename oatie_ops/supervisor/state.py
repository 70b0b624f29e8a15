"""How a supervisor says how it is: its state in one word, and its objects of ``GET /control/status``."""

from __future__ import annotations

from typing import Any

from oatie_ops.redaction import redact
from oatie_ops.supervisor.fleet import Fleet
from oatie_ops.supervisor.memory import rss_bytes
from oatie_ops.supervisor.stats import StatsPage
from oatie_ops.supervisor.switch import Stage, Switch
from oatie_ops.supervisor.workers import Worker


def state_of(fleet: Fleet, serving: int, *, stopping: bool) -> tuple[str, str]:
    """One of running, starting, degraded, failed, stopping; and why, empty where all is well."""
    if stopping:
        return "stopping", ""
    failure = fleet.failure
    detail = redact(failure.why or failure.what) if failure is not None else ""
    if serving >= fleet.desired and failure is None:
        return ("degraded", _ending_again(fleet)) if fleet.looping else ("running", "")
    if serving:
        count = f"{serving} of {fleet.desired} workers serve"
        return "degraded", f"{count}: {detail}" if detail else count
    if failure is not None or fleet.looping:
        return "failed", detail or _ending_again(fleet)
    return "starting", ""


def switch_status(switch: Switch | None) -> dict[str, Any] | None:
    """None where no switch is under way any more."""
    if switch is None or switch.stage in (Stage.COMMITTED, Stage.ABORTED):
        return None
    return {"release": switch.candidate.spec.name, "stage": switch.stage}


def worker_status(worker: Worker, stats: StatsPage) -> dict[str, Any]:
    """Times are epoch seconds; what a plain program does not count is None."""
    sample = stats.read(worker.slot)
    counted = worker.spec.app.command is None  # only our own worker counts; of a program we know nothing
    return {
        "id": worker.id,
        "pid": worker.pid,
        "state": str(worker.state),
        "release": worker.spec.name,
        "generation": worker.generation,
        "started_at": worker.started_at,
        "rss_bytes": rss_bytes(worker.pid),
        "requests": sample.requests if counted else None,
        "errors": sample.errors if counted else None,
        "in_flight": sample.in_flight if counted else None,
        "lag_seconds": round(sample.lag_seconds, 4) if counted else None,
        "connections": sample.connections if counted else None,
        "gate_port": worker.port,
    }


def _ending_again(fleet: Fleet) -> str:
    last = fleet.last_end
    return f"workers end again and again; the last: {last.what}" if last else "workers end again and again"
