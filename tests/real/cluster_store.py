"""The objects of the fake cluster, and how a request changes them: server-side apply, with who owns what."""

from __future__ import annotations

import copy
import json
import re
import threading
import time
from pathlib import Path
from typing import Any

import kubernetes_validate

from tests.real import cluster_fields, cluster_rules
from tests.real.cluster_fields import FieldPath

NEWEST_SCHEMAS = 3
Object = dict[str, Any]
Key = tuple[str, str, str]  # namespace, plural, name
Manager = tuple[str, str, str]  # name, operation, subresource


def now(seconds_ago: float = 0.0) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds_ago))


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


class Store:
    """All under ``lock``."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.objects: dict[Key, Object] = {}
        self.owned: dict[Key, dict[Manager, set[FieldPath]]] = {}
        self.namespaces = {"default": "Active", "shop": "Active"}
        self._serial = 0
        self._validated: set[str] = set()

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

    def patch(self, key: Key, body: Object, query: dict[str, str], form: str, sub: str | None) -> Object:
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
