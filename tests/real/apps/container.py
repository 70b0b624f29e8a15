"""A service in one file of the standard library, for containers; `app.json` beside it says how it behaves."""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

KNOBS = {"version": "1", "startup_seconds": 0.0, "exit_code": None, "status": 200, "ready_status": 200}
file = Path(__file__).with_name("app.json")
KNOBS |= json.loads(file.read_text()) if file.exists() else {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        ready = self.path == "/ready"
        self.answer(KNOBS["ready_status"] if ready else KNOBS["status"])

    def answer(self, status: int) -> None:
        names = ("OATIE_RELEASE", "API_TOKEN", "API_TOKEN_FILE", "PORT")
        body = json.dumps({"version": KNOBS["version"], **{n: os.environ.get(n) for n in names}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Release", os.environ.get("OATIE_RELEASE", ""))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


print(f"version {KNOBS['version']} starts", flush=True)
time.sleep(KNOBS["startup_seconds"])
if KNOBS["exit_code"] is not None:
    print("this version cannot run", file=sys.stderr, flush=True)
    sys.exit(KNOBS["exit_code"])
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
Server(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
