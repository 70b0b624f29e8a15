"""A cluster that answers like the Kubernetes API, for machines that have none.

It is small, and honest in what matters here: server-side apply with field managers and conflicts, every
object checked against the published schemas, a Deployment that rolls pods over one by one, pods whose image
decides how they fail, Jobs, events, logs. The suite that uses it runs as well against a real cluster, which
`KUBECONFIG` and the mark ``kubernetes`` choose.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate

from tests.real.exec_channel import talk

TOKEN = "canary-of-the-cluster"
TICK_SECONDS = 0.05
NEWEST_SCHEMAS = 3
ITEM = re.compile(r"^/(api/v1|apis/[^/]+/[^/]+)/namespaces/([^/]+)/([a-z]+)(?:/([^/]+))?(?:/([a-z]+))?$")
Object = dict[str, Any]
Key = tuple[str, str, str]  # namespace, plural, name


def newest_versions(count: int = NEWEST_SCHEMAS) -> list[str]:
    directory = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    minors = {int(match[1]) for name in directory.iterdir() if (match := re.match(r"v1\.(\d+)\.", name.name))}
    return [f"1.{minor}" for minor in sorted(minors)[-count:]]


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Refused(Exception):
    def __init__(self, status: int, reason: str, message: str, **details: Any) -> None:
        self.status = status
        self.body = {
            "kind": "Status",
            "status": "Failure",
            "reason": reason,
            "message": message,
            "code": status,
            "details": details,
        }


class FakeCluster:
    """Pods fare as `_state` says."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.objects: dict[Key, Object] = {}
        self.owners: dict[Key, dict[str, dict[str, Any]]] = {}  # per object: manager -> leaf -> value
        self.calls: list[tuple[str, str]] = []
        self.namespaces = {"default", "shop"}
        # What pods can run by exec, and which program of this machine it is.
        self.programs: dict[str, str] = {"python": sys.executable}
        self._stop = threading.Event()
        self._serial = 0
        self._validated: set[str] = set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.threads = [
            threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self._control, daemon=True),
        ]
        for thread in self.threads:
            thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def kubeconfig(self, file: Path, namespace: str = "shop") -> Path:
        file.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "test",
                    "clusters": [{"name": "test", "cluster": {"server": self.url}}],
                    "users": [{"name": "me", "user": {"token": TOKEN}}],
                    "contexts": [
                        {
                            "name": "test",
                            "context": {"cluster": "test", "user": "me", "namespace": namespace},
                        }
                    ],
                }
            )
        )
        return file

    def close(self) -> None:
        self._stop.set()
        self.server.shutdown()
        self.server.server_close()
        for thread in self.threads:
            thread.join(10)

    def all(self, plural: str) -> list[Object]:
        with self.lock:
            return [copy.deepcopy(each) for (_, kind, _), each in self.objects.items() if kind == plural]

    def force(self, namespace: str, plural: str, name: str, manager: str, change: Object) -> None:
        """Another field manager takes fields over, as `kubectl apply --force-conflicts` would."""
        with self.lock:
            self._apply((namespace, plural, name), change, manager, force=True)

    # -- the API -------------------------------------------------------------------------------------

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments: Any) -> None:
                return

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                split = urlsplit(self.path)
                query = {key: values[-1] for key, values in parse_qs(split.query).items()}
                status, answer = 200, b""
                if split.path.endswith("/exec"):
                    self.close_connection = True
                    talk(self, cluster.programs)
                    return
                try:
                    if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                        raise Refused(401, "Unauthorized", "Unauthorized")
                    found = cluster.answer(self.command, split.path, query, body)
                    answer = found.encode() if isinstance(found, str) else json.dumps(found).encode()
                except Refused as refused:
                    status, answer = refused.status, json.dumps(refused.body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PATCH = do_DELETE = _serve

        return Handler

    def answer(self, method: str, path: str, query: dict[str, str], body: Object | None) -> Object | str:
        with self.lock:
            if query.get("dryRun") is None:
                self.calls.append((method, path))
            if path == "/version":
                return {"major": "1", "minor": "36", "gitVersion": "v1.36.0-fake"}
            if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
                name = path.rpartition("/")[2]
                if name not in self.namespaces:
                    raise Refused(
                        404, "NotFound", f'namespaces "{name}" not found', kind="namespaces", name=name
                    )
                return {"kind": "Namespace", "metadata": {"name": name}}
            match = ITEM.match(path)
            if match is None:
                raise Refused(404, "NotFound", f"no path {path}")
            _, namespace, plural, name, sub = match.groups()
            if name is None:
                return {"items": self._listed(namespace, plural, query)}
            key = (namespace, plural, name)
            if sub == "log":
                return self._log(key, query)
            if method == "PATCH":
                assert body is not None
                return self._patch(key, body, query)
            if key not in self.objects:
                raise Refused(404, "NotFound", f'{plural} "{name}" not found', kind=plural, name=name)
            if method == "DELETE":
                self._delete(key)
                return {"kind": "Status", "status": "Success"}
            return copy.deepcopy(self.objects[key])

    def _listed(self, namespace: str, plural: str, query: dict[str, str]) -> list[Object]:
        wanted = dict(part.split("=") for part in query.get("labelSelector", "").split(",") if part)
        field = query.get("fieldSelector", "").partition("=")[2]
        found = []
        for (where, kind, _), each in self.objects.items():
            labels = each["metadata"].get("labels") or {}
            if (where, kind) != (namespace, plural) or not wanted.items() <= labels.items():
                continue
            if plural == "events" and each["involvedObject"]["name"] != field:
                continue
            found.append(copy.deepcopy(each))
        return found

    def _patch(self, key: Key, body: Object, query: dict[str, str]) -> Object:
        if query["fieldManager"] == "oatie":  # others apply a part, which is no whole object
            self._validate(body)
        dry = query.get("dryRun") == "All"
        objects, owners = copy.deepcopy(self.objects), copy.deepcopy(self.owners)
        try:
            return copy.deepcopy(
                self._apply(key, body, query["fieldManager"], force=query.get("force") == "true")
            )
        except Refused:
            dry = True
            raise
        finally:
            if dry:
                self.objects, self.owners = objects, owners

    def _validate(self, body: Object) -> None:
        """Against the published schemas of the three newest minor versions; unknown fields are errors."""
        text = json.dumps(body, sort_keys=True)
        if text in self._validated:
            return
        for version in newest_versions():
            try:
                kubernetes_validate.validate(body, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                causes = [{"field": ".".join(map(str, error.path)), "message": error.message}]
                raise Refused(422, "Invalid", error.message, causes=causes) from error
        self._validated.add(text)

    def _apply(self, key: Key, body: Object, manager: str, *, force: bool) -> Object:
        current = self.objects.get(key)
        owners = self.owners.setdefault(key, {})
        wanted = dict(_leaves({k: v for k, v in body.items() if k not in ("apiVersion", "kind")}))
        held = dict(_leaves(current)) if current else {}
        clashes = [
            (leaf, other)
            for leaf, value in wanted.items()
            for other, fields in owners.items()
            if other != manager and leaf in fields and held.get(leaf) != value
        ]
        if clashes and not force:
            causes = [
                {"reason": "FieldManagerConflict", "message": f'conflict with "{other}"', "field": leaf}
                for leaf, other in clashes
            ]
            raise Refused(409, "Conflict", "Apply failed", causes=causes, kind=body.get("kind"), name=key[2])
        for leaf, other in clashes:
            owners[other].pop(leaf, None)
        made = copy.deepcopy(current) if current else {"metadata": {"name": key[2], "namespace": key[0]}}
        before = copy.deepcopy(made)
        for leaf in owners.get(manager, {}).keys() - wanted.keys():
            if not any(leaf in fields for other, fields in owners.items() if other != manager):
                _remove(made, leaf)
        for leaf, value in wanted.items():
            _set(made, leaf, value)
        owners[manager] = wanted
        made |= {name: body[name] for name in ("apiVersion", "kind") if name in body}
        metadata = made["metadata"]
        if current is None:
            self._serial += 1
            metadata |= {"uid": f"u{self._serial}", "creationTimestamp": now(), "generation": 1}
        elif before.get("spec") != made.get("spec"):
            metadata["generation"] = metadata.get("generation", 1) + 1
        self.objects[key] = made
        return made

    def _delete(self, key: Key) -> None:
        gone = self.objects.pop(key)
        self.owners.pop(key, None)
        uid = gone["metadata"].get("uid")
        for other in [k for k, each in self.objects.items() if each.get("ownerUid") == uid]:
            self.objects.pop(other)

    def _log(self, key: Key, query: dict[str, str]) -> str:
        pod = self.objects.get((key[0], "pods", key[2]))
        if pod is None:
            raise Refused(404, "NotFound", f'pods "{key[2]}" not found')
        container = pod["spec"]["containers"][0]
        said = f"from {container['image']}" if "job" not in pod else " ".join(container["command"])
        lines = [f"line {n} {said}" for n in range(1, 4)]
        if query.get("previous"):
            lines.append("Traceback: it crashed")
        if query.get("timestamps"):
            lines = [
                f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}.{n:09d}Z {line}"
                for n, line in enumerate(lines)
            ]
        return "".join(f"{line}\n" for line in lines[-int(query.get("tailLines", 100)) :])

    # -- the controllers -----------------------------------------------------------------------------

    def _control(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            with self.lock:
                for key, each in list(self.objects.items()):
                    if key[1] == "deployments":
                        self._roll(key, each)
                    elif key[1] == "jobs":
                        self._work(key, each)

    def _pods_of(self, owner: Object) -> list[Object]:
        uid = owner["metadata"]["uid"]
        return [
            each for key, each in self.objects.items() if key[1] == "pods" and each.get("ownerUid") == uid
        ]

    def _roll(self, key: Key, deployment: Object) -> None:
        template = deployment["spec"]["template"]
        hashed = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
        wanted = deployment["spec"].get("replicas", 1)
        pods = self._pods_of(deployment)
        for pod in pods:
            self._tick(pod)
        alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        new = [pod for pod in alive if pod["hash"] == hashed]
        old = [pod for pod in alive if pod["hash"] != hashed]
        if len(new) < wanted and len(alive) < wanted + 1:
            self._make_pod(key[0], deployment, template, hashed)
        ready = sum(_ready(pod) for pod in alive)
        for pod in [
            *(each for each in old if not _ready(each)),
            *old,
            *(new[wanted:] if len(new) > wanted else []),
        ]:
            leaves = pod in new or not _ready(pod) or ready > wanted
            if leaves and "deletionTimestamp" not in pod["metadata"]:
                ready -= _ready(pod)
                pod["metadata"]["deletionTimestamp"] = now()
                pod["gone_at"] = time.monotonic() + 0.2
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(alive),
            "updatedReplicas": len(new),
            "availableReplicas": sum(_ready(pod) for pod in alive),
            "conditions": [],
        }

    def _make_pod(self, namespace: str, owner: Object, template: Object, hashed: str) -> Object:
        self._serial += 1
        name = f"{owner['metadata']['name']}-{hashed}-p{self._serial}"
        pod = {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": dict(template["metadata"].get("labels") or {}),
                "creationTimestamp": now(),
            },
            "spec": {**copy.deepcopy(template["spec"]), "nodeName": "node-1"},
            "status": {"phase": "Pending"},
            "ownerUid": owner["metadata"]["uid"],
            "hash": hashed,
            "made_at": time.monotonic(),
        }
        self.objects[namespace, "pods", name] = pod
        return pod

    def _tick(self, pod: Object) -> None:
        if time.monotonic() > pod.get("gone_at", float("inf")):
            self.objects.pop((pod["metadata"]["namespace"], "pods", pod["metadata"]["name"]), None)
            return
        age = time.monotonic() - pod["made_at"]
        pod["status"] = _state(pod["spec"], age)
        reason = str(
            pod["status"]["containerStatuses"][0]["state"].get("waiting", {}).get("reason") or "Started"
        )
        name = pod["metadata"]["name"]
        self.objects[pod["metadata"]["namespace"], "events", f"{name}.{reason}"] = {
            "metadata": {"name": f"{name}.{reason}", "creationTimestamp": now()},
            "involvedObject": {"name": name},
            "type": "Normal" if reason == "Started" else "Warning",
            "reason": reason,
            "message": f"the kubelet says {reason}",
            "lastTimestamp": now(),
            "count": 2,
        }

    def _work(self, key: Key, job: Object) -> None:
        pods = self._pods_of(job)
        if not pods:
            pod = self._make_pod(key[0], job, job["spec"]["template"], "j")
            pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] = key[2]
            pod["job"] = True
            return
        pod = pods[0]
        if time.monotonic() - pod["made_at"] < 0.2:
            return
        fails = "exit 1" in " ".join(pod["spec"]["containers"][0]["command"])
        pod["status"] = {
            "phase": "Failed" if fails else "Succeeded",
            "containerStatuses": [{"state": {"terminated": {"exitCode": 1 if fails else 0}}}],
        }
        kind = "Failed" if fails else "Complete"
        job["status"] = {"conditions": [{"type": kind, "status": "True", "reason": "BackoffLimitExceeded"}]}


