"""A look at this host's Docker Engine over its socket, without the SDK: is it there, and may we ask it?"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass

SOCKET = "/var/run/docker.sock"
TIMEOUT_SECONDS = 2.0
MAX_ANSWER_BYTES = 4 << 20


@dataclass(frozen=True)
class Engine:
    """``version`` is empty where none answered; ``denied`` where this user may not ask."""

    said: str
    version: str = ""
    is_manager: bool = False
    denied: bool = False


def ask(environ: Mapping[str, str]) -> Engine:
    """GET /info of the Engine API. Waits two seconds at the most."""
    host = environ.get("DOCKER_HOST", "")
    if host and not host.startswith("unix://"):
        return Engine(f"DOCKER_HOST={host.partition('@')[2] or host} is not asked here")
    path = host.removeprefix("unix://") or SOCKET
    try:
        return judge(_get(path, "/info"), path)
    except PermissionError:
        return Engine(f"{path}: permission denied", denied=True)
    except TimeoutError:
        return Engine(f"{path} does not answer")
    except OSError as error:
        return Engine(f"{path}: {error.strerror or error}")
    except ValueError:
        return Engine(f"what listens on {path} is no Docker Engine")


def judge(answer: bytes, path: str) -> Engine:
    """From the whole HTTP answer. Raises `ValueError`."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise ValueError("no 200")
    info = json.loads(body)
    version = str(info["ServerVersion"])
    manager = bool((info.get("Swarm") or {}).get("ControlAvailable"))
    return Engine(f"{version} on {path}", version, manager)


def _get(path: str, target: str) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        connection.connect(path)
        # HTTP/1.0: the answer is not chunked and ends with the connection.
        connection.sendall(f"GET {target} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        parts, size = [], 0
        while (part := connection.recv(65536)) and size < MAX_ANSWER_BYTES:
            parts.append(part)
            size += len(part)
        return b"".join(parts)
