"""The objects of one application in one namespace: applied together, recorded, turned back, taken away."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oatie_ops.deployment.targets.kubernetes import live, manifests, names
from oatie_ops.deployment.targets.kubernetes.client import Cluster
from oatie_ops.deployment.targets.kubernetes.errors import ClusterError, Conflict
from oatie_ops.deployment.targets.kubernetes.live import Deployed
from oatie_ops.deployment.targets.kubernetes.paths import OWN_KINDS, path, path_of

Object = dict[str, Any]

# What belongs to one release alone.
RELEASE_KINDS = ("Job", "ConfigMap", "Secret")
REPLICAS = ".spec.replicas"
GONE_RESERVE_SECONDS = 30.0
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Workload:
    """``force``: take over fields that another manager owns."""

    cluster: Cluster
    app: str
    force: bool = False

    def deployed(self) -> Deployed | None:
        return live.deployed(self.cluster, self.app)

    def pods(self, release: str | None = None) -> list[Object]:
        return live.pods(self.cluster, self.app, release)

    def listed(self, kind: str, release: str | None = None) -> list[Object]:
        selector = names.selector_text(self.app, release)
        found = self.cluster.get(path(self.cluster.namespace, kind), labelSelector=selector)["items"]
        return [dict(each) for each in found]

    def apply(
        self,
        objects: Sequence[Object],
        now: Deployed | None = None,
        *,
        dry_run: bool = False,
        force: bool | None = None,
    ) -> None:
        """With ``dry_run``, what the cluster would refuse is refused, and nothing is changed.

        ``now`` is the Deployment as it was read. A number of pods that somebody else has set is left to them
        where it is the wanted one, and taken over where it is not: then it is an order.
        """
        for each in objects:
            self._put(each, now, dry_run=dry_run, force=self.force if force is None else force)

    def reapply(
        self,
        now: Deployed,
        objects: Sequence[Object],
        configured: str,
        more: Mapping[str, str] | None = None,
        *,
        force: bool | None = None,
    ) -> None:
        """What runs already, changed a little; what it once replaced stays on record."""
        known = now.annotations.get(names.CONFIGURED, configured)
        self.apply(manifests.annotated(list(objects), now.before, known, more), now, force=force)

    def record(self, now: Deployed, made: Sequence[Object]) -> str:
        """What an undo applies again: the objects as they were applied, with the pods that there are by now.
        Where somebody else has applied them, such as ``kubectl apply``, the objects as they are."""
        found = now.objects or self._as_they_are(made)
        return json.dumps(manifests.with_replicas(found, now.replicas), separators=(",", ":"))

    def turn_back(self, now: Deployed, before: str, configured: str) -> str:
        """To the objects of the release before (its number is returned). A first release is taken away.

        It has the last word: what was taken over in the meantime comes back, too, except for the number of
        pods where somebody has changed it since.
        """
        if not before:
            self.remove_all(now)
            return ""
        objects: list[Object] = json.loads(before)
        if now.recorded_replicas not in (None, now.replicas):
            objects = manifests.with_replicas(objects, now.replicas)
        self.reapply(_forgetting(now), objects, configured, force=True)
        self.remove_unwanted(now.objects, objects)
        labels = next(each for each in objects if each["kind"] == "Deployment")["metadata"]["labels"]
        return str(labels.get(names.RELEASE_LABEL, ""))

    def remove_all(self, now: Deployed | None = None) -> None:
        """Everything that oatie has made here; returns when the pods have ended, or their time is over."""
        for kind in OWN_KINDS:
            try:
                self._delete(kind, self.listed(kind))
            except ClusterError as error:
                if error.status != 403:  # who may not list them has made none
                    raise
        if now is not None:
            grace = now.object["spec"]["template"]["spec"].get("terminationGracePeriodSeconds") or 0
            deadline = time.monotonic() + grace + GONE_RESERVE_SECONDS
            while self.pods() and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)

    def remove_unwanted(self, old: Sequence[Object], new: Sequence[Object]) -> None:
        """Such as an Ingress that oatie.toml no longer has."""
        wanted = {path_of(self.cluster.namespace, each) for each in new}
        for each in old:
            place = path_of(self.cluster.namespace, each)
            if place not in wanted:
                self.cluster.delete(place)

    def remove_configuration(self, release: str) -> None:
        """Variables and Job of a release that does not serve; and the account, where nothing does."""
        now = self.deployed()
        if release and (now is None or now.release != release):
            for kind in RELEASE_KINDS if now is not None else (*RELEASE_KINDS, "ServiceAccount"):
                self._delete(kind, self.listed(kind, release))

    def prune(self, used: set[str]) -> list[str]:
        """Variables of releases that nobody will return to. ReplicaSets are the cluster's own business."""
        gone = []
        for kind in ("ConfigMap", "Secret"):
            stale = [each for each in self.listed(kind) if _release(each) not in used]
            self._delete(kind, stale)
            gone += [f"{kind} {each['metadata']['name']}" for each in stale]
        return gone

    def _put(self, each: Object, now: Deployed | None, *, dry_run: bool, force: bool) -> None:
        place, ordered = path_of(self.cluster.namespace, each), False
        if each["kind"] == "Deployment" and now is not None:
            ordered = each["spec"]["replicas"] != now.replicas
            if not ordered and now.others_decide_replicas:
                each = manifests.without_replicas(each)
        try:
            self.cluster.apply(place, each, manager=names.MANAGER, force=force, dry_run=dry_run)
        except Conflict as conflict:
            if not ordered or {field for field, _ in conflict.fields} != {REPLICAS}:
                raise
            self.cluster.apply(place, each, manager=names.MANAGER, force=True, dry_run=dry_run)
        except ClusterError as error:
            if not dry_run or "does not support dry run" not in error.why:
                raise  # else a webhook of the cluster stands in the way of trying, and only of that

    def _as_they_are(self, made: Sequence[Object]) -> list[Object]:
        found = ((each, self.cluster.get_or_none(path_of(self.cluster.namespace, each))) for each in made)
        return [manifests.as_it_is(each, there) for each, there in found if there is not None]

    def _delete(self, kind: str, objects: Sequence[Object]) -> None:
        for each in objects:
            self.cluster.delete(path(self.cluster.namespace, kind, each["metadata"]["name"]))


def _release(each: Object) -> str:
    return str((each["metadata"].get("labels") or {}).get(names.RELEASE_LABEL, ""))


def _forgetting(now: Deployed) -> Deployed:
    """Without a record of what was before: once turned back, there is nothing to turn back to."""
    metadata = now.object["metadata"]
    kept = {key: value for key, value in now.annotations.items() if key != names.BEFORE}
    return replace(now, object={**now.object, "metadata": {**metadata, "annotations": kept}})
