"""The containers of one project at the engine: found by their labels, made, started, retired, removed."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from oatie_ops.deployment.containers import names
from oatie_ops.deployment.containers.api import Connection, explained
from oatie_ops.deployment.containers.errors import EngineFailed
from oatie_ops.deployment.containers.spec import NO_RESTART, Made
from oatie_ops.deployment.containers.uncut import uncut
from oatie_ops.deployment.proxy.ports import free_port

APPLICATION = "app"
ONE_OFF = "release-command"
PORT_TRIES = 10
SHORT_ID = 12
REMOVE_SECONDS = 60.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Container:
    """As the engine told of it just now. ``port`` is the one of the loopback; ``health`` None: no check."""

    id: str
    name: str
    release: str
    role: str
    accessory: str
    running: bool
    status: str  # created | running | restarting | exited | dead …
    health: str | None
    exit_code: int
    oom_killed: bool
    restarts: int
    pid: int | None
    started_at: float | None
    port: int | None
    policy: str
    digest: str
    generation: str
    image: str
    error: str = ""

    @property
    def short(self) -> str:
        return self.id[:SHORT_ID]


class Fleet:
    def __init__(self, engine: Connection, project: str) -> None:
        self.engine, self.project = engine, project

    def all(self, *roles: str) -> list[Container]:
        """Running or not, the oldest first."""
        with explained("listing the containers"):
            found = self.engine.api.containers(all=True, filters={"label": f"{names.PROJECT}={self.project}"})
        known = (self.look(each["Id"]) for each in reversed(found))
        return [each for each in known if each is not None and (not roles or each.role in roles)]

    def of_release(self, release: str) -> list[Container]:
        return [each for each in self.all(APPLICATION) if each.release == release]

    def look(self, identity: str) -> Container | None:
        found: dict[str, Any] | None = None
        with explained("looking at a container", ignore=(404,)):
            found = self.engine.api.inspect_container(identity)
        return None if found is None else container_from(found)

    def create(self, name: str, made: Made) -> str:
        """Its id; what is in ``made.files`` is in it before it starts."""
        with explained(f"creating the container {name}"):
            create = partial(self.engine.api.create_container_from_config, made.config, name)
            identity = str(uncut(create)["Id"])
        if made.files:
            with explained(f"handing the secrets over to {name}"):
                self.engine.api.put_archive(identity, "/", _archive(made.files))
        return identity

    def start(self, identity: str) -> None:
        with explained("starting a container"):
            uncut(partial(self.engine.api.start, identity))

    def set_policy(self, identity: str, policy: Mapping[str, Any]) -> None:
        with explained("changing a restart policy", ignore=(404,)):
            self.engine.api.update_container(identity, restart_policy=dict(policy))

    def stop(self, identity: str, timeout_seconds: float | None = None) -> None:
        """SIGTERM, and SIGKILL after its own stop time-out, or after this one."""
        timeout = None if timeout_seconds is None else max(0, round(timeout_seconds))
        with explained("stopping a container", ignore=(304, 404)):
            self.engine.api.stop(identity, timeout=timeout)

    def rename(self, identity: str, name: str) -> None:
        with explained("renaming a container"):
            self.engine.api.rename(identity, name)

    def retire(self, each: Container) -> None:
        """Stopped and kept for a rollback; a restarted engine must not start it again."""
        if each.policy != "no":
            self.set_policy(each.id, NO_RESTART)
        if each.running:
            self.stop(each.id)

    def remove(self, identities: Iterable[str]) -> None:
        """Returns when they are gone; one that the engine is just starting refuses for a moment.

        Raises `EngineFailed` for what stays all the same, after the others are gone.
        """
        left = []
        for identity in list(identities):
            deadline = time.monotonic() + REMOVE_SECONDS
            while True:
                with explained("removing a container", ignore=(404, 409)):
                    self.engine.api.remove_container(identity, force=True, v=True)
                if self.look(identity) is None:
                    break
                if time.monotonic() > deadline:
                    left.append(identity[:12])
                    break
                time.sleep(POLL_SECONDS)
        if left:
            raise EngineFailed(
                f"the engine did not remove {', '.join(left)}",
                why=f"still there {REMOVE_SECONDS:g} s after the order",
                fix=f"see the engine's own log, then `docker rm -f {' '.join(left)}`",
            )

    def network(self, *, make: bool) -> bool:
        """Was it made just now?"""
        if self._network() is not None or not make:
            return False
        with explained("making the network of the project"):
            uncut(
                partial(
                    self.engine.api.create_network,
                    self.project,
                    driver="bridge",
                    labels={names.PROJECT: self.project},
                    check_duplicate=True,
                )
            )
        return True

    def remove_network(self) -> None:
        """Only where nothing is in it any more."""
        if self._network() is not None:
            with suppress(EngineFailed), explained("removing the network of the project", ignore=(404,)):
                self.engine.api.remove_network(self.project)

    def _network(self) -> dict[str, Any] | None:
        with explained("looking at the networks"):
            found = self.engine.api.networks(names=[self.project])
        # The engine's filter takes parts of names, too.
        return next((each for each in found if each["Name"] == self.project), None)

    def log_tail(self, identity: str, lines: int = 30) -> list[str]:
        text = b""
        with suppress(EngineFailed), explained("reading the log of a container", ignore=(404, 409)):
            text = self.engine.api.logs(identity, tail=lines)
        return [line.rstrip() for line in text.decode(errors="replace").splitlines()]


def with_port(make: Any, tries: int = PORT_TRIES) -> Any:
    """``make(port)`` with a free port; somebody else may take it meanwhile."""
    for left in range(tries, 0, -1):
        try:
            return make(free_port())
        except EngineFailed as error:
            if left == 1 or not any(word in error.why for word in ("already allocated", "already in use")):
                raise
    raise AssertionError("the last try raises")


def container_from(found: Mapping[str, Any]) -> Container:
    """From the body of "inspect a container"."""
    state, labels = found["State"], found["Config"].get("Labels") or {}
    return Container(
        id=found["Id"],
        name=found["Name"].removeprefix("/"),
        release=labels.get(names.RELEASE, ""),
        role=labels.get(names.ROLE, ""),
        accessory=labels.get(names.ACCESSORY, ""),
        running=bool(state.get("Running")) and not state.get("Restarting"),
        status=str(state.get("Status", "")),
        health=(state.get("Health") or {}).get("Status"),
        exit_code=int(state.get("ExitCode", 0)),
        oom_killed=bool(state.get("OOMKilled")),
        restarts=int(found.get("RestartCount", 0)),
        pid=state.get("Pid") or None,
        started_at=_epoch(state.get("StartedAt", "")),
        port=_port(found["HostConfig"].get("PortBindings") or {}),
        policy=(found["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no",
        digest=labels.get(names.SPEC, ""),
        generation=labels.get(names.GENERATION, ""),
        image=found["Config"].get("Image", ""),
        error=str(state.get("Error") or ""),
    )


def last_health_output(found: Mapping[str, Any]) -> str:
    log = ((found["State"].get("Health") or {}).get("Log")) or []
    return " ".join(str(log[-1].get("Output", "")).split())[:200] if log else ""


def _port(bindings: Mapping[str, Any]) -> int | None:
    for each in bindings.values():
        for binding in each or ():
            if binding.get("HostIp") == "127.0.0.1" and binding.get("HostPort"):
                return int(binding["HostPort"])
    return None


def _epoch(text: str) -> float | None:
    """RFC 3339 with nanoseconds; the year 1 stands for never."""
    if not text or text.startswith("0001"):
        return None
    head, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{head}+00:00").timestamp() + float(f"0.{fraction or 0}")


def _archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o444
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
