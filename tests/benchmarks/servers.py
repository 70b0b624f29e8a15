"""`oatie start` and its peers as things that can be started, asked and stopped alike."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks.peers import PEERS, Peer
from tests.benchmarks.report import Options
from tests.real.harness import Project

START_DEADLINE_SECONDS = 30.0
STOP_DEADLINE_SECONDS = 10.0
FIRST_ANSWER_POLL_SECONDS = 0.002


def present(options: Options) -> list[Peer]:
    """Those that are there and have not failed yet."""
    return [peer for peer in PEERS if peer.missing() is None and peer.name not in options.gone]


def left_out() -> tuple[tuple[str, str], ...]:
    return tuple((peer.name, why) for peer in PEERS if (why := peer.missing()) is not None)


@dataclass
class Running:
    peer: Peer
    project: Project
    process: subprocess.Popen[bytes]
    first_answer_seconds: float

    def reload(self) -> None:
        """Asks for new workers, and does not wait for them."""
        if self.peer.reload_command is None:
            self.process.send_signal(signal.SIGHUP)
            return
        command = self.peer.reload_command(self.project)
        with (self.project.outputs / "reload").open("wb") as out:
            subprocess.Popen(
                command, cwd=self.project.root, env=_environ(self.project), stdout=out, stderr=out
            )

    def kill_worker(self) -> int:
        """SIGKILL to one worker that answers users; its pid."""
        answer = self.project.ask("/")
        assert answer is not None, f"{self.peer.name} does not answer"
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
            peer.command(project, workers),
            cwd=project.root,
            env=_environ(project),
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
        process.wait(STOP_DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # What is left of it (workers that linger, orphans) would answer in the name of the next one.
    project.close()


def _environ(project: Project) -> dict[str, str]:
    """PM2 keeps its state in the project's own directory instead of the user's."""
    return project.environ({"PM2_HOME": str(project.root / "pm2"), "PATH": os.environ["PATH"]})
