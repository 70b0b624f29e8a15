"""A project that deploys to a namespace of its own, in the fake cluster or in the one of KUBECONFIG."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.deployment.targets.kubernetes.access import connect
from oatie_ops.deployment.targets.kubernetes.client import Cluster
from oatie_ops.deployment.targets.kubernetes.errors import ClusterError
from oatie_ops.deployment.targets.kubernetes.paths import path
from oatie_ops.errors import OatieError
from tests.real.cluster import FakeCluster
from tests.real.harness import Background, Completed, Project

SKIP = (
    "no cluster: KUBECONFIG=FILE OATIE_TEST_IMAGE=IMAGE pytest -m kubernetes tests/real/test_kubernetes.py; "
    "the account must be allowed to create a namespace; the image, which every node must have or be able to "
    "pull, needs `sh` and one of python3, python and busybox"
)
DEFAULT_IMAGE = "busybox:1.36"
COMMAND_SECONDS = 900.0
_USABLE = re.compile(r"(^|/)(python|busybox)[:@]")

# In a shell, since nobody knows what is in an image; the last lines of the log are known.
_SERVER = (
    "mkdir -p /tmp/www; echo ok > /tmp/www/index.html; cd /tmp/www; echo one; echo two; echo three; "
    "if command -v python3 >/dev/null; then {0} python3 -u -m http.server 8080 2>/dev/null; "
    "elif command -v python >/dev/null; then {0} python -u -m http.server 8080 2>/dev/null; "
    "else {0} busybox httpd -f -p 8080; fi"
)
SERVE = ["sh", "-c", _SERVER.format("exec")]
CRASH = ["sh", "-c", "echo boom; exit 3"]
NEVER = ["sh", "-c", "sleep 3600"]
# Long enough for one pod to be ready, and a rollout of one pod to be over, before it ends in the bake.
LATE_SECONDS = 25
LATE = ["sh", "-c", f"( {_SERVER.format('')} ) & sleep {LATE_SECONDS}; echo late; exit 9"]


class Site:
    """``quick``: nothing takes long there, so no deadline has to be generous."""

    def __init__(
        self, project: Project, kubeconfig: Path, namespace: str, image: str, fake: FakeCluster | None
    ) -> None:
        self.project, self.fake, self.image = project, fake, image
        self.env = {"KUBECONFIG": str(kubeconfig)}
        self.cluster: Cluster = connect(str(kubeconfig), None, namespace)
        self.quick = fake is not None
        project.config = {}
        self.configure(kubernetes={"namespace": namespace})

    def configure(self, command: list[str] = SERVE, image: str | None = None, **more: Any) -> None:
        self.project.configure(
            app={
                "name": "Web.Shop",
                "run": None,
                "command": command,
                "port": 8080,
                "ready": "/",
                "ready_timeout": "4s" if self.quick else "60s",
                "drain": "1s",
                "workers": None,
            },
            image={"use": image or self.image},
        )
        tables: dict[str, Any] = {
            "deploy": {"target": "kubernetes", "bake": "500ms" if self.quick else "15s"},
            "kubernetes": {
                "timeout": "6s" if self.quick else "240s",
                "unschedulable": "1s" if self.quick else "15s",
                "pre_stop": "1s",
                "min_ready": "0s" if self.quick else "1s",
            },
        }
        for name, values in more.items():
            tables.setdefault(name, {}).update(values)
        self.project.configure(**tables)

    def oatie(self, *arguments: str) -> Completed:
        return self.project.oatie(*arguments, env=self.env, timeout_seconds=COMMAND_SECONDS)

    def deploy(self, *arguments: str) -> Completed:
        return self.oatie("deploy", "--yes", "--json", *arguments)

    def background(self, *arguments: str) -> Background:
        return self.project.background(*arguments, env=self.env)

    def place(self, kind: str, name: str = "web-shop", *more: str) -> str:
        return path(self.cluster.namespace, kind, name, *more)

    def get(self, kind: str, name: str = "web-shop") -> dict[str, Any] | None:
        return self.cluster.get_or_none(self.place(kind, name))

    def deployment(self) -> dict[str, Any]:
        found = self.get("Deployment")
        assert found is not None
        return found

    def container(self) -> dict[str, Any]:
        [found] = self.deployment()["spec"]["template"]["spec"]["containers"]
        return dict(found)

    def release(self) -> str:
        return str(self.deployment()["spec"]["template"]["metadata"]["labels"]["oatie.ops/release"])

    def replicas(self) -> int:
        return int(self.deployment()["spec"]["replicas"])

    def names(self, kind: str) -> set[str]:
        items = self.cluster.get(path(self.cluster.namespace, kind))["items"]
        return {each["metadata"]["name"] for each in items if each["metadata"]["name"].startswith("web-shop")}

    def pods(self) -> list[dict[str, Any]]:
        """Those that are not on their way out."""
        items = self.cluster.get(path(self.cluster.namespace, "Pod"))["items"]
        return [each for each in items if "deletionTimestamp" not in each["metadata"]]

    def kubectl_scale(self, replicas: int) -> None:
        """As `kubectl scale` does it: the number is its own from then on."""
        self.cluster.call(
            "PATCH",
            self.place("Deployment", "web-shop", "scale"),
            query={"fieldManager": "kubectl"},
            body={"spec": {"replicas": replicas}},
            content_type="application/merge-patch+json",
        )

    def applied_by(self, manager: str, spec: dict[str, Any]) -> None:
        """As `kubectl apply --server-side --force-conflicts --field-manager=…` of a part."""
        change = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web-shop"}}
        self.cluster.apply(self.place("Deployment"), change | {"spec": spec}, manager=manager, force=True)


@contextmanager
def real_namespace(labels: dict[str, str]) -> Iterator[tuple[Path, str, str]]:
    """A namespace that is made here and removed: its kubeconfig, its name, and the image to use."""
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig:
        pytest.skip(SKIP)
    admin = connect(kubeconfig, None, "default")
    name = f"oatie-test-{uuid.uuid4().hex[:8]}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    try:
        admin.call("POST", "/api/v1/namespaces", body=body)
    except OatieError as error:
        pytest.fail(f"a namespace cannot be made: {error.what}: {error.why}\n{SKIP}", pytrace=False)
    try:
        yield Path(kubeconfig), name, os.environ.get("OATIE_TEST_IMAGE") or _known_image(admin)
    finally:
        admin.call("DELETE", f"/api/v1/namespaces/{name}")


def _known_image(admin: Cluster) -> str:
    """One that every node has already, where it tells; else a small public one."""
    try:
        nodes = admin.get("/api/v1/nodes")["items"]
    except ClusterError:
        return DEFAULT_IMAGE
    known = [
        {name for image in node["status"].get("images") or () for name in image.get("names") or ()}
        for node in nodes
    ]
    everywhere = set.intersection(*known) if known else set()
    return next((name for name in sorted(everywhere) if _USABLE.search(name)), DEFAULT_IMAGE)


def without_tag(image: str) -> str:
    """``localhost:5000/shop:1`` and ``shop@sha256:…`` without what tells one of them from the others."""
    name = image.partition("@")[0]
    registry, slash, last = name.rpartition("/")
    return registry + slash + last.partition(":")[0]
