"""HTTP over the owner's Unix socket: how the CLI speaks to a running supervisor.

Only `http.client` is used: importing httpx costs more than the whole of ``oatie status``.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode


class NotRunning(OatieError):
    """Nothing listens on the control socket."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(os.fspath(self._path))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            self.sock.close()
            raise NotRunning(
                "no supervisor is running for this project",
                why=f"nothing listens on {self._path}",
                fix="start it with `oatie start` or `oatie deploy`",
            ) from error


class ControlClient:
    """One call, one connection. Every wait has a deadline and says what it waited for."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path

    def call(self, method: str, path: str, body: Any = None, timeout_seconds: float = 10.0) -> dict[str, Any]:
        """The answer's JSON object. Raises `OatieError` as the supervisor reported it."""
        connection, response = self._send(method, path, body, timeout_seconds)
        try:
            payload = response.read()
        except OSError as error:
            raise self._lost(method, path, error) from error
        finally:
            connection.close()
        return _decoded(response.status, payload)

    def stream(
        self, method: str, path: str, body: Any = None, timeout_seconds: float = 60.0
    ) -> Iterator[dict[str, Any]]:
        """JSON lines as they come. ``timeout_seconds`` bounds the silence between two of them.

        Closing the iterator closes the connection, which the supervisor notices.
        """
        connection, response = self._send(method, path, body, timeout_seconds)
        try:
            if response.status >= 400:
                _decoded(response.status, response.read())
            while line := response.readline():
                yield json.loads(line)
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(method, path, error) from error
        finally:
            connection.close()

    def _send(
        self, method: str, path: str, body: Any, timeout_seconds: float
    ) -> tuple[_UnixConnection, http.client.HTTPResponse]:
        connection = _UnixConnection(self._path, timeout_seconds)
        payload = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if payload else {}
        try:
            connection.request(method, path, body=payload, headers=headers)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._lost(method, path, error) from error

    def _lost(self, method: str, path: str, error: Exception) -> OatieError:
        if isinstance(error, TimeoutError):
            why = f"{method} {path} was not answered in time"
        else:
            why = f"{method} {path}: {error or type(error).__name__}"
        return OatieError(
            "the supervisor did not answer",
            why=why,
            fix="see `oatie logs` and `oatie status`; `oatie start` takes over if it is gone",
        )


def _decoded(status: int, payload: bytes) -> dict[str, Any]:
    try:
        data = json.loads(payload or b"{}")
    except ValueError:
        data = {"what": payload[:200].decode(errors="replace")}
    if status < 400:
        return dict(data)
    raise error_from_dict(data.get("error", data))


def error_from_dict(data: dict[str, Any]) -> OatieError:
    """The inverse of `OatieError.as_dict`, for errors that crossed the socket."""
    error = OatieError(
        str(data.get("what") or data.get("title") or data.get("detail") or "the supervisor refused"),
        why=str(data.get("why", "")),
        fix=str(data.get("fix", "")),
        details=[str(line) for line in data.get("details", ())],
        data=data.get("data"),
        exit_code=ExitCode(data.get("exit_code", ExitCode.FAILED)),
    )
    return error
