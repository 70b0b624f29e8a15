"""`oatie start` and its peers as things that can be started, asked and stopped alike."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.real.harness import Project

START_DEADLINE_SECONDS = 60.0
FIRST_ANSWER_POLL_SECONDS = 0.002


@dataclass(frozen=True)
class Peer:
    """``reload_signal`` asks it for new workers; None where it has no such thing."""

    name: str
    modules: tuple[str, ...]  # that must be installed
    arguments: Callable[[Project, int], list[str]]
    reload_signal: int | None = None

    @property
    def installed(self) -> bool:
        return all(importlib.util.find_spec(module) for module in self.modules)


def _oatie(_project: Project, workers: int) -> list[str]:
    return ["-m", "oatie_ops", "start", "--workers", str(workers)]


def _uvicorn(project: Project, workers: int) -> list[str]:
    several = ["--workers", str(workers)] if workers > 1 else []
    arguments = ["-m", "uvicorn", "service:app", "--port", str(project.port), "--no-access-log"]
    return [*arguments, "--loop", "uvloop", "--http", "httptools", "--log-level", "warning", *several]


def _gunicorn(worker_class: str) -> Callable[[Project, int], list[str]]:
    def arguments(project: Project, workers: int) -> list[str]:
        base = ["-m", "gunicorn", "service:app", "-k", worker_class, "-w", str(workers)]
        return [*base, "-b", f"127.0.0.1:{project.port}", "--log-level", "warning"]

    return arguments


def _granian(project: Project, workers: int) -> list[str]:
    base = ["-m", "granian", "--interface", "asgi", "--port", str(project.port), "--workers", str(workers)]
    return [*base, "--respawn-failed-workers", "--log-level", "warning", "service:app"]


OATIE = Peer("oatie", (), _oatie, signal.SIGHUP)
UVICORN = Peer("uvicorn", ("uvicorn", "uvloop", "httptools"), _uvicorn, signal.SIGHUP)
GUNICORN = Peer(
    "gunicorn", ("gunicorn", "uvicorn_worker"), _gunicorn("uvicorn_worker.UvicornWorker"), signal.SIGHUP
)
GUNICORN_ASGI = Peer("gunicorn -k asgi", ("gunicorn.workers.gasgi",), _gunicorn("asgi"), signal.SIGHUP)
GRANIAN = Peer("granian", ("granian",), _granian, signal.SIGHUP)
PEERS = (OATIE, UVICORN, GUNICORN, GUNICORN_ASGI, GRANIAN)


def present() -> list[Peer]:
    found = []
    for peer in PEERS:
        try:
            if peer.installed:
                found.append(peer)
        except ModuleNotFoundError:  # the package of a module is missing
            continue
    return found


@dataclass
class Running:
    peer: Peer
    project: Project
    process: subprocess.Popen[bytes]
    first_answer_seconds: float

    def kill_worker(self) -> int:
        """SIGKILL to one worker that answers users; its pid."""
        answer = self.project.ask("/")
        assert answer is not None
        pid = int(answer[1]["x-pid"])
        psutil.Process(pid).kill()
        return pid


@contextmanager
def checkout(**knobs: object) -> Iterator[Project]:
    """A directory with the tiny application; all of its processes are ended, by pid, at the end."""
    with tempfile.TemporaryDirectory(prefix="oatie-bench-") as directory:
        project = Project(Path(directory), "service.py")
        project.version("1", **knobs)
        try:
            yield project
        finally:
            project.close()


@contextmanager
def running(peer: Peer, *, workers: int = 2, **knobs: object) -> Iterator[Running]:
    """Started in a directory of its own."""
    with checkout(**knobs) as project, running_in(project, peer, workers=workers) as server:
        yield server


@contextmanager
def running_in(project: Project, peer: Peer, *, workers: int = 2) -> Iterator[Running]:
    """Timed from the exec to the first 200; asked to stop at the end."""
    log = project.outputs / "log"
    begun = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *peer.arguments(project, workers)],
            cwd=project.root,
            env=project.environ(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    while project.get("/ready") != 200:
        if process.poll() is not None or time.perf_counter() - begun > START_DEADLINE_SECONDS:
            raise RuntimeError(f"{peer.name} did not start:\n{log.read_text(errors='replace')}")
        time.sleep(FIRST_ANSWER_POLL_SECONDS)
    yield Running(peer, project, process, time.perf_counter() - begun)
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # What is left of it (workers that linger, orphans) would answer in the name of the next one.
    project.close()
