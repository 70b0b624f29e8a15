"""Logs of several pods as one stream of lines."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from oatie_ops.deployment.targets.engine import LogQuery
from oatie_ops.deployment.targets.kubernetes import live
from oatie_ops.deployment.targets.kubernetes.client import Cluster
from oatie_ops.deployment.targets.kubernetes.errors import ClusterError
from oatie_ops.deployment.targets.kubernetes.paths import path
from oatie_ops.errors import OatieError
from oatie_ops.supervisor.logline import prefix, stamp

READ_SECONDS = 15.0
_END = b""


def lines(cluster: Cluster, pods: Sequence[dict[str, Any]], query: LogQuery) -> Iterator[bytes]:
    """As `oatie_ops.supervisor.logline` has them. Without ``follow`` sorted by time; with it as they come."""
    names = [pod["metadata"]["name"] for pod in pods]
    if not query.follow:
        found = sorted(line for name in names for line in _or_note(cluster, name, query))
        yield from found if query.lines is None else found[-query.lines :] if query.lines else []
        return
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for name in names:
        threading.Thread(target=_pump, args=(cluster, name, query, waiting), daemon=True).start()
    going = len(names)
    while going:
        line = waiting.get()
        if line == _END:
            going -= 1
        else:
            yield line


def _pump(cluster: Cluster, pod: str, query: LogQuery, into: queue.SimpleQueue[bytes]) -> None:
    try:
        for line in _or_note(cluster, pod, query):
            into.put(line)
    finally:
        into.put(_END)


def _or_note(cluster: Cluster, pod: str, query: LogQuery) -> Iterator[bytes]:
    """A pod that has no log, since its container waits or it is gone by now, hides none of the others."""
    try:
        yield from _of_pod(cluster, pod, query)
    except OatieError as error:
        if isinstance(error, ClusterError) and error.status == 404:
            return
        said = error.why if isinstance(error, ClusterError) and error.why else error.what
        yield prefix(datetime.now(UTC).timestamp(), live.short(pod), "note") + said.encode()


def _of_pod(cluster: Cluster, pod: str, query: LogQuery) -> Iterator[bytes]:
    asked: dict[str, str | int] = {"timestamps": "true", "container": "app"}
    if query.follow:
        asked["follow"] = "true"
    if query.lines is not None:
        asked["tailLines"] = query.lines
    if query.since is not None:
        asked["sinceTime"] = stamp(query.since)
    silence = None if query.follow else READ_SECONDS
    for line in cluster.lines(path(cluster.namespace, "Pod", pod, "log"), read_seconds=silence, **asked):
        time, _, text = line.partition(" ")
        yield f"{_milliseconds(time)} {live.short(pod)} stdout {text}".encode()


def _milliseconds(time: str) -> str:
    """The cluster's nanoseconds in the form of the other targets' lines, which sorts as text."""
    try:
        return stamp(datetime.fromisoformat(time).timestamp())
    except ValueError:
        return stamp(datetime.now(UTC).timestamp())
