"""The objects of one application in one namespace: applied together, recorded, turned back, taken away."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oatie_ops.deployment.targets.kubernetes import live, manifests, names
from oatie_ops.deployment.targets.kubernetes.client import Cluster
from oatie_ops.deployment.targets.kubernetes.live import Deployed
from oatie_ops.deployment.targets.kubernetes.paths import OWN_KINDS, path, path_of

Object = dict[str, Any]

# What belongs to one release alone.
RELEASE_KINDS = ("Job", "ConfigMap", "Secret")


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

    def try_out(self, objects: Sequence[Object]) -> None:
        """What the cluster would refuse is refused here, with nothing changed."""
        self._apply(objects, dry_run=True)

    def apply(self, objects: Sequence[Object]) -> None:
        self._apply(objects, dry_run=False)

    def reapply(
        self, now: Deployed, objects: Sequence[Object], configured: str, more: Mapping[str, str] | None = None
    ) -> None:
        """What runs already, changed a little; what it once replaced stays on record."""
        known = now.annotations.get(names.CONFIGURED, configured)
        self.apply(manifests.annotated(list(objects), now.before, known, more))

    def turn_back(self, now: Deployed, before: str, configured: str) -> str:
        """To the objects of the release before (its number is returned). A first release is taken away."""
        if not before:
            for kind in OWN_KINDS:
                self._delete(kind, self.listed(kind))
            return ""
        objects: list[Object] = json.loads(before)
        self.reapply(_forgetting(now), objects, configured)
        self.remove_unwanted(now.objects, objects)
        return str(objects[0]["metadata"]["labels"][names.RELEASE_LABEL])

    def remove_unwanted(self, old: Sequence[Object], new: Sequence[Object]) -> None:
        """Such as an Ingress that oatie.toml no longer has."""
        wanted = {path_of(self.cluster.namespace, each) for each in new}
        for each in old:
            place = path_of(self.cluster.namespace, each)
            if place not in wanted:
                self.cluster.delete(place)

    def remove_configuration(self, release: str) -> None:
        """Variables and Job of a release that does not serve."""
        now = self.deployed()
        if release and (now is None or now.release != release):
            for kind in RELEASE_KINDS:
                self._delete(kind, self.listed(kind, release))

    def prune(self, used: set[str]) -> list[str]:
        """Variables of releases that nobody will return to. ReplicaSets are the cluster's own business."""
        gone = []
        for kind in ("ConfigMap", "Secret"):
            stale = [each for each in self.listed(kind) if _release(each) not in used]
            self._delete(kind, stale)
            gone += [f"{kind} {each['metadata']['name']}" for each in stale]
        return gone

    def _apply(self, objects: Sequence[Object], *, dry_run: bool) -> None:
        for each in objects:
            place = path_of(self.cluster.namespace, each)
            self.cluster.apply(place, each, manager=names.MANAGER, force=self.force, dry_run=dry_run)

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
