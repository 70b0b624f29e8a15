"""Why a pod does not become ready: its events and its last log lines, as far as they can be had."""

from __future__ import annotations

from typing import Any

from oatie_ops.deployment.targets.kubernetes.client import Cluster
from oatie_ops.deployment.targets.kubernetes.paths import path
from oatie_ops.errors import OatieError

Object = dict[str, Any]

MAX_EVENTS = 8
LOG_LINES = 25


def evidence(cluster: Cluster, pod: str, *, restarted: bool) -> list[str]:
    """Lines for the message. What cannot be read is said, and is no reason to fail again."""
    lines = [f"pod {pod}"]
    lines += _part("events", lambda: events(cluster, pod))
    which = "last lines of the container that ended" if restarted else "last lines"
    lines += _part(which, lambda: last_lines(cluster, pod, previous=restarted))
    return lines


def events(cluster: Cluster, name: str, kind: str = "Pod") -> list[str]:
    """The newest of an object, oldest first."""
    query = {"fieldSelector": f"involvedObject.name={name},involvedObject.kind={kind}"}
    found = cluster.get(path(cluster.namespace, "Event"), **query)["items"]
    found.sort(key=_when)
    return [_event(each) for each in found[-MAX_EVENTS:]]


def last_lines(cluster: Cluster, pod: str, *, previous: bool) -> list[str]:
    place = path(cluster.namespace, "Pod", pod, "log")
    query: dict[str, str | int] = {"tailLines": LOG_LINES, "container": "app"}
    if previous:
        query["previous"] = "true"
    try:
        return list(cluster.lines(place, read_seconds=10.0, **query))
    except OatieError:
        if not previous:
            raise
        return last_lines(cluster, pod, previous=False)


def events_if_any(cluster: Cluster, name: str, kind: str = "Pod") -> list[str]:
    """For a message about something else, which must not fail for the want of them."""
    return _part("events", lambda: events(cluster, name, kind))


def _part(title: str, read: Any) -> list[str]:
    try:
        found = read()
    except OatieError as error:
        return [f"{title}: not to be had ({error.why or error.what})"]
    return [f"{title}:", *(f"  | {line}" for line in found)] if found else [f"{title}: none"]


def _event(each: Object) -> str:
    count = int(each.get("count") or (each.get("series") or {}).get("count") or 1)
    times = f" ({count} times)" if count > 1 else ""
    return f"{each.get('type')} {each.get('reason')}: {' '.join(str(each.get('message')).split())}{times}"


def _when(each: Object) -> str:
    series = (each.get("series") or {}).get("lastObservedTime")
    made = each["metadata"].get("creationTimestamp")
    return str(each.get("lastTimestamp") or series or each.get("eventTime") or made)
