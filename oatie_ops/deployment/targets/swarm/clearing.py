"""What serves, and what is put in order: after a kill, after a commit, when nothing serves any more."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from oatie_ops.deployment.containers import images, names
from oatie_ops.deployment.containers.api import explained
from oatie_ops.deployment.targets.base import Running
from oatie_ops.deployment.targets.docker.fleet import ONE_OFF, Fleet
from oatie_ops.deployment.targets.engine import Decision
from oatie_ops.deployment.targets.swarm.rollout import seen_from

if TYPE_CHECKING:
    from oatie_ops.deployment.containers.api import Connection
    from oatie_ops.deployment.targets.engine import Place
    from oatie_ops.deployment.targets.swarm.cluster import Cluster


LEAVING_SECONDS = 30.0
POLL_SECONDS = 0.3


class Clearing:
    """The part of `SwarmTarget` that knows what belongs there and what does not."""

    engine: Connection
    cluster: Cluster
    project: str
    _place: Place
    _release: str

    if TYPE_CHECKING:  # what `SwarmTarget` brings

        def _undo(self, release: str) -> None: ...

    def running(self) -> Running | None:
        service = self.cluster.service()
        if service is None:
            return None
        seen = seen_from(service, self.cluster.tasks(), {}, "")
        good = [task for task in seen.tasks if task.runs and task.release == seen.release]
        return Running(
            supervisor_pid=0,
            release=seen.release or None,
            state="running" if good else "failed",
            app_url=self._place.get("url"),
            ops_url=None,
            port=self._place.get("port"),
            serving_workers=len(good),
            worker_releases=frozenset(task.release for task in seen.tasks if task.runs),
            serving_releases=frozenset(task.release for task in seen.tasks if task.runs),
        )

    def leave_if_empty(self) -> None:
        if self.cluster.service() is None:
            self._sweep()

    def _sweep(self, undone: str = "") -> list[str]:
        gone = self.cluster.sweep(undone)
        if self.cluster.service() is None:
            # The last tasks may still be leaving, and as long they hold the network and the secrets.
            deadline = time.monotonic() + LEAVING_SECONDS
            while not self.cluster.remove_network() and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
            gone += self.cluster.sweep()
        return gone

    def settle(self, release: str, *, committing: bool) -> Decision:
        service = self.cluster.service()
        mine = service is not None and service["Spec"]["Labels"].get(names.RELEASE) == release
        self._remove_one_offs()
        if committing and mine:
            return "finish"
        if mine:
            self._undo(release)
        self._sweep(release)
        return "undo"

    def _remove_one_offs(self) -> None:
        fleet = Fleet(self.engine, self.project)
        fleet.remove(each.id for each in fleet.all(ONE_OFF))

    def prune(self, kept: Collection[str]) -> list[str]:
        unused = self._sweep()
        gone = [f"{len(unused)} unused secrets and configs"] if unused else []
        with explained("listing the images"):
            known = self.engine.api.images(name=self.project)
        for found in known:
            for tag in found.get("RepoTags") or ():
                release = tag.rpartition(":r")[2]
                if release not in {*kept, self._release}:
                    images.remove(self.engine, self.project, release)
                    gone.append(f"image of release {release}")
        return gone
