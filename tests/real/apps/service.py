"""A bare ASGI application whose version and faults come from ``app.json`` beside it (see `DEFAULTS`).

Every answer carries ``X-Release`` (the version), ``X-Pid`` and the caller's ``X-Load-Id``. Paths: ``/``,
``/ready``, ``/work?ms=``, ``/slow?seconds=``, ``/stream?seconds=``, ``/block``, ``/grow?mb=``, ``/exit``,
``/fail``, ``/upload``, ``/say?bytes=``, ``/env?name=``, ``/orphan``, ``/leak?leave=``; anything else is 404.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

DEFAULTS: dict[str, Any] = {
    "version": "1",
    "import_seconds": 0.0,
    "import_error": "",  # the name of a module that does not exist
    "exit_at_import": None,  # an exit code
    "startup_error": "",
    "startup_seconds": 0.0,
    "ready_status": 200,
    "ready_after_seconds": 0.0,
    "ready_hangs": False,
    "ready_file": "",  # ready only while this file exists
    "exit_after_ready_seconds": None,  # crashes that long after the first good answer to /ready
    "exit_after_requests": None,  # crashes while it answers this request to a user
    "exit_code": 3,
    "fail_every": 0,  # each n-th user request answers 500
    "slow_down_ms": 0,
    "ignore_sigterm": False,
    "grandchild": "",  # "program" or "fork": a child of its own that runs on
    "startup_needs_file": "",  # the dependency whose absence fails the startup
    "say_at_boot": "",  # a line on stderr
}
HERE = Path(__file__).resolve().parent
KNOBS = DEFAULTS | (json.loads((HERE / "app.json").read_text()) if (HERE / "app.json").exists() else {})
VERSION = str(KNOBS["version"])
WEIGHT: list[bytes] = []
LEAKED: list[int] = []

if KNOBS["say_at_boot"]:
    print(KNOBS["say_at_boot"], file=sys.stderr, flush=True)
if KNOBS["import_seconds"]:
    time.sleep(KNOBS["import_seconds"])
if KNOBS["import_error"]:
    __import__(KNOBS["import_error"])
if KNOBS["exit_at_import"] is not None:
    sys.stderr.flush()
    os._exit(KNOBS["exit_at_import"])


class State:
    ready_since: float | None = None
    started_at = time.monotonic()
    user_requests = 0


async def _startup() -> None:
    await asyncio.sleep(KNOBS["startup_seconds"])
    if KNOBS["startup_error"]:
        raise RuntimeError(KNOBS["startup_error"])
    if KNOBS["ignore_sigterm"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if KNOBS["startup_needs_file"] and not Path(KNOBS["startup_needs_file"]).exists():
        raise RuntimeError(f"the dependency {KNOBS['startup_needs_file']} is away")
    if KNOBS["grandchild"] == "program":
        subprocess.Popen(["sleep", "600"])
    elif KNOBS["grandchild"] == "fork" and os.fork() == 0:
        # As multiprocessing does it: the child has every descriptor of its parent, the sockets too.
        time.sleep(600)
        os._exit(0)


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await _startup()
            except RuntimeError as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                raise
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return


class Exchange:
    """The request being answered, and one way to answer it."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.receive, self.send = receive, send
        self.query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
        self.load_id = next((value for name, value in scope["headers"] if name == b"x-load-id"), None)

    def number(self, name: str, default: float) -> float:
        return float(self.query.get(name, default))

    async def begin(self, status: int, *extra: tuple[bytes, bytes]) -> None:
        headers = [(b"content-type", b"text/plain"), (b"x-release", VERSION.encode())]
        headers.append((b"x-pid", str(os.getpid()).encode()))
        if self.load_id is not None:
            headers.append((b"x-load-id", self.load_id))
        await self.send({"type": "http.response.start", "status": status, "headers": [*headers, *extra]})

    async def body_size(self) -> int:
        size = 0
        while True:
            message = await self.receive()
            size += len(message.get("body", b""))
            if not message.get("more_body"):
                return size

    async def answer(self, status: int, body: bytes, *extra: tuple[bytes, bytes]) -> None:
        await self.begin(status, (b"content-length", str(len(body)).encode()), *extra)
        await self.send({"type": "http.response.body", "body": body})


