"""Applications are found by reading, never by importing, best first and with evidence to look up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oatie_ops.config.candidates import Candidate
from oatie_ops.config.discover import discover

ASGI = "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"
WSGI = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
FACTORY = """\
from flask import Flask
def create_app(config=None):
    app = Flask(__name__)
    return app
"""
DJANGO_MANAGE = """#!/usr/bin/env python
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
"""

# name -> (files, run or command, kind, part of the evidence)
FOUND: dict[str, tuple[dict[str, str], object, str, str]] = {
    "FastAPI": (
        {"main.py": "from fastapi import FastAPI\n\napp = FastAPI(title='x')\n"},
        "main:app",
        "FastAPI",
        "main.py:3 app = FastAPI(title='x')",
    ),
    "another name": (
        {"service.py": "import fastapi as f\napi: f.FastAPI = f.FastAPI()\n"},
        "service:api",
        "FastAPI",
        "service.py:2",
    ),
    "Starlette": (
        {"app.py": "from starlette.applications import Starlette as S\napplication = S(routes=[])\n"},
        "app:application",
        "Starlette",
        "app.py:2",
    ),
    "Litestar": (
        {"app.py": "from litestar import Litestar\napp = Litestar([])\n"},
        "app:app",
        "Litestar",
        ":2",
    ),
    "Quart": ({"app.py": "import quart\napp = quart.Quart(__name__)\n"}, "app:app", "Quart", ":2"),
    "Flask": ({"app.py": "from flask import Flask\napp = Flask(__name__)\n"}, "app:app", "Flask", ":2"),
    "http.server": (
        {
            "server.py": "import os\nfrom http.server import HTTPServer, BaseHTTPRequestHandler as H\n"
            "if __name__ == '__main__':\n    HTTPServer(('', int(os.environ['PORT'])), H).serve_forever()\n",
            "requirements.txt": "requests\n",
        },
        ("python3", "server.py"),
        "Python",
        "server.py:4 HTTPServer(('', int(os.environ['PORT'])), H).serve_forever()",
    ),
    "http.server, port as an argument": (
        {
            "serve.py": "import sys, http.server as s\n"
            "s.HTTPServer(('', int(sys.argv[1])), s.H).serve_forever()\n"
        },
        ("sh", "-c", "exec python3 serve.py $PORT"),
        "Python",
        "serve.py:2",
    ),
    "aiohttp": (
        {"main.py": "from aiohttp import web\nweb.run_app(web.Application())\n"},
        ("python3", "main.py"),
        "Python",
        "main.py:2 web.run_app(web.Application())",
    ),
    "package": (
        {"shop/__init__.py": "", "shop/main.py": "from flask import Flask\napp = Flask('shop')\n"},
        "shop.main:app",
        "Flask",
        "shop/main.py:2",
    ),
    "package's own name": (
        {"shop/__init__.py": "from flask import Flask\napp = Flask('shop')\n"},
        "shop:app",
        "Flask",
        "shop/__init__.py:2",
    ),
    "src layout": (
        {
            "pyproject.toml": "[project]\nname = 'shop'\nversion = '1'\n",
            "src/shop/__init__.py": "",
            "src/shop/asgi.py": "import fastapi\napp = fastapi.FastAPI()\n",
        },
        "shop.asgi:app",
        "FastAPI",
        "src/shop/asgi.py:2",
    ),
    "factory": (
        {"app.py": FACTORY},
        "app:create_app",
        "Flask factory",
        "app.py:2",
    ),
    "factory that is called": (
        {"app.py": "from flask import Flask\ndef make():\n    return Flask('x')\n\nserver = make()\n"},
        "app:server",
        "Flask",
        "app.py:5",
    ),
    "factory of another module": (
        {"wsgi.py": "from shop import create_app\napplication = create_app()\n"},
        "wsgi:application",
        "application",
        "wsgi.py:2",
    ),
    "factory by its annotation": (
        {"app.py": "from fastapi import FastAPI\ndef build_app() -> FastAPI:\n    return _build()\n"},
        "app:build_app",
        "FastAPI factory",
        "app.py:2",
    ),
    "bare ASGI": (
        {"app.py": "async def app(scope, receive, send):\n    pass\n"},
        "app:app",
        "ASGI",
        "app.py:1 async def app",
    ),
    "ASGI class": (
        {"app.py": "class A:\n    async def __call__(self, scope, receive, send): ...\n\napp = A()\n"},
        "app:app",
        "ASGI",
        "app.py:4",
    ),
    "bare WSGI": (
        {"app.py": "def app(environ, start_response):\n    return []\n"},
        "app:app",
        "WSGI",
        "app.py:1",
    ),
    "behind a condition": (
        {"app.py": "import os\nfrom flask import Flask\nif os.environ.get('X'):\n    app = Flask('x')\n"},
        "app:app",
        "Flask",
        "app.py:4",
    ),
    "Django with ASGI": (
        {"manage.py": DJANGO_MANAGE, "shop/asgi.py": ASGI, "shop/wsgi.py": WSGI},
        "shop.asgi:application",
        "Django",
        "manage.py:3",
    ),
    "Django with WSGI alone": (
        {"manage.py": DJANGO_MANAGE, "shop/wsgi.py": WSGI},
        "shop.wsgi:application",
        "Django",
        "manage.py:3",
    ),
    "Django with settings for each environment": (
        {
            "manage.py": DJANGO_MANAGE.replace("shop.settings", "shop.settings.dev"),
            "shop/wsgi.py": "application = 1\n",
        },
        "shop.wsgi:application",
        "Django",
        "shop.settings.dev",
    ),
    "Procfile of a server": (
        {"Procfile": "worker: celery\nweb: uvicorn api.main:app --host 0.0.0.0 --port $PORT\n"},
        "api.main:app",
        "application",
        "Procfile:2 web: uvicorn",
    ),
    "Procfile of gunicorn": (
        {"Procfile": "web: gunicorn --workers 3 shop.wsgi --log-file -\n"},
        "shop.wsgi:application",
        "application",
        "Procfile:1",
    ),
    "Procfile of another program": (
        {"Procfile": "web: node server.js\n"},
        ("node", "server.js"),
        "command",
        "Procfile:1",
    ),
    "Procfile with a variable": (
        {"Procfile": "web: ./srv -p $PORT\n"},
        ("sh", "-c", "exec ./srv -p $PORT"),
        "command",
        "Procfile:1",
    ),
    "Procfile with two commands": (
        {"Procfile": "web: ./migrate && ./srv\n"},
        ("sh", "-c", "./migrate && ./srv"),
        "command",
        "Procfile:1",
    ),
    "Procfile of Django's development server": (
        {"Procfile": "web: python manage.py runserver\n", "manage.py": DJANGO_MANAGE, "shop/asgi.py": ASGI},
        "shop.asgi:application",
        "Django",
        "manage.py:3",
    ),
    "FastAPI's own table": (
        {"pyproject.toml": '[tool.fastapi]\nentrypoint = "shop.api:app"\n'},
        "shop.api:app",
        "FastAPI",
        "pyproject.toml:2",
    ),
    "Node": (
        {"package.json": json.dumps({"scripts": {"start": "node ./server.js"}}, indent=1)},
        ("node", "./server.js"),
        "Node",
        "package.json:3",
    ),
    "Node with a tool": (
        {"package.json": '{"scripts": {"start": "next start"}}'},
        ("npm", "start"),
        "Node",
        "package.json:1",
    ),
    "Node without a script": (
        {"package.json": '{"main": "index.js"}', "index.js": ""},
        ("node", "index.js"),
        "Node",
        "index.js",
    ),
    "Node alone": (
        {"server.js": "const http = require('http');\nhttp.createServer((q, s) => s.end()).listen(1);\n"},
        ("node", "server.js"),
        "Node",
        "server.js:2",
    ),
    "Go": ({"go.mod": "module x\n", "main.go": "// c\npackage main\n"}, ("./bin/app",), "Go", "main.go:2"),
    "Go in cmd": (
        {"go.mod": "module x\n", "cmd/api/main.go": "package main\n"},
        ("./bin/app",),
        "Go",
        "cmd/api/main.go:1",
    ),
}


def make(root: Path, files: dict[str, str]) -> list[Candidate]:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return discover(root)


@pytest.mark.parametrize("name", FOUND)
def test_it_is_found_with_evidence(name: str, tmp_path: Path) -> None:
    files, what, kind, evidence = FOUND[name]
    best = make(tmp_path, files)[0]
    assert (best.run or best.command, best.kind) == (what, kind)
    assert evidence in best.evidence
    assert (best.run is None) != (best.command is None)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"main.py": "print('hi')\n"},
        {"main.py": "from queues import worker\nworker.serve_forever()\n"},
        {"main.py": "from http.server import HTTPServer\n"},
        {"main.py": "from http.server import HTTPServer\nHTTPServer(.serve_forever()\n"},
        {"main.py": "from fastapi import FastAPI\ndef helper(x): return FastAPI()\n"},
        {"main.py": "if __name__ == '__main__':\n    from flask import Flask\n    app = Flask('x')\n"},
        {"main.py": "from flask import Flask\n_private = Flask('x')\n"},
        {"main.py": "from flask import Flask\nsyntax error\n"},
        {"main.py": "class Flask: ...\napp = Flask('x')\n"},
        {"tests/app.py": "from flask import Flask\napp = Flask('x')\n"},
        {"test_app.py": "from flask import Flask\napp = Flask('x')\n"},
        {"venv/lib/app.py": "from flask import Flask\napp = Flask('x')\n"},
        {".hidden/app.py": "from flask import Flask\napp = Flask('x')\n"},
        {"not-a-package/app.py": "from flask import Flask\napp = Flask('x')\n"},
        {"env39/pyvenv.cfg": "", "env39/app.py": "from flask import Flask\napp = Flask('x')\n"},
        {"Procfile": "worker: celery\n"},
        {"package.json": "{"},
        {"package.json": "[]"},
        {"package.json": '{"scripts": {"start": 5}}'},
        {"pyproject.toml": "= broken"},
        {"go.mod": "module x\n", "main.go": "package library\n"},
    ],
    ids=lambda files: " ".join(files) or "nothing",
)
def test_nothing_is_invented(files: dict[str, str], tmp_path: Path) -> None:
    assert make(tmp_path, files) == []


def test_nothing_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    make(tmp_path, {"main.py": f"open({str(mark)!r}, 'w')\nfrom flask import Flask\napp = Flask('x')\n"})
    assert not mark.exists()


def test_the_more_usual_place_comes_first(tmp_path: Path) -> None:
    flask = "from flask import Flask\n{} = Flask('x')\n"
    files = {"main.py": flask.format("app"), "tool.py": flask.format("admin"), "a/b/c.py": flask.format("x")}
    assert [c.run for c in make(tmp_path, files)] == ["main:app", "tool:admin", "a.b.c:x"]


def test_an_application_goes_before_its_factory_and_before_the_front_end_beside_it(tmp_path: Path) -> None:
    files = {
        "package.json": '{"scripts": {"start": "vite"}}',
        "main.py": FACTORY + "app = create_app()\n",
    }
    assert [c.run or c.command for c in make(tmp_path, files)] == [
        "main:app",
        "main:create_app",
        ("npm", "start"),
    ]


def test_two_hints_at_one_application_are_one_candidate(tmp_path: Path) -> None:
    files = {
        "Procfile": "web: uvicorn main:app\n",
        "main.py": "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/healthz')\ndef h(): ...\n",
    }
    [only] = make(tmp_path, files)
    assert (only.run, only.kind, only.ready) == ("main:app", "FastAPI", "/healthz")


def test_what_a_release_needs_is_found_with_it(tmp_path: Path) -> None:
    flask = {"app.py": "from flask import Flask\napp = Flask('x')\n", "requirements.txt": "flask\n"}
    assert make(tmp_path / "py", flask)[0].build == ("pip install -r requirements.txt",)
    node = {"package.json": '{"scripts": {"start": "node x"}}', "package-lock.json": "{}"}
    assert make(tmp_path / "js", node)[0].build == ("npm ci",)
    go = {"go.mod": "module x\n", "cmd/api/main.go": "package main\n"}
    plain = {"s.py": "from aiohttp.web import run_app\nrun_app(1)\n", "requirements.txt": "aiohttp\n"}
    assert make(tmp_path / "plain", plain)[0].build == ("pip install -r requirements.txt",)
    assert make(tmp_path / "go", go)[0].build == ("go build -o bin/app ./cmd/api",)


def test_the_name_is_that_of_the_directory(tmp_path: Path) -> None:
    root = tmp_path / "My Shop_2"
    [found] = make(root, {"app.py": "from flask import Flask\napp = Flask('x')\n"})
    assert found.name == "my-shop-2"


@pytest.mark.parametrize(
    "content", [b"\x00flask Flask", b"\xff\xfe Flask = ", b"x" * 500_000, b"(" * 5000 + b"Flask"]
)
def test_files_that_are_no_python_are_passed_over(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "junk.py").write_bytes(content)
    assert discover(tmp_path) == []


def test_a_directory_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")
    (tmp_path / "package").symlink_to(tmp_path)
    assert discover(tmp_path) == []
