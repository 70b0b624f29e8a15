"""Follows a rollout and a bake, and says why one failed, with the pod's events and last lines."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oatie_ops.deployment.targets.base import BakeFailed, GateFailed, Tell
from oatie_ops.deployment.targets.kubernetes import live, rollout
from oatie_ops.deployment.targets.kubernetes.errors import passes
from oatie_ops.deployment.targets.kubernetes.evidence import evidence
from oatie_ops.deployment.targets.kubernetes.rollout import Standing, Trouble
from oatie_ops.deployment.targets.kubernetes.workload import Workload
from oatie_ops.errors import OatieError

POLL_SECONDS = 0.5
SETTLE_SECONDS = 30.0

Object = dict[str, Any]


@dataclass(frozen=True)
class Watch:
    """``unschedulable_seconds``: how long a pod may find no node."""

    workload: Workload
    release: str
    unschedulable_seconds: float
    clock: Callable[[], float] = time.time

    def standing(self) -> Standing:
        now = self.workload.deployed()
        if now is None:
            return Standing(False, "", Trouble("", "somebody removed the Deployment"))
        return rollout.evaluate(
            now.object,
            self.workload.pods(self.release),
            self.workload.cluster.now(),
            self.unschedulable_seconds,
            applied_at=live.applied_at(now.object),
            template_hash=self._hash(now.object),
        )

    def until_ready(self, seconds: float, tell: Tell, *, health_check: bool = True) -> str:
        """Raises `GateFailed` as soon as it is certain, and after ``seconds``. A cluster that does not answer
        meanwhile goes on with the rollout: it is waited for as long."""
        deadline = self.clock() + seconds
        while True:
            try:
                standing = self.standing()
            except OatieError as error:
                if not passes(error) or self.clock() > deadline:
                    raise
                tell(_away(error))
                time.sleep(POLL_SECONDS)
                continue
            if standing.trouble is not None:
                raise self._failed(GateFailed, standing.trouble, "does not become ready")
            if standing.done or (not health_check and self._all_run()):
                return standing.waiting
            if self.clock() > deadline:
                raise self._failed(GateFailed, self._late(seconds, standing), "did not become ready in time")
            tell(standing.waiting)
            time.sleep(POLL_SECONDS)

    def bake(self, seconds: float, tell: Tell) -> None:
        """Raises `BakeFailed` for a pod that ends or is in trouble, and if not all are ready at the end."""
        ends = self.clock() + seconds
        known: dict[str, int] | None = None
        while True:
            left = ends - self.clock()
            try:
                known = self._looked(known)
            except OatieError as error:
                if not passes(error):
                    raise
                tell(_away(error))
            if left <= 0:
                break
            tell(f"{left:.0f} s left")
            time.sleep(min(POLL_SECONDS, left))
        self._is_complete_again()

    def _looked(self, known: dict[str, int] | None) -> dict[str, int]:
        """How often each pod had been restarted when it was seen first; ``known`` None at the first look."""
        found = self._pods()
        if known is None:
            known = {pod["metadata"]["name"]: rollout.restarts(pod) for pod in found}
        for pod in found:
            if rollout.restarts(pod) > known.setdefault(pod["metadata"]["name"], 0):
                raise self._failed(BakeFailed, _ended_again(pod), "failed")
        if (trouble := self.standing().trouble) is not None:
            raise self._failed(BakeFailed, trouble, "failed")
        return known

    def _is_complete_again(self) -> None:
        """A pod that an autoscaler has added, or a node was emptied of, just then needs its time."""
        deadline = self.clock() + SETTLE_SECONDS
        while not (standing := self.standing()).done:
            if standing.trouble is not None:
                raise self._failed(BakeFailed, standing.trouble, "failed")
            if self.clock() > deadline:
                trouble = self._unready(f"at its end {standing.waiting}")
                raise self._failed(BakeFailed, trouble, "did not stay ready")
            time.sleep(POLL_SECONDS)

    def _pods(self) -> list[Object]:
        """Those of its template of now."""
        now = self.workload.deployed()
        found = self.workload.pods(self.release)
        if now is None:
            return found
        hashed = self._hash(now.object)
        return [pod for pod in found if rollout.counts(pod, now.object, hashed)]

    def _hash(self, deployment: Object) -> str:
        return live.template_hash(self.workload.cluster, self.workload.app, deployment)

    def _all_run(self) -> bool:
        now, found = self.workload.deployed(), self._pods()
        wanted = now.replicas if now else 0
        return len(found) >= wanted and all(pod["status"].get("phase") == "Running" for pod in found)

    def _late(self, seconds: float, standing: Standing) -> Trouble:
        trouble = self._unready(f"after {seconds:g} s {standing.waiting}")
        return Trouble(trouble.pod, trouble.why, "raise timeout in [kubernetes] if it needs that long")

    def _unready(self, why: str) -> Trouble:
        """Blamed on a pod that is not ready, whose events and lines tell more."""
        pod = next((each for each in self._pods() if not rollout.is_ready(each)), None)
        return Trouble(pod["metadata"]["name"] if pod else "", why)

    def _failed(self, kind: type[OatieError], trouble: Trouble, how: str) -> OatieError:
        details: list[str] = []
        if trouble.pod:
            details = evidence(self.workload.cluster, trouble.pod, restarted=trouble.restarted)
        where = f"pod {trouble.pod}: " if trouble.pod else ""
        fix = trouble.fix or "see the events and lines above"
        return kind(f"release {self.release} {how}", why=f"{where}{trouble.why}", fix=fix, details=details)


def _away(error: OatieError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what


def _ended_again(pod: Object) -> Trouble:
    ended = "; ".join(map(rollout.how_ended, pod["status"].get("containerStatuses", [])))
    name = pod["metadata"]["name"]
    return Trouble(name, f"its container ended under real traffic: {ended}", restarted=True)
