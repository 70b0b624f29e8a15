"""A cluster that answers like the Kubernetes API, for machines that have none.

It is small, and as strict as the real one in what matters here: server-side apply with field managers and
conflicts by the published schemas (`cluster_fields`), defaults, refusals and what cannot be changed
(`cluster_rules`), ReplicaSets, Jobs and events (`cluster_control`), pods whose image and command decide how
they fare (`cluster_pods`). The suite that uses it runs as well against a real cluster, which `KUBECONFIG`
and the mark ``kubernetes`` choose.
"""

from __future__ import annotations

import copy
import json
import re
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from oatie_ops.deployment.targets.kubernetes.paths import KINDS
from tests.real.cluster_control import Controllers
from tests.real.cluster_store import Key, Refused, Store
from tests.real.exec_channel import talk

TOKEN = "canary-of-the-cluster"
TICK_SECONDS = 0.05
ITEM = re.compile(r"^/(api/v1|apis/[^/]+/[^/]+)/namespaces/([^/]+)/([a-z]+)(?:/([^/]+))?(?:/([a-z]+))?$")
Object = dict[str, Any]
# Asked before each request: the status of an answer in its place, 0 for none at all, None to go on.
Fault = Callable[[str, str], int | None]


class Dropped(Exception):
    """The connection ends without an answer."""


