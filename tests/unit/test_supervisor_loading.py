"""An import string becomes an ASGI application, whatever it is written for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.settings import AppSettings
from oatie_ops.supervisor.loading import LoadError, load_application

SOURCE = """
async def asgi3(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"asgi3"})

class Asgi3Class:
    async def __call__(self, scope, receive, send):
        await asgi3(scope, receive, send)

asgi3_object = Asgi3Class()

def asgi2(scope):
    async def instance(receive, send):
        await asgi3(scope, receive, send)
    return instance

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"wsgi"]

def create_app():
    return asgi3

def create_wsgi(config=None):
    return wsgi

class Space:
    app = asgi3_object
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "loadable.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "loadable"
    sys.modules.pop("loadable", None)


def answer(application: Any) -> bytes:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    asyncio.run(application(scope, receive, send))
    return b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ("asgi3", b"asgi3"),
        ("asgi3_object", b"asgi3"),
        ("asgi2", b"asgi3"),
        ("wsgi", b"wsgi"),
        ("create_app", b"asgi3"),
        ("create_wsgi", b"wsgi"),
        ("Space.app", b"asgi3"),
    ],
)
def test_every_calling_convention_is_recognised(module: str, attribute: str, said: bytes) -> None:
    assert answer(load_application(AppSettings(run=f"{module}:{attribute}"))) == said


def test_without_an_attribute_the_usual_names_are_tried(module: str) -> None:
    assert answer(load_application(AppSettings(run=module))) == b"asgi3"


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("loadable:nope", "no attribute 'nope'"),
        ("not_there:app", "no module 'not_there'"),
        (
            "loadable:__name__",
            "loadable:__name__ is no application: an object of type 'str' cannot be called",
        ),
        ("loadable:__doc__", "None cannot be called"),
    ],
)
def test_a_wrong_import_string_is_told_from_an_error_inside(module: str, run: str, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        load_application(AppSettings(run=run))


def test_a_module_that_the_application_misses_is_the_applications_error(module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        load_application(AppSettings(run="broken:app"))


def test_a_loop_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    monkeypatch.setattr("oatie_ops.supervisor.loading.find_spec", lambda _name: None)
    with pytest.raises(LoadError, match=r"oatie-ops\[fast\]"):
        load_application(AppSettings(name="a", run="json:loads", loop="uvloop"))
