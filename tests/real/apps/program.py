"""A program that is not asked through ASGI or WSGI: the standard library's server on ``$PORT``, or on the
socket handed over as ``LISTEN_FDS``. Its knobs are in ``app.json`` beside it (see `DEFAULTS`)."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DEFAULTS: dict[str, Any] = {
    "version": "1",
    "boot_seconds": 0.0,
    "ready_status": 200,
    "elsewhere": False,  # listens on a port that the kernel picks instead of on $PORT
    "listens": True,  # False: runs, and opens no port
    "accepts": True,  # False: the port is open and nothing ever answers
    "exit_at_boot": None,
    "exit_after_seconds": None,
    "ignore_sigterm": False,
    "say_at_boot": "",
}
FIRST_LISTEN_FD = 3
HERE = Path(__file__).resolve().parent
KNOBS = DEFAULTS | (json.loads((HERE / "app.json").read_text()) if (HERE / "app.json").exists() else {})
VERSION = str(KNOBS["version"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 2  # an idle connection must not keep a stopping program alive

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        status = KNOBS["ready_status"] if path == "/ready" else 200
        if path == "/slow":
            time.sleep(float(query.partition("=")[2] or 5))
        body = f"release {VERSION}\n".encode()
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "https://example.invalid/ready")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Release", VERSION)
        self.send_header("X-Pid", str(os.getpid()))
        if "X-Load-Id" in self.headers:
            self.send_header("X-Load-Id", self.headers["X-Load-Id"])
        if self.server.closing:  # type: ignore[attr-defined]
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = False  # requests in flight finish before the program ends
    closing = False

    def server_bind(self) -> None:
        if (count := os.environ.get("LISTEN_FDS")) is None:
            super().server_bind()
            return
        if count != "1" or os.environ.get("LISTEN_PID") != str(os.getpid()):
            sys.exit(f"LISTEN_FDS={count} is for pid {os.environ.get('LISTEN_PID')}, I am {os.getpid()}")
        self.socket.close()
        self.socket = socket.socket(fileno=FIRST_LISTEN_FD)
        self.server_address = self.socket.getsockname()


def main() -> None:
    if KNOBS["say_at_boot"]:
        print(KNOBS["say_at_boot"], file=sys.stderr, flush=True)
    if KNOBS["exit_at_boot"] is not None:
        sys.exit(KNOBS["exit_at_boot"])
    if KNOBS["exit_after_seconds"] is not None:
        threading.Timer(KNOBS["exit_after_seconds"], os._exit, (3,)).start()
    time.sleep(KNOBS["boot_seconds"])
    if not KNOBS["listens"]:
        threading.Event().wait()
    port = 0 if KNOBS["elsewhere"] else int(os.environ.get("PORT", "0"))
    server = Server((os.environ.get("HOST", "127.0.0.1"), port), Handler)
    if not KNOBS["accepts"]:
        threading.Event().wait()

    def stop(_signum: int, _frame: Any) -> None:
        server.closing = True
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if KNOBS["ignore_sigterm"] else stop)
    server.serve_forever(poll_interval=0.05)
    server.server_close()


if __name__ == "__main__":
    main()
