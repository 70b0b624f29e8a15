"""An application that does with its secrets all that it should not: prints, logs, raises and answers them.

They are the variables ``CANARY_…`` of its environment, or the object behind ``OATIE_SECRETS_FD`` or
``OATIE_SECRETS_FILE``. What goes wrong is chosen by ``mode`` in ``app.json``: import, startup, ready,
redirect, exit, build, release; nothing without it. Run as a program it is a build or release command, or,
with ``serve``, a server on ``PORT``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
MODE = json.loads((HERE / "app.json").read_text()).get("mode", "") if (HERE / "app.json").exists() else ""


def received() -> dict[str, str]:
    found = {name: value for name, value in os.environ.items() if name.startswith("CANARY_")}
    if number := os.environ.get("OATIE_SECRETS_FD"):
        with os.fdopen(int(number)) as file:
            found |= json.load(file)
    if file_name := os.environ.get("OATIE_SECRETS_FILE"):
        found |= json.loads(Path(file_name).read_text())
    return {name: value for name, value in found.items() if name.startswith("CANARY_")}


SECRETS = received()


def shout() -> None:
    for name, text in SECRETS.items():
        raw = text.encode()
        print(name, text, repr(text), repr(raw), [text], {"k": text})
        print(json.dumps({"v": text}), json.dumps(json.dumps(text)), json.dumps(text, ensure_ascii=False))
        print(quote(text), quote(text, safe=""), raw.hex())
        print(
            base64.b64encode(raw).decode(),
            base64.b64encode(b"u:" + raw),
            base64.urlsafe_b64encode(b"x" + raw),
        )
        for line in text.splitlines():
            print("line:", line, file=sys.stderr)
        for character in text:  # one write each
            sys.stderr.write(character)
            sys.stderr.flush()
        sys.stderr.write("\n")
        logging.getLogger("careless").warning("connecting with %s", text)
    print("x" * 20_000, *SECRETS.values())
    sys.stdout.write("no line end: " + " ".join(SECRETS.values()))
    sys.stdout.flush()


def complain(what: str) -> str:
    return f"{what} with {' '.join(SECRETS.values())} and {json.dumps(SECRETS)}"


shout()
if MODE == "import":
    raise RuntimeError(complain("cannot be imported"))
if MODE == "exit":
    print(complain("gives up"), file=sys.stderr, flush=True)
    os._exit(3)


def digests() -> bytes:
    return json.dumps({n: hashlib.sha256(text.encode()).hexdigest() for n, text in SECRETS.items()}).encode()


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        if MODE == "startup":
            await send({"type": "lifespan.startup.failed", "message": complain("cannot start")})
            raise RuntimeError(complain("cannot start"))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    status, headers, body = 200, [], b"ok"
    path = scope["path"]
    if path == "/ready" and MODE == "ready":
        status, body = 503, complain("not ready").encode()
    elif path == "/ready" and MODE == "redirect":
        status, headers = 302, [(b"location", f"/login?{quote(SECRETS['CANARY_TOKEN'])}".encode())]
    elif path == "/boom":
        raise RuntimeError(complain("fails"))
    elif path == "/say":
        shout()
    elif path == "/digests":
        body = digests()
    elif path not in {"/", "/ready"}:
        status, body = 404, complain(f"there is no {path}").encode()
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = digests()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    if MODE in sys.argv:
        raise SystemExit(complain(f"{MODE} failed"))
    if "serve" in sys.argv:
        HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
    (HERE / f"{sys.argv[1]}.digests").write_bytes(digests())
    (HERE / f"{sys.argv[1]}.file").write_text(os.environ.get("OATIE_SECRETS_FILE", ""))