def _ready(pod: Object) -> bool:
    return any(
        each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", [])
    )


def _state(spec: Object, age: float) -> Object:
    """How a pod fares: as its image, its command and its wishes say."""
    wanted = spec["containers"][0]
    image, command = wanted["image"], " ".join(wanted.get("command", ()))
    container: Object = {"name": "app", "ready": False, "restartCount": 0, "state": {"running": {}}}
    status: Object = {"phase": "Running", "podIP": "10.0.0.1", "startTime": now()}
    status["containerStatuses"] = [container]
    if int(wanted.get("resources", {}).get("requests", {}).get("cpu", "0m")[:-1]) > 100_000:
        container["state"] = {}
        scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        scheduled |= {"message": "0/2 nodes are available: insufficient cpu", "lastTransitionTime": now()}
        return status | {"phase": "Pending", "conditions": [scheduled]}
    if "no-such-tag" in image:
        reason = "ErrImagePull" if age < 0.3 else "ImagePullBackOff"
        container["state"] = {"waiting": {"reason": reason, "message": f"pull of {image} failed"}}
        return status | {"phase": "Pending"}
    if "exit(3)" in command and age > 0.3:
        container |= {"restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        container["lastState"] = {"terminated": {"exitCode": 3}}
        return status
    late = "late" in command and age > 2.0
    if late:
        container |= {
            "restartCount": 1,
            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
        }
    if "sleep(3600)" in command or age < 0.15 or "exit(3)" in command or late:
        return status | {"conditions": [{"type": "Ready", "status": "False"}]}
    container["ready"] = True
    return status | {"conditions": [{"type": "Ready", "status": "True"}]}


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Lists are one leaf: finer merging is the API's own business, and nothing here depends on it."""
    for name, value in tree.items():
        if prefix == "" and name in ("status", "ownerUid"):
            continue
        here = f"{prefix}\x00{name}" if prefix else str(name)
        if isinstance(value, dict) and value:
            yield from _leaves(value, here)
        else:
            yield here, value


def _set(tree: Object, leaf: str, value: Any) -> None:
    *steps, last = leaf.split("\x00")
    for step in steps:
        tree = tree.setdefault(step, {})
    tree[last] = copy.deepcopy(value)


def _remove(tree: Object, leaf: str) -> None:
    *steps, last = leaf.split("\x00")
    with suppress(KeyError):
        for step in steps:
            tree = tree[step]
        del tree[last]


@contextmanager
def fake_cluster() -> Iterator[FakeCluster]:
    cluster = FakeCluster()
    try:
        yield cluster
    finally:
        cluster.close()
