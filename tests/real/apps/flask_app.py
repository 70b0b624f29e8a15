"""A Flask (WSGI) application; ``VERSION`` beside it is its version."""

from __future__ import annotations

import os
import time
from pathlib import Path

from flask import Flask, Response, request

VERSION = (Path(__file__).resolve().parent / "VERSION").read_text().strip()
app = Flask(__name__)


@app.after_request
def _mark(response: Response) -> Response:
    response.headers["X-Release"] = VERSION
    response.headers["X-Pid"] = str(os.getpid())
    if "X-Load-Id" in request.headers:
        response.headers["X-Load-Id"] = request.headers["X-Load-Id"]
    return response


@app.get("/")
def index() -> str:
    return f"release {VERSION}\n"


@app.get("/ready")
def ready() -> str:
    return "ready\n"


@app.get("/work")
def work() -> str:
    time.sleep(float(request.args.get("ms", 10)) / 1000)
    return f"release {VERSION}\n"


@app.get("/slow")
def slow() -> str:
    time.sleep(float(request.args.get("seconds", 5)))
    return f"release {VERSION}\n"


@app.post("/echo")
def echo() -> bytes:
    return request.get_data()


def create_app() -> Flask:
    """A factory: the same application."""
    return app
