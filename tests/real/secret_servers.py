"""Servers of clouds on loopback, as real as they can be without the clouds; started by the tests.

AWS: moto's server for the API, and endpoints that hand out credentials (container and instance metadata).
Google: the service over gRPC and TLS, and the metadata service for tokens. Azure: a vault over HTTPS that
challenges, and a managed identity endpoint.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from oatie_ops.secrets.resolve import Resolver

Answer = tuple[int, dict[str, str], bytes]

# A machine that does ten other things takes its time; an SDK left to itself would wait for a minute.
DEADLINE_HELD_SECONDS = 45.0


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpServer:
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)  # set at the end, for those who hang


def warmed(found: Resolver, name: str, seconds: float) -> Resolver:
    """Its client is made and its credentials are there: from now on a look-up has only that long."""
    found.get(name)
    found._deadline_seconds = seconds
    return found


def as_json(document: Any, status: int = 200, **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"Content-Type": "application/json", **names}, json.dumps(document).encode()


@contextmanager
def http_server(
    answer: Callable[[Request], Answer | None], ssl_context: Any = None, host: str = "127.0.0.1"
) -> Iterator[HttpServer]:
    """``answer`` None: the server never answers that request."""
    server = HttpServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            request = Request(self.command, parts.path, query, headers, body)
            server.requests.append(request)
            reply = answer(request)
            if reply is None:
                server.stop.wait(120)
                self.close_connection = True
                return
            status, extra, content = reply
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that gave up is part of these tests."""

    http = Quiet(("127.0.0.1", 0), Handler)
    if ssl_context is not None:
        http.socket = ssl_context.wrap_socket(http.socket, server_side=True)
    server.url = f"{'https' if ssl_context else 'http'}://{host}:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        http.shutdown()
        thread.join()
        http.server_close()