async def _ready(exchange: Exchange) -> None:
    if KNOBS["ready_hangs"]:
        await asyncio.sleep(3600)
    status = KNOBS["ready_status"]
    if time.monotonic() - State.started_at < KNOBS["ready_after_seconds"]:
        status = 503
    if KNOBS["ready_file"] and not Path(KNOBS["ready_file"]).exists():
        status = 503
    extra = [(b"location", b"https://example.invalid/ready")] if 300 <= status < 400 else []
    if status == 200 and State.ready_since is None:
        State.ready_since = time.monotonic()
        if KNOBS["exit_after_ready_seconds"] is not None:
            asyncio.get_running_loop().call_later(KNOBS["exit_after_ready_seconds"], _crash)
    await exchange.answer(status, b"ready\n" if status == 200 else b"not ready\n", *extra)


def _crash() -> None:
    print(f"release {VERSION} crashes now", file=sys.stderr, flush=True)
    os._exit(KNOBS["exit_code"])


async def _stream(exchange: Exchange) -> None:
    await exchange.begin(200)
    ends_at = time.monotonic() + exchange.number("seconds", 2)
    while time.monotonic() < ends_at:
        await exchange.send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
        await asyncio.sleep(0.1)
    await exchange.send({"type": "http.response.body", "body": b"end\n"})


async def _user(path: str, exchange: Exchange) -> None:
    State.user_requests += 1
    if KNOBS["exit_after_requests"] is not None and State.user_requests >= KNOBS["exit_after_requests"]:
        _crash()
    if KNOBS["slow_down_ms"]:
        await asyncio.sleep(KNOBS["slow_down_ms"] / 1000)
    if path == "/fail" or (KNOBS["fail_every"] and State.user_requests % KNOBS["fail_every"] == 0):
        await exchange.answer(500, b"failed as asked\n")
        return
    if path == "/work":
        await asyncio.sleep(exchange.number("ms", 10) / 1000)
    elif path == "/slow":
        await asyncio.sleep(exchange.number("seconds", 5))
    elif path == "/say":
        print("y" * int(exchange.number("bytes", 80)), file=sys.stderr, flush=True)
    elif path == "/upload":
        await exchange.answer(200, b"%d\n" % await exchange.body_size())
        return
    elif path == "/env":
        await exchange.answer(200, os.environ.get(exchange.query["name"], "").encode())
        return
    elif path == "/orphan":
        # Ends a moment later, when its parent is gone already.
        subprocess.run(["sh", "-c", "sleep 0.2 & exit 0"], check=True, close_fds=True)
    elif path == "/grow":
        WEIGHT.append(b"x" * int(exchange.number("mb", 10) * 1024 * 1024))
    elif path == "/leak":
        try:
            while True:
                LEAKED.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            for descriptor in LEAKED[len(LEAKED) - int(exchange.number("leave", 0)) :]:
                os.close(descriptor)
    elif path != "/":
        await exchange.answer(404, b"no such path\n")
        return
    await exchange.answer(200, f"release {VERSION}\n".encode())


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    if scope["type"] == "websocket":
        await _websocket(receive, send)
        return
    exchange, path = Exchange(scope, receive, send), scope["path"]
    if path == "/ready":
        await _ready(exchange)
    elif path == "/stream":
        await _stream(exchange)
    elif path == "/block":
        # The event loop itself: nothing else in this worker runs meanwhile.
        time.sleep(exchange.number("seconds", 3600))
        await _user("/", exchange)
    elif path == "/exit":
        _crash()
    else:
        await _user(path, exchange)


async def _websocket(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept", "headers": [(b"x-release", VERSION.encode())]})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": f"{VERSION} {message.get('text')}"})


def create_app() -> Any:
    """A factory: the same application."""
    return app
