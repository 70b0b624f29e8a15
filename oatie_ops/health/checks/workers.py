"""Is the application served by its workers? The supervisor's own knowledge, so nothing is measured twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools
from oatie_ops.health.model import CheckSpec, Result, Status

_STATUS = {
    "running": Status.PASS,
    "degraded": Status.WARN,
    "starting": Status.UNKNOWN,
    "failed": Status.FAIL,
    "stopping": Status.FAIL,
}


@dataclass(frozen=True)
class WorkersCheck:
    tools: Tools

    async def run(self, attempt: Attempt) -> Result:
        if self.tools.app_status is None:
            return Result(Status.FAIL, "no supervisor is running: start one with `oatie start`")
        return judge(self.tools.app_status())


def judge(status: Mapping[str, Any]) -> Result:
    """From the object of ``GET /control/status``."""
    state = str(status.get("state", ""))
    workers = status.get("workers") or ()
    counts = Counter(str(worker.get("state", "?")) for worker in workers)
    summary = ", ".join(f"{count} {name}" for name, count in counts.items()) or "no worker"
    detail = str(status.get("detail") or "")
    output = f"{state}: {detail} ({summary})" if detail else f"{state}: {summary}"
    return Result(_STATUS.get(state, Status.UNKNOWN), output, float(len(workers)), "workers")


def build(spec: CheckSpec, tools: Tools) -> Check:
    if spec.service != "app":
        raise CheckUnusable("only the service `app` has workers")
    return WorkersCheck(tools)
