"""A worker that is held up by its application leaves the connections that wait to its neighbours."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.real.harness import Project
from tests.real.waiting import wait_for

# /hold stops its worker's loop, as a sync view does, until the file is gone.
APPLICATION = """\
import os, time

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while scope["path"] == "/hold" and os.path.exists(HELD):
        time.sleep(0.01)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
ROUNDS = 5
NEIGHBOURS = 40


@pytest.fixture
def held(project: Project) -> Path:
    path = project.root / "held"
    (project.root / "blocking.py").write_text(f"HELD = {str(path)!r}\n{APPLICATION}")
    project.configure(app={"run": "blocking:app", "ready": None, "workers": 2, "hang_timeout": "10m"})
    project.start()
    return path


def test_a_worker_that_is_held_up_has_taken_nobody_elses_connection(project: Project, held: Path) -> None:
    for _ in range(ROUNDS):
        held.touch()
        clients = [asked(project, "/hold"), *(asked(project, "/") for _ in range(NEIGHBOURS))]
        try:
            assert [client.recv(15) for client in clients[1:]] == [b"HTTP/1.1 200 OK"] * NEIGHBOURS
            held.unlink()
            assert clients[0].recv(15) == b"HTTP/1.1 200 OK"
        finally:
            held.unlink(missing_ok=True)
            for client in clients:
                client.close()
        # Within a millisecond the other worker would still be at its full pace.
        wait_for(lambda: not any(worker["connections"] for worker in project.workers()), "them to be gone")


def test_who_says_nothing_at_first_is_served_all_the_same(project: Project) -> None:
    project.version("1")
    project.start()
    with socket.create_connection(("127.0.0.1", project.port), timeout=60) as silent:
        # The kernel hands a silent connection out after a second; then a worker has it.
        wait_for(lambda: sum(worker["connections"] for worker in project.workers()) == 1, "it to be taken")
        silent.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert silent.recv(15) == b"HTTP/1.1 200 OK"


def asked(project: Project, path: str) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", project.port), timeout=60)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return client
