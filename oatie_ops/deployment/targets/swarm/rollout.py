"""What the state of a service and its tasks means for the rollout. Pure.

The engine's own client exits 0 after a rollback; here the verdict is read from `UpdateStatus`, from the
release in the spec and from the tasks, and each of them can refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from oatie_ops.deployment.containers import names

Verdict = Literal["going on", "done", "failed"]
FAILED = ("failed", "rejected", "orphaned")
ENDED = (*FAILED, "shutdown", "complete", "remove")
UNDONE = ("rollback_started", "rollback_paused", "rollback_completed")


@dataclass(frozen=True)
class Task:
    id: str
    slot: int
    release: str
    state: str
    desired: str
    node: str
    error: str
    exit_code: int | None
    container: str
    since: str

    @property
    def runs(self) -> bool:
        return self.state == "running" and self.desired == "running"

    @property
    def failed(self) -> bool:
        return self.state in FAILED


@dataclass(frozen=True)
class Seen:
    """``status`` is the state of an update that began after ours was handed over; empty: none yet."""

    release: str
    replicas: int
    status: str
    message: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Judgement:
    verdict: Verdict
    why: str
    task: Task | None = None


def judge(seen: Seen, release: str, *, first: bool) -> Judgement:
    """``first``: the service was created, so there is no update to end."""
    mine = [task for task in seen.tasks if task.release == release]
    failed = next((task for task in mine if task.failed), None)
    if seen.status in UNDONE or seen.status == "paused":
        return Judgement("failed", _why(seen, failed), failed)
    if seen.release != release:
        return Judgement("failed", f"somebody rolled out release {seen.release or '?'} meanwhile")
    if first and failed is not None:
        return Judgement("failed", _why(seen, failed), failed)
    running = [task for task in mine if task.runs]
    old = [task for task in seen.tasks if task.runs and task.release != release]
    if len(running) >= seen.replicas and not old and (first or seen.status == "completed"):
        return Judgement("done", f"{len(running)} tasks of release {release} run and are healthy")
    waiting = next((task for task in mine if not task.runs and task.state not in ENDED), None)
    said = f"{len(running)} of {seen.replicas} new tasks run, {len(old)} old"
    if waiting is not None:
        said += f"; task {waiting.slot}: {waiting.state}{f' ({waiting.error})' if waiting.error else ''}"
    return Judgement("going on", said, waiting)


def _why(seen: Seen, failed: Task | None) -> str:
    update = {"paused": "the update is paused"}.get(seen.status, "")
    if seen.status in UNDONE:
        update = f"the engine turned the update back ({seen.status})"
    if failed is None:
        return f"{update or 'the update failed'}: {seen.message}" if seen.message else update
    code = f", exit code {failed.exit_code}" if failed.exit_code is not None else ""
    task = f"task {failed.slot} on {failed.node or 'no node'}: {failed.error or failed.state}{code}"
    return f"{task}; {update}" if update else task


def seen_from(
    service: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], nodes: Mapping[str, str], since: str
) -> Seen:
    """``since`` is the `StartedAt` of the update before ours: the engine keeps that status for a while."""
    spec = service["Spec"]
    update = service.get("UpdateStatus") or {}
    fresh = bool(update) and update.get("StartedAt", "") != since
    return Seen(
        release=spec.get("Labels", {}).get(names.RELEASE, ""),
        replicas=int((spec.get("Mode", {}).get("Replicated") or {}).get("Replicas", 0)),
        status=update.get("State", "") if fresh else "",
        message=update.get("Message", "") if fresh else "",
        tasks=tuple(task_from(each, nodes) for each in tasks),
    )


def task_from(found: Mapping[str, Any], nodes: Mapping[str, str]) -> Task:
    status = found.get("Status") or {}
    container = status.get("ContainerStatus") or {}
    labels = (found.get("Spec", {}).get("ContainerSpec") or {}).get("Labels") or {}
    state = str(status.get("State", ""))
    return Task(
        id=found["ID"],
        slot=int(found.get("Slot", 0)),
        release=labels.get(names.RELEASE, ""),
        state=state,
        desired=str(found.get("DesiredState", "")),
        node=nodes.get(found.get("NodeID", ""), found.get("NodeID", "")),
        error=str(status.get("Err") or ""),
        exit_code=container.get("ExitCode") if state in ENDED else None,
        container=container.get("ContainerID", ""),
        since=str(status.get("Timestamp", "")),
    )
