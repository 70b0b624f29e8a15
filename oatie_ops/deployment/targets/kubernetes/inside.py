"""A command in a pod's container: the exec subresource of the API server, over a WebSocket.

The protocol is `v4.channel.k8s.io` (kubernetes.io/docs/reference/using-api, "connect" verbs): the first byte
of a message names its channel; the last message, on the error channel, is a Status with the exit code.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from oatie_ops.deployment.targets.inside import NoProgram, OutOfReach, Said, ran
from oatie_ops.deployment.targets.kubernetes.errors import Unreachable, missing_extra, refused
from oatie_ops.deployment.targets.kubernetes.paths import path

if TYPE_CHECKING:
    from oatie_ops.deployment.targets.kubernetes.client import Cluster

PROTOCOL = "v4.channel.k8s.io"
STDOUT, STDERR, ERROR = 1, 2, 3
SILENCE_SECONDS = 30.0
NOT_THERE = ("executable file not found", "no such file or directory")


def run_inside(cluster: Cluster, pod: str, container: str, argv: Sequence[str]) -> Said:
    """Raises `NoProgram`, `OutOfReach`, `Unreachable`, or `ClusterError` for what the API answers."""
    where = path(cluster.namespace, "Pod", pod, "exec")
    said: dict[int, bytes] = {STDOUT: b"", STDERR: b"", ERROR: b""}
    for channel, data in _messages(cluster, where, container, argv):
        if channel in said:
            said[channel] += data
    code = _exit_code(said[ERROR], argv)
    return ran(Said(code, *(said[each].decode(errors="replace") for each in (STDOUT, STDERR))), argv)


def _messages(cluster: Cluster, where: str, container: str, argv: Sequence[str]) -> list[tuple[int, bytes]]:
    try:
        import websocket
    except ImportError as error:
        raise missing_extra() from error
    query = [("container", container), ("stdout", "true"), ("stderr", "true")]
    query += [("command", word) for word in argv]
    found: list[tuple[int, bytes]] = []
    try:
        connection = websocket.create_connection(
            f"{cluster.url.replace('http', 'ws', 1)}{where}?{urlencode(query)}",
            timeout=SILENCE_SECONDS,
            subprotocols=[PROTOCOL],
            **_access(cluster),
        )
    except websocket.WebSocketBadStatusException as error:
        raise refused(error.status_code, error.resp_body or b"", "GET", where) from error
    except (OSError, websocket.WebSocketException) as error:
        raise Unreachable(f"the cluster at {cluster.url} cannot be reached", why=str(error)) from error
    try:
        while data := _frame(connection.recv()):
            found.append((data[0], data[1:]))
    except (websocket.WebSocketConnectionClosedException, ConnectionError):
        pass  # how such a connection ends; whether all was said, the error channel tells
    except (OSError, websocket.WebSocketException) as error:
        raise Unreachable("the pod did not answer in time", why=str(error)) from error
    finally:
        connection.close()
    return found


def _access(cluster: Cluster) -> dict[str, Any]:
    headers, tls, proxy = cluster.access()
    found: dict[str, Any] = {"header": headers}
    if tls:
        name = cluster.server_name
        found["sslopt"] = {"context": tls} | ({"server_hostname": name} if name else {})
    if proxy:
        at = urlsplit(proxy)
        found |= {"http_proxy_host": at.hostname, "http_proxy_port": at.port, "proxy_type": at.scheme}
    else:
        found["http_no_proxy"] = ["*"]  # not what the environment says, as for every other call
    return found


def _frame(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _exit_code(error: bytes, argv: Sequence[str]) -> int:
    """From the Status on the error channel."""
    try:
        status = json.loads(error)
    except ValueError as broken:
        raise OutOfReach("the connection to the pod ended early", why="it said no exit code") from broken
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or ()
    for cause in causes:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    why = str(status.get("message", ""))
    if any(words in why for words in NOT_THERE):
        raise NoProgram(f"there is no {argv[0]} in the container", why=why)
    raise OutOfReach(f"{argv[0]} could not be run in the pod", why=why)