class FakeCluster(Store):
    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.calls: list[tuple[str, str]] = []
        # What pods can run by exec, and which program of this machine it is.
        self.programs: dict[str, str] = {"sh": "/bin/sh", "python": sys.executable}
        self.restricted: set[str] = set()  # namespaces with that Pod Security level
        self.pod_quotas: dict[str, int] = {}  # namespace -> how many pods there may be
        self.forbidden: set[tuple[str, str]] = set()  # (method, plural) that this account may not
        self.fault: Fault = lambda _method, _path: None
        self.control = Controllers(self)
        self._stop = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "http" if tls is None else "https"
        self.threads = [
            threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self._control, daemon=True),
        ]
        for thread in self.threads:
            thread.start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.server_port}"

    def kubeconfig(
        self,
        file: Path,
        namespace: str = "shop",
        *,
        user: Object | None = None,
        cluster: Object | None = None,
    ) -> Path:
        context = {"cluster": "test", "user": "me", "namespace": namespace}
        file.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "test",
                    "clusters": [{"name": "test", "cluster": {"server": self.url, **(cluster or {})}}],
                    "users": [{"name": "me", "user": user or {"token": TOKEN}}],
                    "contexts": [{"name": "test", "context": context}],
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
                status, kind = 200, "application/json"
                if split.path.endswith("/exec"):
                    self.close_connection = True
                    talk(self, cluster.programs)
                    return
                try:
                    scheme, _, token = self.headers.get("Authorization", "").partition(" ")
                    if (scheme.lower(), token) != ("bearer", TOKEN):
                        raise Refused(401, "Unauthorized", "Unauthorized")
                    form = self.headers.get("Content-Type", "")
                    found = cluster.answer(self.command, split.path, query, body, form)
                    answer = found.encode() if isinstance(found, str) else json.dumps(found).encode()
                    kind = "text/plain" if isinstance(found, str) else kind
                except Refused as refused:
                    status, answer = refused.status, json.dumps(refused.body).encode()
                except Dropped:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PATCH = do_DELETE = do_POST = _serve

        return Handler

    def answer(
        self, method: str, path: str, query: dict[str, str], body: Object | None, form: str = ""
    ) -> Object | str:
        with self.lock:
            if query.get("dryRun") is None:
                self.calls.append((method, path))
            if (fault := self.fault(method, path)) is not None:
                if not fault:
                    raise Dropped
                raise Refused(fault, "InternalError", "etcdserver: leader changed")
            if path == "/version":
                return {"major": "1", "minor": "36", "gitVersion": "v1.36.0-fake"}
            if path == "/api/v1/nodes":
                return {"items": [{"status": {"images": [{"names": ["docker.io/library/busybox:1.36"]}]}}]}
            if path == "/api/v1/namespaces" or path.endswith("/resourcequotas"):
                assert body is not None
                return self._make(path, body)
            if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
                return self._namespace(method, path.rpartition("/")[2])
            match = ITEM.match(path)
            if match is None:
                raise Refused(404, "NotFound", "the server could not find the requested resource")
            prefix, namespace, plural, name, sub = match.groups()
            if (prefix, plural) not in KINDS.values():
                raise Refused(404, "NotFound", "the server could not find the requested resource")
            if (method, plural) in self.forbidden:
                why = f'{plural} is forbidden: User "me" cannot {method.lower()} resource "{plural}"'
                raise Refused(403, "Forbidden", why, kind=plural)
            if name is None:
                return {"kind": "List", "items": self._listed(namespace, plural, query)}
            key = (namespace, plural, name)
            if sub == "log":
                return self._log(key, query)
            if method == "PATCH":
                assert body is not None
                return self.patch(key, body, query, form, sub)
            if key not in self.objects:
                raise Refused(404, "NotFound", f'{plural} "{name}" not found', kind=plural, name=name)
            if method == "DELETE":
                return self._delete(key, query.get("propagationPolicy"))
            return copy.deepcopy(self.objects[key])

    def _make(self, path: str, body: Object) -> Object:
        """A namespace or a quota: what the suite needs of a cluster beyond the product."""
        name = body["metadata"]["name"]
        if body["kind"] == "ResourceQuota":
            self.pod_quotas[path.split("/")[4]] = int(body["spec"]["hard"]["pods"])
            return body
        if name in self.namespaces:
            raise Refused(409, "AlreadyExists", f'namespaces "{name}" already exists', name=name)
        self.namespaces[name] = "Active"
        if body["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") == "restricted":
            self.restricted.add(name)
        return body

    def _namespace(self, method: str, name: str) -> Object:
        if name not in self.namespaces:
            raise Refused(404, "NotFound", f'namespaces "{name}" not found', kind="namespaces", name=name)
        if method == "DELETE":
            del self.namespaces[name]
            for key in [each for each in self.objects if each[0] == name]:
                del self.objects[key]
            return {"kind": "Namespace", "metadata": {"name": name}, "status": {"phase": "Terminating"}}
        return {"kind": "Namespace", "metadata": {"name": name}, "status": {"phase": self.namespaces[name]}}

    def _listed(self, namespace: str, plural: str, query: dict[str, str]) -> list[Object]:
        wanted = dict(part.split("=") for part in query.get("labelSelector", "").split(",") if part)
        fields = dict(part.split("=") for part in query.get("fieldSelector", "").split(",") if part)
        found = []
        for (where, kind, _), each in self.objects.items():
            labels = each["metadata"].get("labels") or {}
            if (where, kind) != (namespace, plural) or not wanted.items() <= labels.items():
                continue
            about = {
                f"involvedObject.{name}": value for name, value in each.get("involvedObject", {}).items()
            }
            if not fields.keys() <= about.keys():
                raise Refused(400, "BadRequest", "field label not supported")
            if fields.items() <= about.items():
                found.append(copy.deepcopy(each))
        return found

    def _delete(self, key: Key, policy: str | None) -> Object:
        if policy not in ("Background", "Foreground", "Orphan", None):
            raise Refused(422, "Invalid", "invalid propagationPolicy")
        if key[1] == "pods":
            self.control.end(self.objects[key])
            return copy.deepcopy(self.objects[key])
        gone = self.objects.pop(key)
        self.owned.pop(key, None)
        if policy == "Orphan" or (policy is None and key[1] == "jobs"):
            return {"kind": "Status", "status": "Success"}
        for other, each in list(self.objects.items()):
            owners = each["metadata"].get("ownerReferences") or [{}]
            if owners[0].get("uid") == gone["metadata"]["uid"]:
                self._delete(other, "Background")
        return {"kind": "Status", "status": "Success"}

    def _log(self, key: Key, query: dict[str, str]) -> str:
        pod = self.objects.get((key[0], "pods", key[2]))
        if pod is None:
            raise Refused(404, "NotFound", f'pods "{key[2]}" not found')
        statuses = pod["status"].get("containerStatuses") or [{"state": {"waiting": {"reason": "Pending"}}}]
        waiting = statuses[0]["state"].get("waiting")
        if query.get("previous") and not statuses[0].get("lastState"):
            raise Refused(400, "BadRequest", "previous terminated container not found")
        if waiting and not query.get("previous") and not statuses[0].get("lastState"):
            why = f'container "app" in pod "{key[2]}" is waiting to start: {waiting["reason"]}'
            raise Refused(400, "BadRequest", why)
        container = pod["spec"]["containers"][0]
        lines = [
            f"line {n} from {container['image']} {' '.join(container.get('command', ()))}" for n in (1, 2, 3)
        ]
        if query.get("previous"):
            lines.append("Traceback: it crashed")
        if query.get("timestamps"):
            at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
            lines = [f"{at}.{n:09d}Z {line}" for n, line in enumerate(lines)]
        return "".join(f"{line}\n" for line in lines[-int(query.get("tailLines", 100)) :])

    def _control(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            with self.lock:
                self.control.tick()


@contextmanager
def fake_cluster(tls: ssl.SSLContext | None = None) -> Iterator[FakeCluster]:
    cluster = FakeCluster(tls)
    try:
        yield cluster
    finally:
        cluster.close()
