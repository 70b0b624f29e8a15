"""What is done with a release that is in the cluster already: start, stop, restart, scale."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from oatie_ops.config.settings_engines import KubernetesSettings
from oatie_ops.deployment.targets.base import Tell
from oatie_ops.deployment.targets.kubernetes import manifests, names, rollout
from oatie_ops.deployment.targets.kubernetes.live import Deployed
from oatie_ops.deployment.targets.kubernetes.watching import Watch
from oatie_ops.deployment.targets.kubernetes.workload import Workload
from oatie_ops.errors import OatieError

POLL_SECONDS = 0.5

Object = dict[str, Any]


@dataclass(frozen=True)
class Operations:
    """Each starts from the objects as they were applied, with the number of pods that there is by now."""

    workload: Workload
    kubernetes: KubernetesSettings
    clock: Callable[[], float]

    def start(self, tell: Tell) -> None:
        now = self._there()
        if now.replicas == 0:
            count = int(now.annotations.get(names.STOPPED) or self.kubernetes.replicas)
            self._reapply(now, manifests.with_replicas(now.objects, count))
        self._until_ready(now.release, tell)

    def stop(self, timeout_seconds: float | None, tell: Tell) -> int:
        now = self._there()
        found = sum(not rollout.is_leaving(pod) for pod in self.workload.pods())
        if now.replicas:
            empty = manifests.with_replicas(now.objects, 0)
            kept = {names.STOPPED: str(now.replicas)}
            self.workload.reapply(now, empty, self._configured, kept)
        deadline = self.clock() + (timeout_seconds or self.kubernetes.timeout_seconds)
        while left := self.workload.pods():
            tell(f"{len(left)} pods finish their requests")
            if self.clock() > deadline:
                what = f"{len(left)} pods are still there"
                raise OatieError(what, why="they did not end in time", fix="`kubectl get pods` tells more")
            time.sleep(POLL_SECONDS)
        return found

    def restart(self, config: list[Object], tell: Tell) -> None:
        """New pods of the same release, with the values that its secrets have by now."""
        now = self._there()
        self.workload.apply(config)
        at = datetime.fromtimestamp(self.clock(), UTC).isoformat()
        same = manifests.with_replicas(now.objects, now.replicas)
        self._reapply(now, manifests.restarted(same, at))
        self._until_ready(now.release, tell)

    def scale(self, replicas: int, tell: Tell) -> None:
        now = self._there()
        if any(each["kind"] == "HorizontalPodAutoscaler" for each in now.objects):
            raise OatieError(
                "an autoscaler decides how many pods there are",
                why="[kubernetes] autoscale is set",
                fix="change its min and max and deploy, or take it out",
            )
        self._reapply(now, manifests.with_replicas(now.objects, replicas))
        self._until_ready(now.release, tell)

    @property
    def _configured(self) -> str:
        return str(self.kubernetes.replicas)

    def _reapply(self, now: Deployed, objects: list[Object]) -> None:
        self.workload.reapply(now, objects, self._configured)

    def _there(self) -> Deployed:
        now = self.workload.deployed()
        if now is None or not now.objects:
            raise OatieError(
                f"nothing is deployed as {self.workload.app} in {self.workload.cluster.namespace}",
                why="there is no Deployment that oatie has made",
                fix="`oatie deploy --target kubernetes`",
            )
        return now

    def _until_ready(self, release: str, tell: Tell) -> None:
        watch = Watch(self.workload, release, self.kubernetes.unschedulable_seconds, self.clock)
        watch.until_ready(self.kubernetes.timeout_seconds, tell)
