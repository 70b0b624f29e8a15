"""Caddy's admin API, over TCP or a Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any

from oatie_ops.errors import OatieError

TIMEOUT_SECONDS = 20.0
LOOKS = 5
AGAIN_SECONDS = 0.1


class CaddyFailed(OatieError):
    """Caddy refused a change of its configuration, or did not answer in time."""


class CaddyUnclear(CaddyFailed):
    """The connection broke off: Caddy exchanges its admin endpoint with every change of the configuration."""


class CaddyAway(OatieError):
    """No Caddy answers on its admin address."""


class Admin:
    """``address`` is ``host:port``, or ``unix//path`` as Caddy itself writes it."""

    def __init__(self, address: str) -> None:
        self.address = address

    def config(self) -> tuple[dict[str, Any] | None, str]:
        """All of the configuration, None where there is none yet, and its version for `change`."""
        answer, etag = self._call("GET", "/config/")
        return answer, etag

    def change(self, method: str, path: str, body: Any = None, etag: str = "") -> None:
        """``path`` is below ``/config/``. With `etag`, only where nobody has changed it meanwhile."""
        self._call(method, f"/config/{path}", body, {"If-Match": etag} if etag else {})

    def metrics(self) -> str:
        return self._raw("GET", "/metrics")[0].decode(errors="replace")

    def answers(self) -> bool:
        try:
            self._call("GET", "/config/")
        except (CaddyAway, CaddyUnclear):
            return False
        return True

    def stop(self) -> None:
        self._call("POST", "/stop")

    def _call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[Any, str]:
        for left in range(LOOKS, 0, -1):
            try:
                text, etag = self._raw(method, path, body, headers)
                break
            except CaddyUnclear:
                if method != "GET" or left == 1:
                    raise
                time.sleep(AGAIN_SECONDS)
        try:
            return (json.loads(text) if text.strip() else None), etag
        except ValueError as error:
            raise CaddyFailed(
                f"what answers on {self.address} is not Caddy",
                why=f"{method} {path} gave no JSON",
                fix="set [proxy] admin to the address of Caddy's admin API",
            ) from error

    def _raw(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[bytes, str]:
        connection = self._connection()
        content = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", "Connection": "close", **(headers or {})}
        try:
            connection.request(method, path, content, sent)
            answer = connection.getresponse()
            text, status, etag = answer.read(), answer.status, answer.getheader("Etag", "")
        except (ConnectionRefusedError, FileNotFoundError, socket.gaierror) as error:
            raise CaddyAway(
                f"no Caddy answers on {self.address}",
                why=str(error),
                fix="start it (`systemctl start caddy-api`), or set [proxy] admin to its address",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise CaddyUnclear(
                f"Caddy did not answer {method} {path}",
                why=str(error) or type(error).__name__,
                fix="look at Caddy's own log",
            ) from error
        finally:
            connection.close()
        if status >= 400:
            raise CaddyFailed(
                "Caddy refused a change of its configuration",
                why=_reason(text) or f"status {status}",
                fix="look at Caddy's own log; nothing of its configuration was changed",
                data={"status": status},
            )
        return text, etag

    def _connection(self) -> http.client.HTTPConnection:
        if self.address.startswith("unix/"):
            return _UnixConnection(self.address.removeprefix("unix/"))
        host, _, port = self.address.rpartition(":")
        return http.client.HTTPConnection(host.strip("[]") or "localhost", int(port), timeout=TIMEOUT_SECONDS)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(self._path)


def _reason(text: bytes) -> str:
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace").strip()[:300]
