"""A rollout as it goes on: watched to its real end, through the bake, and explained where it fails."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from oatie_ops.deployment.containers.api import explained
from oatie_ops.deployment.containers.errors import EngineFailed
from oatie_ops.deployment.targets.base import BakeFailed, GateFailed, Tell
from oatie_ops.deployment.targets.swarm.operations import POLL_SECONDS
from oatie_ops.deployment.targets.swarm.rollout import Judgement, Seen, Task, judge, seen_from

if TYPE_CHECKING:
    from oatie_ops.deployment.containers.api import Connection
    from oatie_ops.deployment.targets.engine import Place
    from oatie_ops.deployment.targets.swarm.cluster import Cluster

LOG_LINES = 30


class Following:
    """The part of `SwarmTarget` that follows what it has handed over."""

    engine: Connection
    cluster: Cluster
    project: str
    _place: Place
    _release: str
    _before: str
    _first: bool

    def watch(self, *, health_check: bool, tell: Tell) -> str:
        try:
            return self._watch(self._release, self._before, self._first, tell)
        except GateFailed as error:
            if not health_check:
                error.fix = f"{error.fix}; the engine's own health check cannot be left out".lstrip("; ")
            raise

    def _watch(self, release: str, before: str, first: bool, tell: Tell) -> str:
        deadline = time.monotonic() + float(self._place["timeout"])
        while True:
            seen = self._seen(before)
            found = judge(seen, release, first=first)
            if found.verdict == "done":
                return found.why
            if found.verdict == "failed":
                raise self._failed(release, found, seen)
            if time.monotonic() > deadline:
                raise self._failed(
                    release,
                    Judgement("failed", f"not done at its deadline: {found.why}", found.task),
                    seen,
                )
            tell(found.why)
            time.sleep(POLL_SECONDS)

    def _seen(self, before: str = "") -> Seen:
        service = self.cluster.service()
        if service is None:
            return Seen("", 0, "", "", ())
        return seen_from(service, self.cluster.tasks(), self.cluster.nodes(), before)

    def _failed(self, release: str, found: Judgement, seen: Seen) -> GateFailed:
        tail = self._task_log(found.task)
        return GateFailed(
            f"release {release} could not be rolled out",
            why=found.why,
            fix="see its log lines above, and `docker service ps --no-trunc " + self.project + "`",
            details=[f"  | {line}" for line in tail],
            data={
                "release": release,
                "update": seen.status,
                "message": seen.message,
                "task": None if found.task is None else found.task.id,
                "error": None if found.task is None else found.task.error,
                "exit_code": None if found.task is None else found.task.exit_code,
            },
        )

    def _task_log(self, task: Task | None) -> list[str]:
        if task is None:
            return []
        text = b""
        with suppress(EngineFailed), explained("reading the log of a task", ignore=(404, 501)):
            lines = self.engine.api.service_logs(
                self.project, stdout=True, stderr=True, details=True, tail=500
            )
            text = b"".join(lines)
        mine = f"com.docker.swarm.task.id={task.id}".encode()
        found = [line.partition(b" ")[2] for line in text.splitlines() if mine in line.partition(b" ")[0]]
        return [line.decode(errors="replace") for line in found[-LOG_LINES:]]

    def bake(self, seconds: float, max_error_ratio: float, tell: Tell) -> None:
        known = {task.id for task in self._seen().tasks if task.failed}
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            tell(f"{left:.0f} s left")
            time.sleep(min(POLL_SECONDS, left))
            seen = self._seen()
            for task in seen.tasks:
                if task.failed and task.id not in known and task.release == self._release:
                    found = self._failed(self._release, Judgement("failed", task.error, task), seen)
                    raise BakeFailed(
                        f"release {self._release} did not stay healthy",
                        why=f"task {task.slot} on {task.node}: {task.error or task.state}",
                        fix="see its log lines above",
                        details=found.details,
                        data=found.data,
                    )
