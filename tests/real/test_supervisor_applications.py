"""Every kind of application that the README names, deployed by the real program, asked by a real client."""

from __future__ import annotations

import socket
import zipfile
from base64 import b64encode
from pathlib import Path

import pytest

from tests.real.harness import Project, ProjectMaker
from tests.real.waiting import need_program, wait_for

KINDS = {
    "ASGI": ("service.py", {"run": "service:app"}),
    "ASGI factory": ("service.py", {"run": "service:create_app", "factory": True}),
    "Flask": ("flask_app.py", {"run": "flask_app:app"}),
    "Flask factory": ("flask_app.py", {"run": "flask_app:create_app"}),
    "Django": ("django_app.py", {"run": "django_app:application"}),
    "Python program": ("program.py", {"run": None, "command": ["python3", "program.py"], "workers": 1}),
    "program with LISTEN_FDS": (
        "program.py",
        {"run": None, "command": ["python3", "program.py"], "socket": "activation"},
    ),
    "node": ("program.js", {"run": None, "command": ["node", "program.js"], "ready": "/", "workers": 1}),
}


# The default run has one with an event loop and one without; programs of other languages it meets elsewhere.
USUAL_KINDS = ("ASGI", "Flask")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in USUAL_KINDS else pytest.mark.slow) for kind in KINDS]
)
def test_it_is_deployed_changed_deployed_again_rolled_back_and_stopped(
    make_project: ProjectMaker, kind: str
) -> None:
    source, app = KINDS[kind]
    if kind == "node":
        need_program("node")
    project = make_project(source)
    project.configure(app=app)
    project.deployed("1")
    assert project.serving() == "1"
    project.deployed("2")
    assert project.serving() == "2"
    project.oatie("rollback", "--yes").expect(0)
    assert project.serving() == "1"
    assert project.status()["state"] == "running"
    counted = {worker["requests"] is not None for worker in project.workers()}
    assert counted == {bool(app["run"])}  # nobody counts what a program answers
    project.oatie("stop").expect(0)
    project.assert_gone()


@pytest.mark.slow
def test_a_build_gets_a_venv_of_its_own_and_is_reused(make_project: ProjectMaker) -> None:
    """Nothing is fetched: the package that the release needs is a wheel in the checkout."""
    project = make_project()
    _make_wheel(project.root / "wheels")
    (project.root / "requirements.txt").write_text("local-answer==1\n")
    install = "pip install --no-index --find-links wheels -r requirements.txt"
    project.configure(deploy={"build": [install]})
    service = project.root / "service.py"
    service.write_text("import local_answer\nassert local_answer.ANSWER == 42\n" + _without_future(service))
    assert "reused" not in (project.deployed("1").step("build", "done") or {})["message"]
    first = list(project.state.builds.iterdir())
    assert "reused" in (project.deployed("2").step("build", "done") or {})["message"]
    assert list(project.state.builds.iterdir()) == first
    assert project.serving() == "2"


def _make_wheel(directory: Path) -> None:
    directory.mkdir()
    info = "local_answer-1.dist-info"
    files = {
        "local_answer/__init__.py": "ANSWER = 42\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: local-answer\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(directory / "local_answer-1-py3-none-any.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)


def _without_future(source: Path) -> str:
    return source.read_text().replace("from __future__ import annotations\n", "")


def test_a_release_keeps_running_its_own_code_when_the_checkout_changes(project: Project) -> None:
    project.deployed("1")
    (project.root / "service.py").write_text("broken = \n")
    project.oatie("reload").expect(0)
    assert project.serving() == "1"


@pytest.mark.slow
def test_data_named_as_shared_is_one_for_all_releases(project: Project) -> None:
    uploads = project.root / "uploads"
    uploads.mkdir()
    project.configure(deploy={"shared": ["uploads"]})
    first, second = (project.deployed(version).result["release"] for version in ("1", "2"))
    (uploads / "new.txt").write_text("from the checkout")
    for number in (first, second):
        assert (project.state.releases / str(number) / "app" / "uploads" / "new.txt").exists()


@pytest.mark.slow
def test_old_releases_are_pruned_but_never_the_good_one_before(project: Project) -> None:
    project.configure(deploy={"keep": 2, "bake": "0s"})
    numbers = [project.deployed(str(version)).result["release"] for version in range(1, 5)]
    left = {entry.name for entry in project.state.releases.iterdir()}
    assert left == set(numbers[-2:])
    project.configure(app={"ready_timeout": "1s"})
    for _ in range(3):
        project.version("bad", ready_status=503)
        project.deploy().expect(7)
    project.oatie("rollback", "--yes").expect(0)
    assert project.serving() == "3"


@pytest.mark.slow
def test_a_websocket_lives_through_its_worker_and_ends_with_the_drain(project: Project) -> None:
    """The open one is answered until the drain's deadline; new ones meet the new release."""
    project.configure(app={"drain": "2s"})
    project.deployed("1")
    old = _websocket(project)
    assert _echo(old, "one") == "1 one"
    project.deployed("2")
    new = _websocket(project)
    assert _echo(new, "two") == "2 two"
    old.settimeout(30)
    wait_for(lambda: _ended(old), "the old websocket to be closed")
    old.close()
    new.close()


def _websocket(project: Project) -> socket.socket:
    """An open connection (RFC 6455) without a library that would reconnect."""
    sock = socket.create_connection(("127.0.0.1", project.port), timeout=60)
    key = b64encode(b"0123456789abcdef").decode()
    sock.sendall(
        (
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{project.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    assert head.startswith(b"HTTP/1.1 101"), head
    return sock


def _echo(sock: socket.socket, text: str) -> str:
    payload = text.encode()
    mask = b"\x01\x02\x03\x04"
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    sock.sendall(bytes([0x81, 0x80 | len(payload)]) + mask + masked)
    head = sock.recv(2)
    return sock.recv(head[1]).decode()


def _ended(sock: socket.socket) -> bool:
    try:
        return sock.recv(1024) == b"" or _ended(sock)
    except ConnectionResetError:
        return True
