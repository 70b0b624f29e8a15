"""What commands do with a service that was deployed: status, start, stop, restart, scale, logs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from oatie_ops.deployment.containers.api import explained
from oatie_ops.deployment.containers.inside import run_inside
from oatie_ops.deployment.containers.logs import follow, last_lines
from oatie_ops.deployment.targets.engine import LogQuery, Replica
from oatie_ops.deployment.targets.inside import OutOfReach
from oatie_ops.deployment.targets.status import status_of
from oatie_ops.deployment.targets.swarm.rollout import Judgement, Seen, Task, judge
from oatie_ops.errors import OatieError

if TYPE_CHECKING:
    from oatie_ops.deployment.containers.api import Connection
    from oatie_ops.deployment.targets.base import GateFailed, Tell
    from oatie_ops.deployment.targets.engine import Place
    from oatie_ops.deployment.targets.inside import Said
    from oatie_ops.deployment.targets.swarm.cluster import Cluster
    from oatie_ops.supervisor.spec import ReleaseSpec

POLL_SECONDS = 0.3
REPLICAS = "oatie.replicas"
STARTED = "StartedAt"


class Operations:
    """The part of `SwarmTarget` that works on what was deployed."""

    engine: Connection
    cluster: Cluster
    project: str
    _place: Place
    _release: str

    if TYPE_CHECKING:  # what `SwarmTarget` brings

        def _seen(self, before: str = "") -> Seen: ...
        def _failed(self, release: str, found: Judgement, seen: Seen) -> GateFailed: ...
        def _is_steady(self, without: str) -> bool: ...
        def _until(self, holds: Callable[[], bool], what: str, seconds: float = 0.0) -> None: ...

    def replicas(self) -> list[Replica]:
        seen = self._seen()
        shown = [task for task in seen.tasks if task.desired == "running" or task.runs]
        return [_replica(task) for task in sorted(shown, key=lambda each: each.slot)]

    def inside(self, replica: Replica, argv: Sequence[str]) -> Said:
        """On this engine, or on the one that [swarm] engines names for the task's node."""
        where = self.cluster.whereabouts(replica.id)
        mine = where.node_id == self.cluster.swarm().get("NodeID")
        host = self.engine.host if mine else self._place.get("engines", {}).get(where.node)
        if host is None:
            raise OutOfReach(
                f"its node {where.node} is another machine",
                why="[swarm] engines names no address of its engine",
                argv=where.argv,
            )
        return run_inside(host, where.container, argv)

    def status(self) -> dict[str, Any]:
        service = self.cluster.service()
        seen, found = self._seen(), self.replicas()
        update = ((service or {}).get("UpdateStatus") or {}).get("State", "")
        wanted = int(service["Spec"]["Labels"].get(REPLICAS, seen.replicas)) if service else 0
        detail = {"paused": "its update is paused", "rollback_paused": "its rollback is paused"}.get(
            update, ""
        )
        app = {
            "url": self._place.get("url"),
            "port": self._place.get("port"),
            "name": self._place["service"],
            "ready": None,
            "ready_host": None,
        }
        return status_of(
            target="swarm",
            release=seen.release or None,
            replicas=found,
            wanted=seen.replicas or wanted,
            app=app,
            detail=detail,
            stopped=service is not None and seen.replicas == 0,
        )

    def start(self, release: str, spec: ReleaseSpec, tell: Tell) -> None:
        service = self.cluster.service()
        if service is None:
            raise OatieError(
                "there is no service to start",
                why="somebody removed it",
                fix=f"`oatie rollback {release}` makes it anew from its image, or `oatie deploy`",
            )
        wanted = int(service["Spec"]["Labels"].get(REPLICAS) or 1)
        if int(service["Spec"]["Mode"]["Replicated"]["Replicas"]) == 0:
            self.cluster.update(lambda now: _scaled(now, wanted, remember=True))
        tell("waiting for the tasks")
        self._until(lambda: self._is_steady(""), "every task runs", float(self._place["timeout"]))

    def stop(self, timeout_seconds: float | None, tell: Tell) -> int:
        """The service stays, with no task; `start` gives it as many as it had."""
        service = self.cluster.service()
        now = int(service["Spec"]["Mode"]["Replicated"]["Replicas"]) if service is not None else 0
        if not now:
            return 0
        self.cluster.update(lambda found: _scaled(found, 0, remember=False))
        tell(f"{now} tasks are ending")
        self._until(lambda: not any(task.runs for task in self._seen().tasks), "every task has ended")
        return now

    def restart(self, spec: ReleaseSpec, tell: Tell) -> None:
        """One task after the other, new ones first."""
        service = self.cluster.service()
        before = ((service or {}).get("UpdateStatus") or {}).get(STARTED, "")
        self._release = spec.name
        self.cluster.update(lambda now: forced_to(now, now["Spec"]))
        deadline = time.monotonic() + float(self._place["timeout"])
        while (found := judge(self._seen(before), spec.name, first=False)).verdict == "going on":
            if time.monotonic() > deadline:
                break
            tell(found.why)
            time.sleep(POLL_SECONDS)
        if found.verdict != "done":
            raise self._failed(spec.name, found, self._seen(before))

    def scale(self, spec: ReleaseSpec, replicas: int, tell: Tell) -> None:
        self.cluster.update(lambda now: _scaled(now, replicas, remember=True))
        tell(f"waiting for {replicas} tasks")
        self._until(lambda: self._is_steady(""), f"{replicas} tasks run", float(self._place["timeout"]))

    def logs(self, query: LogQuery) -> Iterator[bytes]:
        name = str(self._place["service"])
        sources = [(query.replica or name, partial(self._log, query.replica))]
        return follow(sources, query) if query.follow else iter(last_lines(sources, query))

    def _log(self, task: str | None, **wanted: Any) -> Iterator[bytes]:
        api = self.engine.api
        path = api._url("/tasks/{0}/logs", task) if task else api._url("/services/{0}/logs", self.project)
        if wanted.get("tail") == "all":
            wanted.pop("tail")
        flags = {key: int(value) if isinstance(value, bool) else value for key, value in wanted.items()}
        with explained("reading the log of the service", ignore=(404,)):
            answer = api._get(path, params={**flags, "timestamps": 1}, stream=True)
            api._raise_for_status(answer)
            yield from (chunk for chunk in api._multiplexed_response_stream_helper(answer))


def forced(service: dict[str, Any]) -> int:
    return int(service["Spec"]["TaskTemplate"].get("ForceUpdate") or 0)


def forced_to(service: dict[str, Any], spec: dict[str, Any] | None) -> dict[str, Any]:
    """This spec again. That of before keeps its counter, so that its tasks need not be replaced."""
    assert spec is not None, "there is a spec to return to"
    if spec is not service["Spec"]:
        return spec
    return {**spec, "TaskTemplate": {**spec["TaskTemplate"], "ForceUpdate": forced(service) + 1}}


def _scaled(service: dict[str, Any], replicas: int, *, remember: bool) -> dict[str, Any]:
    spec = service["Spec"]
    labels = {**spec["Labels"], REPLICAS: str(replicas)} if remember else spec["Labels"]
    return {**spec, "Labels": labels, "Mode": {"Replicated": {"Replicas": replicas}}}


def _replica(task: Task) -> Replica:
    if task.runs:
        state = "serving"
    else:
        state = "failed" if task.failed else "stopped" if task.desired == "shutdown" else "starting"
    return Replica(
        id=task.id,
        name=f"{task.slot}.{task.id[:12]}",
        release=task.release,
        state=state,
        healthy=task.runs or None,
        node=task.node,
        detail=task.error,
    )
