"""The one adapter of the Docker SDK (extra ``docker``): a connection, and its errors as ours.

Everything else speaks the Engine API's own dictionaries through `Engine`'s ``api``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from oatie_ops.deployment.containers.errors import EngineFailed, EngineMissing
from oatie_ops.redaction import redact

TIMEOUT_SECONDS = 60.0
NANOSECONDS = 1_000_000_000
DEFAULT_HOST = "unix:///var/run/docker.sock"


class Connection:
    """Opened at the first use; ``api`` is the SDK's low-level client."""

    def __init__(self, host: str | None) -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        self._api: Any = None

    @property
    def api(self) -> Any:
        if self._api is None:
            self._api = _connect(self.host)
        return self._api

    @property
    def is_local(self) -> bool:
        """Are its published ports on the loopback of this machine?"""
        return self.host.startswith(("unix://", "npipe://"))

    def version(self) -> dict[str, Any]:
        with explained("asking the engine for its version"):
            found: dict[str, Any] = self.api.version()
        return found


def _connect(host: str) -> Any:
    try:
        import docker
    except ImportError as error:
        raise _no_sdk(error) from error

    def connect() -> Any:
        return docker.APIClient(base_url=host, timeout=TIMEOUT_SECONDS, version="auto", **_tls(host))

    if host.startswith("ssh://"):
        from oatie_ops.deployment.containers.over_ssh import opened

        return opened(host, connect)
    try:
        return connect()
    except (docker.errors.DockerException, OSError) as error:
        raise EngineMissing(
            f"no Docker Engine answers at {host}",
            why=redact(_innermost(error)),
            fix="start it (`systemctl start docker`), let this user read its socket, or set [docker] host",
        ) from error


def _tls(host: str) -> dict[str, Any]:
    """For an engine over TCP, as docker's own client has it: $DOCKER_TLS_VERIFY and $DOCKER_CERT_PATH."""
    if not host.startswith("tcp://"):
        return {}
    from docker.utils import kwargs_from_env

    found = kwargs_from_env(environment={**os.environ, "DOCKER_HOST": host})
    return {"tls": found["tls"]} if found.get("tls") else {}


@contextmanager
def explained(doing: str, *, ignore: tuple[int, ...] = ()) -> Iterator[None]:
    """``doing`` in words for the message. Answers with a status in ``ignore`` (404: it is gone) pass."""
    try:
        import docker
        import requests
        import urllib3
    except ImportError as error:
        raise _no_sdk(error) from error
    try:
        yield
    except docker.errors.APIError as error:
        status = error.response.status_code if error.response is not None else None
        if status in ignore:
            return
        raise EngineFailed(
            f"{doing} failed",
            why=redact(str(error.explanation or error)),
            fix="see the engine's own log (`journalctl -u docker`)",
            data={"status": status},
        ) from error
    except (
        docker.errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,  # in the middle of a stream, such as that of a build
        OSError,
    ) as error:
        raise EngineFailed(
            f"{doing} failed", why=redact(_innermost(error)), fix="is the engine still there? `docker info`"
        ) from error


def build_context(path: str, exclude: list[str], dockerfile: str, text: str | None) -> Any:
    """A tar file for the engine. ``text`` is the content of a Dockerfile that is not in the directory."""
    from docker.utils.build import tar

    return tar(path, exclude=exclude, dockerfile=(dockerfile, text), gzip=False)


def _no_sdk(error: ImportError) -> EngineMissing:
    return EngineMissing(
        "the Docker SDK for Python is not installed",
        why=str(error),
        fix="pip install 'oatie-ops[docker]'; `oatie doctor --target docker` tells what else is missing",
    )


def _innermost(error: BaseException) -> str:
    """The SDK wraps a refused connection four times."""
    seen = {id(error)}
    while (inner := error.__cause__ or error.__context__) is not None and id(inner) not in seen:
        seen.add(id(inner))
        error = inner
    return str(error) or type(error).__name__
