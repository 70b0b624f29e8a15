"""The server's side of the exec subresource: a WebSocket whose messages begin with their channel's number.

After RFC 6455 and the protocol `v4.channel.k8s.io`. The command runs on this machine.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE = 0x82, 0x88


def talk(request: BaseHTTPRequestHandler, programs: Mapping[str, str]) -> None:
    query = parse_qs(urlsplit(request.path).query, keep_blank_values=True)
    accept = hashlib.sha1(f"{request.headers['Sec-WebSocket-Key']}{MAGIC}".encode()).digest()
    request.send_response(101, "Switching Protocols")
    request.send_header("Upgrade", "websocket")
    request.send_header("Connection", "Upgrade")
    request.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
    request.send_header("Sec-WebSocket-Protocol", request.headers["Sec-WebSocket-Protocol"])
    request.end_headers()
    out, err, status = run(query["command"], programs)
    # As a real server does: an empty message a channel first; long output in several messages.
    for channel, data in ((1, b""), (2, b""), *((1, part) for part in parts(out)), (2, err)):
        send(request, BINARY, bytes([channel]) + data)
    send(request, BINARY, b"\x03" + json.dumps(status).encode())
    send(request, CLOSE, (1000).to_bytes(2, "big"))


def run(argv: list[str], programs: Mapping[str, str]) -> tuple[bytes, bytes, dict[str, Any]]:
    if argv[0] not in programs:
        why = f'exec: "{argv[0]}": executable file not found in $PATH: unknown'
        failure = {"status": "Failure", "reason": "InternalError", "message": f"Internal error: {why}"}
        return b"", b"", failure
    done = subprocess.run(
        [programs[argv[0]], *argv[1:]], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    if done.returncode == 0:
        return done.stdout, done.stderr, {"metadata": {}, "status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(done.returncode)}]
    message = f"command terminated with non-zero exit code: exit status {done.returncode}"
    details = {"causes": causes}
    failure = {"status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": details}
    return done.stdout, done.stderr, failure


def parts(data: bytes, size_bytes: int = 1000) -> list[bytes]:
    return [data[start : start + size_bytes] for start in range(0, len(data), size_bytes)]


def send(request: BaseHTTPRequestHandler, kind: int, payload: bytes) -> None:
    length = len(payload)
    head = bytes([kind, length]) if length < 126 else bytes([kind, 126]) + length.to_bytes(2, "big")
    request.wfile.write(head + payload)
