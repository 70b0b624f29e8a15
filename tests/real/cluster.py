"""A cluster that answers like the Kubernetes API, for machines that have none.

It is small, and as strict as the real one in what matters here: server-side apply with field managers and
conflicts by the published schemas (`cluster_fields`), defaults, refusals and what cannot be changed
(`cluster_rules`), ReplicaSets, pods whose image and command decide how they fare, Jobs, events and logs
(`cluster_control`). The suite that uses it runs as well against a real cluster, which `KUBECONFIG` and the
mark ``kubernetes`` choose.
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

import kubernetes_validate

from oatie_ops.deployment.targets.kubernetes.paths import KINDS
from tests.real import cluster_fields, cluster_rules
from tests.real.cluster_control import Controllers, now
from tests.real.cluster_fields import FieldPath
from tests.real.exec_channel import talk

TOKEN = "canary-of-the-cluster"
TICK_SECONDS = 0.05
NEWEST_SCHEMAS = 3
ITEM = re.compile(r"^/(api/v1|apis/[^/]+/[^/]+)/namespaces/([^/]+)/([a-z]+)(?:/([^/]+))?(?:/([a-z]+))?$")
Object = dict[str, Any]
Key = tuple[str, str, str]  # namespace, plural, name
Manager = tuple[str, str, str]  # name, operation, subresource
# Asked before each request: the status of an answer in its place, 0 for none at all, None to go on.
Fault = Callable[[str, str], int | None]


def newest_versions(count: int = NEWEST_SCHEMAS) -> list[str]:
    directory = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    minors = {int(match[1]) for name in directory.iterdir() if (match := re.match(r"v1\.(\d+)\.", name.name))}
    return [f"1.{minor}" for minor in sorted(minors)[-count:]]


class Refused(Exception):
    def __init__(self, status: int, reason: str, message: str, **details: Any) -> None:
        self.status = status
        self.body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "reason": reason,
            "message": message,
            "code": status,
            "details": details,
        }


class Dropped(Exception):
    """The connection ends without an answer."""


class FakeCluster:
    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.lock = threading.RLock()
        self.objects: dict[Key, Object] = {}
        self.owned: dict[Key, dict[Manager, set[FieldPath]]] = {}
        self.calls: list[tuple[str, str]] = []
        self.namespaces = {"default": "Active", "shop": "Active"}
        # What pods can run by exec, and which program of this machine it is.
        self.programs: dict[str, str] = {"sh": "/bin/sh", "python": sys.executable}
        self.restricted: set[str] = set()  # namespaces with that Pod Security level
        self.pod_quota: int | None = None
        self.forbidden: set[tuple[str, str]] = set()  # (method, plural) that this account may not
        self.fault: Fault = lambda _method, _path: None
        self.control = Controllers(self)
        self._stop = threading.Event()
        self._serial = 0
        self._validated: set[str] = set()
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

    def update(self, key: Key, change: Object, manager: str, subresource: str = "") -> None:
        """As `kubectl set`, `kubectl scale` or an autoscaler: what it changes is its own from then on."""
        with self.lock:
            made = copy.deepcopy(self.objects[key])
            schema = _schema(made)
            paths = dict(cluster_fields.leaves(change, schema))
            held = dict(cluster_fields.leaves(made, schema))
            for path, value in paths.items():
                if held.get(path) != value:
                    for fields in self.owned[key].values():
                        fields.discard(path)
                cluster_fields.put(made, path, value)
            acting = (manager, "Update", subresource)
            self.owned[key].setdefault(acting, set()).update(paths)
            self._store(key, made, self.objects[key], acting)

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
            if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
                return self._namespace(path.rpartition("/")[2])
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
                return self._patch(key, body, query, form, sub)
            if key not in self.objects:
                raise Refused(404, "NotFound", f'{plural} "{name}" not found', kind=plural, name=name)
            if method == "DELETE":
                return self._delete(key, query.get("propagationPolicy"))
            return copy.deepcopy(self.objects[key])

    def _namespace(self, name: str) -> Object:
        if name not in self.namespaces:
            raise Refused(404, "NotFound", f'namespaces "{name}" not found', kind="namespaces", name=name)
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

    def _patch(self, key: Key, body: Object, query: dict[str, str], form: str, sub: str | None) -> Object:
        if form == "application/merge-patch+json":
            self.update(key, body, query.get("fieldManager", "unknown"), sub or "")
            return copy.deepcopy(self.objects[key])
        if form != "application/apply-patch+yaml":
            raise Refused(415, "UnsupportedMediaType", f"the body of the request was {form}")
        if not query.get("fieldManager"):
            raise Refused(422, "Invalid", "fieldManager: Required value: is required for apply patch")
        if body["metadata"].get("name", key[2]) != key[2] or "managedFields" in body["metadata"]:
            raise Refused(400, "BadRequest", "the object does not fit the request")
        if self.namespaces.get(key[0]) == "Terminating" and key not in self.objects:
            why = f"unable to create new content in namespace {key[0]} because it is being terminated"
            raise Refused(403, "Forbidden", why, causes=[{"reason": "NamespaceTerminating"}])
        objects, owned = copy.deepcopy(self.objects), copy.deepcopy(self.owned)
        manager = (query["fieldManager"], "Apply", "")
        undone = query.get("dryRun") == "All"
        try:
            return copy.deepcopy(self._apply(key, body, manager, force=query.get("force") == "true"))
        except Refused:
            undone = True
            raise
        finally:
            if undone:
                self.objects, self.owned = objects, owned

    def _apply(self, key: Key, body: Object, manager: Manager, *, force: bool) -> Object:
        current, schema = self.objects.get(key), _schema(body)
        owned = self.owned.setdefault(key, {})
        wanted = dict(cluster_fields.leaves(body, schema))
        held = dict(cluster_fields.leaves(current, schema)) if current else {}
        clashes = [
            (path, other)
            for path, value in wanted.items()
            for other, fields in owned.items()
            if other != manager and path in fields and held.get(path) != value
        ]
        if clashes and not force:
            causes = [_conflict(path, other) for path, other in clashes]
            raise Refused(409, "Conflict", f"Apply failed with {len(causes)} conflicts", causes=causes)
        for path, other in clashes:
            owned[other].discard(path)
        made = copy.deepcopy(current) if current else {"metadata": {"name": key[2], "namespace": key[0]}}
        # What it no longer applies goes, where nobody else has it; an item of a list as a whole, at last.
        for path in sorted(owned.get(manager, set()) - wanted.keys(), key=lambda each: -len(each)):
            if not any(path in fields for other, fields in owned.items() if other != manager):
                cluster_fields.remove(made, path)
        for path, value in wanted.items():
            cluster_fields.put(made, path, value)
        made |= {name: body[name] for name in ("apiVersion", "kind")}
        owned[manager] = set(wanted)
        return self._store(key, made, current, manager)

    def _store(self, key: Key, made: Object, current: Object | None, acting: Manager) -> Object:
        cluster_rules.fill_in(made)
        if causes := [
            *cluster_rules.unacceptable(made),
            *(cluster_rules.changed(current, made) if current else ()),
        ]:
            kind, said = made["kind"], "; ".join(f"{each['field']}: {each['message']}" for each in causes)
            raise Refused(
                422, "Invalid", f'{kind} "{key[2]}" is invalid: {said}', kind=kind, name=key[2], causes=causes
            )
        self._validate(made)
        metadata = made["metadata"]
        if current is None:
            metadata |= {"uid": f"u{self.serial()}", "creationTimestamp": now(), "generation": 1}
        elif current.get("spec") != made.get("spec"):
            metadata["generation"] = metadata.get("generation", 1) + 1
        times = {
            (each["manager"], each["operation"]): each["time"] for each in metadata.get("managedFields", ())
        }
        metadata["managedFields"] = [
            _managed(made["apiVersion"], each, fields, now() if each == acting else times[each[:2]])
            for each, fields in self.owned[key].items()
            if fields
        ]
        metadata["resourceVersion"] = str(self.serial())
        self.objects[key] = made
        return made

    def _validate(self, made: Object) -> None:
        """Against the published schemas of the three newest minor versions; unknown fields are errors."""
        plain = {name: value for name, value in made.items() if name != "status"}
        plain["metadata"] = {
            k: v for k, v in made["metadata"].items() if k in ("name", "labels", "annotations")
        }
        text = json.dumps(plain, sort_keys=True)
        if text in self._validated:
            return
        for version in newest_versions():
            try:
                kubernetes_validate.validate(plain, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                causes = [{"field": ".".join(map(str, error.path)), "message": error.message}]
                raise Refused(422, "Invalid", error.message, causes=causes) from error
        self._validated.add(text)

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

    # -- what the controllers need ---------------------------------------------------------------------

    def serial(self) -> int:
        self._serial += 1
        return self._serial

    def add(
        self, namespace: str, plural: str, version: str, kind: str, name: str, owner: Object | None
    ) -> Object:
        """An object that no user has made."""
        metadata: Object = {"name": name, "namespace": namespace, "creationTimestamp": now()}
        metadata["uid"] = f"u{self.serial()}"
        if owner is not None:
            metadata["ownerReferences"] = [
                {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
            ]
        made: Object = {"apiVersion": version, "kind": kind, "metadata": metadata}
        self.objects[namespace, plural, name] = made
        return made

    def _control(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            with self.lock:
                self.control.tick()


def _schema(each: Object) -> Object:
    return dict(cluster_fields.definitions()[cluster_fields.root(each["apiVersion"], each["kind"])])


def _managed(version: str, manager: Manager, fields: set[FieldPath], at: str) -> Object:
    name, operation, subresource = manager
    entry = {"manager": name, "operation": operation, "apiVersion": version, "time": at}
    entry |= {"subresource": subresource} if subresource else {}
    return {**entry, "fieldsType": "FieldsV1", "fieldsV1": cluster_fields.fields_v1(fields)}


def _conflict(path: FieldPath, other: Manager) -> dict[str, str]:
    """Word for word as the API has it, but for the time."""
    name, operation, subresource = other
    said = f'conflict with "{name}"'
    said += f' with subresource "{subresource}"' if subresource else ""
    said += f" using apps/v1 at {now()}" if operation == "Update" else ""
    return {"reason": "FieldManagerConflict", "message": said, "field": cluster_fields.shown(path)}


@contextmanager
def fake_cluster(tls: ssl.SSLContext | None = None) -> Iterator[FakeCluster]:
    cluster = FakeCluster(tls)
    try:
        yield cluster
    finally:
        cluster.close()
