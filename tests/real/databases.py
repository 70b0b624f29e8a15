"""PostgreSQL and Redis from the system's packages, each started in a directory and on a port of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pytest

DEADLINE_SECONDS = 90.0
PORT_TRIES = 5


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Server:
    """A process in its own directory, which is removed at the end."""

    def __init__(self, user: str | None = None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="oatie-test-"))
        self.user = user
        if user:
            shutil.chown(self.directory, user)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(self, *argv: str) -> None:
        done = subprocess.run(argv, user=self.user, cwd=self.directory, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()

    def launch(self, argv: Callable[[], list[str]], ready: Callable[[], bool]) -> None:
        """On another port where somebody took the chosen one; ``ready`` is the server's own word."""
        for _ in range(PORT_TRIES):
            if self._spawn(argv(), ready):
                return
            self.kill()
            self.port = free_port()
        pytest.fail((self.directory / "log").read_text())

    def _spawn(self, argv: list[str], ready: Callable[[], bool]) -> bool:
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                argv,
                user=self.user,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def signal(self, number: signal.Signals) -> None:
        """To the whole session: PostgreSQL answers with processes of its own."""
        assert self.process is not None
        for pid in _session(self.process.pid):
            with contextlib.suppress(ProcessLookupError):  # a backend that ended since it was listed
                os.kill(pid, number)

    def kill(self) -> None:
        if self.process is not None:
            for pid in _session(self.process.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.wait()
            self.process = None


class Postgres(Server):
    """Trusts everybody on loopback; PostgreSQL refuses to run as root."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        program = found[-1] if found else shutil.which("postgres")
        if program is None:
            pytest.skip("needs PostgreSQL (apt-get install postgresql)")
        user = None if os.getuid() else "postgres"
        if user and not any(entry.pw_name == user for entry in pwd.getpwall()):
            pytest.skip("needs the user postgres, because PostgreSQL does not run as root")
        super().__init__(user)
        self.bin = Path(program).parent

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def make(self) -> Postgres:
        self.run(
            str(self.bin / "initdb"), "-D", "data", "-U", "postgres", "--auth=trust", "--no-sync",
            "--locale=C", "-E", "UTF8",
        )  # fmt: skip
        return self.start()

    def make_replica_of(self, primary: Postgres) -> Postgres:
        self.run(
            str(self.bin / "pg_basebackup"), "-D", "data", "-R", "--no-sync", "--checkpoint=fast",
            "-d", primary.url,
        )  # fmt: skip
        return self.start()

    def start(self) -> Postgres:
        self.launch(self._argv, self._ready)
        return self

    def _argv(self) -> list[str]:
        # A killed server leaves this file, whose word "ready" would be taken for the new one's.
        (self.directory / "data" / "postmaster.pid").unlink(missing_ok=True)
        return [
            str(self.bin / "postgres"), "-D", "data", "-p", str(self.port), "-k", str(self.directory),
            "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=16MB",
            "-c", "max_connections=10", "-c", "wal_receiver_status_interval=1s",
        ]  # fmt: skip

    def _ready(self) -> bool:
        """PostgreSQL writes its state into the last line of its pid file; a replica is on ``standby``."""
        try:
            words = (self.directory / "data" / "postmaster.pid").read_text().split()
        except OSError:
            return False
        return bool(words) and words[-1] in ("ready", "standby")


class Redis(Server):
    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("needs Redis (apt-get install redis-server)")
        super().__init__()
        self.program = program

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *options: str) -> Redis:
        def argv() -> list[str]:
            return [
                self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir",
                str(self.directory), *options,
            ]  # fmt: skip

        log = self.directory / "log"
        self.launch(argv, lambda: "ready to accept connections" in log.read_text().lower())
        return self


def _session(leader: int) -> list[int]:
    """The leader first: alive, it would start again what is ended."""
    found = []
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        if entry.name.isdecimal() and int(entry.name) != leader:
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            # proc_pid_stat(5): parent and session; PostgreSQL's children make sessions of their own.
            if int(fields[1]) == leader or int(fields[3]) == leader:
                found.append(int(entry.name))
    return [leader, *found]
