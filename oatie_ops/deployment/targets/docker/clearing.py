"""What serves, and what is put in order: after a kill, after a commit, when nothing serves any more."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING

from oatie_ops.deployment.containers import images
from oatie_ops.deployment.containers.api import explained
from oatie_ops.deployment.targets.base import BakeFailed, Running
from oatie_ops.deployment.targets.docker.fleet import APPLICATION, ONE_OFF, Container, Fleet
from oatie_ops.deployment.targets.engine import Decision

if TYPE_CHECKING:
    from oatie_ops.deployment.containers.api import Connection
    from oatie_ops.deployment.proxy.caddy import Proxy
    from oatie_ops.deployment.proxy.switch import Live
    from oatie_ops.deployment.targets.base import Tell
    from oatie_ops.deployment.targets.docker.accessories import Accessories

UNDO_DRAIN_SECONDS = 10.0
LATE_SECONDS = 0.5


class Clearing:
    """The part of `DockerTarget` that knows what belongs there and what does not."""

    engine: Connection
    fleet: Fleet
    proxy: Proxy
    project: str

    if TYPE_CHECKING:  # what `DockerTarget` brings

        def _commit(self, live: Live) -> None: ...
        def _drained(self, ports: Collection[int], seconds: float, tell: Tell) -> str: ...
        def _retire_others(self, live: Live) -> None: ...
        def _accessories(self, wanted: dict[str, object]) -> Accessories: ...
        def _live(self) -> Live | None: ...
        def _containers_of(self, live: Live) -> list[Container]: ...

    def running(self) -> Running | None:
        live = self._live()
        if live is None:
            return None
        serving = [each for each in self._containers_of(live) if each.running]
        reachable = bool(serving) and self.proxy.is_installed()
        return Running(
            supervisor_pid=0,
            release=live.release,
            state="running" if reachable else "failed",
            app_url=self.proxy.place.wanted().url,
            ops_url=None,
            port=self.proxy.place.port,
            host=self.proxy.place.host,
            serving_workers=len(serving) if reachable else 0,
            worker_releases=frozenset({live.release} if serving else ()),
            serving_releases=frozenset({live.release} if reachable else ()),
            worker_pids=tuple(each.pid for each in serving if each.pid),
        )

    def leave_if_empty(self) -> None:
        """Nothing serves: no route, no Caddy that was started for it, no network without containers."""
        if self._live() is None:
            self.proxy.uninstall()
            self.proxy.switch.clear()
            self.fleet.remove_network()

    def settle(self, release: str, *, committing: bool) -> Decision:
        live = self._live()
        mine = live is not None and live.release == release
        if committing and mine:
            assert live is not None
            with suppress(BakeFailed):  # nothing else could serve in its place
                self._commit(live)
            return "finish"
        if mine:
            assert live is not None
            self.proxy.switch.withdraw(live)
            self._drained(live.ports, UNDO_DRAIN_SECONDS, lambda _: None)
        live = self._live()
        serving = {each.id for each in self._containers_of(live)} if live is not None else set()
        while True:
            found = [*self.fleet.of_release(release), *self.fleet.all(ONE_OFF)]
            self.fleet.remove(each.id for each in found if each.id not in serving)
            # What was asked for by a process that was killed then may still be in the making.
            time.sleep(LATE_SECONDS)
            if {each.id for each in self.fleet.of_release(release)} <= serving:
                break
        self._accessories({}).remove_of(release)
        self.leave_if_empty()
        return "undo"

    def prune(self, kept: Collection[str]) -> list[str]:
        live = self._live()
        assert live is not None, "a deploy is pruned after its commit"
        self._retire_others(live)
        serving = {each.id for each in self._containers_of(live)}
        gone = []
        for each in self.fleet.all(APPLICATION, ONE_OFF):
            if each.id not in serving and each.release not in kept:
                self.fleet.remove([each.id])
                gone.append(each.release)
        return [f"containers of release {name}" for name in sorted(set(gone))] + self._prune_images(kept)

    def _prune_images(self, kept: Collection[str]) -> list[str]:
        live = self._live()
        keep = {*kept, live.release} if live is not None else set(kept)
        gone = []
        with explained("listing the images"):
            known = self.engine.api.images(name=self.project)
        for found in known:
            for tag in found.get("RepoTags") or ():
                release = tag.rpartition(":r")[2]
                if release not in keep:
                    images.remove(self.engine, self.project, release)
                    gone.append(f"image of release {release}")
        return sorted(gone)
