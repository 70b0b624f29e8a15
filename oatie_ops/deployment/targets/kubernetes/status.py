"""``oatie status`` of a cluster, in the shape that every target has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oatie_ops.deployment.targets.engine import Replica
from oatie_ops.deployment.targets.kubernetes import live
from oatie_ops.deployment.targets.kubernetes.client import Cluster
from oatie_ops.deployment.targets.status import status_of


def document(cluster: Cluster, name: str, replicas: Sequence[Replica]) -> dict[str, Any]:
    now = live.deployed(cluster, name)
    failed = next((each for each in replicas if each.state == "failed"), None)
    app = {"url": None, "port": None, "name": name, "ready": None, "ready_host": None}
    return status_of(
        target="kubernetes",
        release=now.release if now else None,
        replicas=replicas,
        wanted=now.replicas if now else 0,
        app=app | {"url": live.address(cluster, name)},
        detail=f"{failed.name}: {failed.detail}" if failed and failed.detail else "",
        stopped=now is not None and now.replicas == 0,
    )
