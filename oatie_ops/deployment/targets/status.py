"""What `oatie status` shows of a release on an engine: the same shape as that of a supervisor. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oatie_ops.deployment.targets.engine import Replica


def status_of(
    *,
    target: str,
    release: str | None,
    replicas: Sequence[Replica],
    wanted: int,
    app: dict[str, Any],
    detail: str = "",
    stopped: bool = False,
    cut_off: str = "",
) -> dict[str, Any]:
    """``app`` has url, port, name, ready and ready_host. ``detail`` is what an operator should know,
    ``cut_off`` why no request reaches what serves."""
    state, why = _state(release, replicas, wanted, stopped=stopped)
    if state in ("running", "degraded") and cut_off:
        state, why = "failed", "; ".join(filter(None, (cut_off, why)))
    if state == "running" and detail:
        state = "degraded"
    return {
        "target": target,
        "supervisor": {"pid": None, "started_at": None, "version": None, "rss_bytes": None},
        "release": release,
        "state": state,
        "detail": "; ".join(filter(None, (why, detail))),
        "workers": [_worker(each) for each in replicas],
        "wanted_workers": wanted,
        "restarts": sum(each.restarts for each in replicas),
        "last_reload": None,
        "last_end": None,
        "switch": None,
        "app": app,
        "ops": {"url": None},
    }


def _state(
    release: str | None, replicas: Sequence[Replica], wanted: int, *, stopped: bool
) -> tuple[str, str]:
    serving = sum(each.state == "serving" for each in replicas if each.release == release)
    if release is None:
        return "not running", "nothing has been deployed here yet: `oatie deploy`"
    if stopped and not serving:
        return "not running", f"release {release} is stopped: `oatie start` serves it again"
    if not serving:
        return "failed", f"no replica of release {release} serves"
    if serving < wanted:
        return "degraded", f"{serving} of {wanted} replicas serve"
    return "running", ""


def _worker(each: Replica) -> dict[str, Any]:
    return {
        "id": each.name,
        "pid": each.pid,
        "state": each.state,
        "release": each.release,
        "started_at": each.started_at,
        "rss_bytes": each.rss_bytes,
        "requests": None,
        "errors": None,
        "in_flight": None,
        "connections": None,
        "restarts": each.restarts,
        "healthy": each.healthy,
        "node": each.node or None,
        "address": each.address or None,
        "detail": each.detail,
    }
