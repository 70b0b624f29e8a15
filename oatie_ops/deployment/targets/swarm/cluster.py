"""A manager of the swarm: the service, its tasks, nodes, secrets, configs and networks."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from oatie_ops.deployment.containers import names
from oatie_ops.deployment.containers.api import Connection, explained
from oatie_ops.deployment.containers.errors import EngineFailed
from oatie_ops.deployment.containers.uncut import uncut
from oatie_ops.deployment.targets.inside import OutOfReach
from oatie_ops.deployment.targets.swarm.spec import Attached

TRIES = 10
OUT_OF_SEQUENCE = "out of sequence"


@dataclass(frozen=True)
class Whereabouts:
    """Of a task: ``node`` is a host name; ``argv`` what its process 1 is, as far as this manager can tell."""

    node_id: str
    node: str
    container: str
    argv: tuple[str, ...]


class Cluster:
    def __init__(self, engine: Connection, project: str, key: bytes) -> None:
        self.engine, self.project, self._key = engine, project, key

    def swarm(self) -> dict[str, Any]:
        with explained("asking the engine about its swarm"):
            found: dict[str, Any] = self.engine.api.info().get("Swarm") or {}
        return found

    def service(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = None
        with explained("looking at the service", ignore=(404,)):
            found = self.engine.api.inspect_service(self.project)
        return found

    def create(self, spec: dict[str, Any], *, auth: bool) -> None:
        with explained("creating the service"):
            self._post("/services/create", spec, {}, auth)

    def update(self, change: Callable[[dict[str, Any]], dict[str, Any]], *, auth: bool = False) -> None:
        """``change`` makes the new spec of the present one; asked again where somebody was faster."""
        for left in range(TRIES, 0, -1):
            found = self.service()
            if found is None:
                raise EngineFailed(
                    "the service is gone", why="somebody removed it", fix="`oatie deploy` makes it again"
                )
            version = found["Version"]["Index"]
            try:
                with explained("updating the service"):
                    self._post(f"/services/{found['ID']}/update", change(found), {"version": version}, auth)
                return
            except EngineFailed as error:
                if left == 1 or OUT_OF_SEQUENCE not in error.why:
                    raise

    def remove(self) -> None:
        with explained("removing the service", ignore=(404,)):
            self.engine.api.remove_service(self.project)

    def tasks(self) -> list[dict[str, Any]]:
        """Those of every release that the swarm still remembers, the newest first."""
        with explained("listing the tasks"):
            found: list[dict[str, Any]] = self.engine.api.tasks(filters={"service": self.project})
        return sorted(found, key=lambda each: each.get("CreatedAt", ""), reverse=True)

    def whereabouts(self, task: str) -> Whereabouts:
        """Raises `OutOfReach` where it has no container."""
        with explained("looking at a task"):
            found = self.engine.api.inspect_task(task)
        container = (found["Status"].get("ContainerStatus") or {}).get("ContainerID", "")
        if not container:
            raise OutOfReach("it has no container", why=f"its state is {found['Status'].get('State')}")
        node = str(found.get("NodeID", ""))
        argv = self._argv(found["Spec"]["ContainerSpec"])
        return Whereabouts(node, self.nodes().get(node, node), container, argv)

    def _argv(self, container: Mapping[str, Any]) -> tuple[str, ...]:
        """Of the spec, else of the image where this engine has it; empty where that cannot be told."""
        config: Mapping[str, Any] = {}
        with explained("looking at the image", ignore=(404,)):
            config = self.engine.api.inspect_image(container["Image"])["Config"]
        entry = container.get("Command") or config.get("Entrypoint") or ()
        rest = container.get("Args") or (() if container.get("Command") else config.get("Cmd") or ())
        return (*entry, *rest)

    def nodes(self) -> dict[str, str]:
        """Their host names by id."""
        with explained("listing the nodes"):
            found = self.engine.api.nodes()
        return {each["ID"]: each["Description"]["Hostname"] for each in found}

    def secret(self, name: str, value: str) -> Attached:
        """Made where there is none with this value: its name holds a keyed digest."""
        full = self._named("secret", name, value.encode())
        return Attached(self._ensure("secrets", full, value.encode()), full, name)

    def config(self, path: str, content: bytes) -> Attached:
        full = self._named("config", path, content)
        return Attached(self._ensure("configs", full, content), full, path)

    def sweep(self, undone: str = "") -> list[str]:
        """Secrets and configs that neither the spec nor the one before needs; says which.

        ``undone``: a release to which nobody returns, although it may be the one before.
        """
        service = self.service() or {}
        used = set()
        for spec in (service.get("Spec"), service.get("PreviousSpec")):
            if undone and ((spec or {}).get("Labels") or {}).get(names.RELEASE) == undone:
                continue
            container = ((spec or {}).get("TaskTemplate") or {}).get("ContainerSpec") or {}
            used |= {each["SecretID"] for each in container.get("Secrets") or ()}
            used |= {each["ConfigID"] for each in container.get("Configs") or ()}
        gone = []
        for kind, remove in (
            ("secrets", self.engine.api.remove_secret),
            ("configs", self.engine.api.remove_config),
        ):
            for each in self._ours(kind):
                if each["ID"] not in used:
                    with explained(f"removing one of the {kind}", ignore=(400, 404, 409)):
                        remove(each["ID"])
                        gone.append(each["Spec"]["Name"])
        return gone

    def network(self, name: str, *, own: bool) -> str:
        """An overlay of this name, made where there is none; its id."""
        with explained("looking at the networks"):
            found = [each for each in self.engine.api.networks(names=[name]) if each["Name"] == name]
        if found:
            return str(found[0]["Id"])
        labels = {names.PROJECT: self.project} if own else {}
        with explained(f"making the network {name}"):
            create = partial(self.engine.api.create_network, name, driver="overlay", attachable=True)
            made = uncut(partial(create, labels=labels))
        return str(made["Id"])

    def remove_network(self) -> bool:
        """Is it gone?"""
        with explained("looking at the networks"):
            found = {each["Name"] for each in self.engine.api.networks(names=[self.project])}
        if self.project in found:
            with suppress(EngineFailed), explained("removing the network"):
                self.engine.api.remove_network(self.project)
                return True
            return False
        return True

    def _ensure(self, kind: str, name: str, content: bytes) -> str:
        for each in self._ours(kind):
            if each["Spec"]["Name"] == name:
                return str(each["ID"])
        labels = {names.PROJECT: self.project}
        create = self.engine.api.create_secret if kind == "secrets" else self.engine.api.create_config
        with explained(f"making one of the {kind}"):
            return str(uncut(partial(create, name, content, labels))["ID"])

    def _ours(self, kind: str) -> list[dict[str, Any]]:
        wanted = {"label": f"{names.PROJECT}={self.project}"}
        look = self.engine.api.secrets if kind == "secrets" else self.engine.api.configs
        with explained(f"listing the {kind}"):
            found: list[dict[str, Any]] = look(filters=wanted)
        return found

    def _named(self, kind: str, name: str, content: bytes) -> str:
        """64 characters at the most, and the value cannot be guessed from the digest."""
        digest = hashlib.blake2b(f"{kind} {name} ".encode() + content, key=self._key, digest_size=6)
        return f"{self.project[:30]}-{digest.hexdigest()}"

    def _post(self, path: str, body: Mapping[str, Any], params: Mapping[str, Any], auth: bool) -> None:
        """The SDK's own calls leave out fields and set defaults; the Engine API takes the spec as it is."""
        api = self.engine.api
        headers = {}
        if auth:
            import json

            known = api._auth_configs.get_all_credentials() if api._auth_configs else {}
            headers["X-Registry-Auth"] = base64.urlsafe_b64encode(json.dumps(known).encode()).decode()
        post = partial(api._post_json, api._url(path), data=dict(body), params=dict(params))
        answer = uncut(partial(post, headers=headers))
        api._raise_for_status(answer)
