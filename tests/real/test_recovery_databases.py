"""Real PostgreSQL and Redis are killed, paused and restarted under load; a ladder brings them back."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.real.databases import Postgres, Redis, Server
from tests.real.harness import Project
from tests.real.test_recovery_supervised import FAST, history, status
from tests.real.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Client(threading.Thread):
    """Uses a database all the time, each time over a new connection; knows when it last worked."""

    def __init__(self, use: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._use = use
        self._over = threading.Event()
        self.worked = 0
        self.failed = 0

    def run(self) -> None:
        while not self._over.wait(0.02):
            try:
                self._use()
                self.worked += 1
            except Exception:  # noqa: BLE001 - whatever a dying server says
                self.failed += 1

    def stop(self) -> None:
        self._over.set()
        self.join(30)


@contextlib.contextmanager
def client(use: Callable[[], None]) -> Iterator[Client]:
    made = Client(use)
    made.start()
    try:
        yield made
    finally:
        made.stop()


class Story:
    """A database under a ladder whose first rung only pretends, while the application is under load."""

    def __init__(self, project: Project, server: Server, check: dict[str, Any], start: list[str]) -> None:
        self.project = project
        self.server = server
        script = project.root / "start-db.sh"
        pid_file = server.directory / "data" / "postmaster.pid"
        if not pid_file.exists():
            pid_file = server.directory / "redis.pid"
        # Whatever hangs is ended first: a paused server holds its port.
        script.write_text(
            "#!/bin/sh\n"
            f'pid=$(head -n 1 "{pid_file}" 2>/dev/null)\n'
            '[ -n "$pid" ] && kill -9 "$pid" 2>/dev/null\n'
            f'rm -f "{pid_file}"\n'
            "sleep 0.2\n"
            f'cd "{server.directory}" && exec {" ".join(start)}\n'
        )
        script.chmod(0o755)
        recover = [
            {"run": ["true"], "settle": "0s"},
            {"run": ["./start-db.sh"], "settle": "500ms", "max": 5},
        ]
        project.configure(services={"db": {"check": {**check, **FAST, "timeout": "1s"}, "recover": recover}})
        self._pid_file = pid_file

    @property
    def pid(self) -> int | None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(self._pid_file.read_text().split()[0])
        return None

    def recovered(self, times: int) -> list[dict[str, Any]]:
        def so_often() -> list[dict[str, Any]] | None:
            found = [entry for entry in history(self.project, "db") if entry["outcome"] == "proven"]
            return found if len(found) >= times else None

        return wait_for(
            so_often,
            f"{times} recoveries",
            seconds=120.0,
            evidence=lambda: (history(self.project, "db"), status(self.project, "db")["output"]),
        )

    def kill(self) -> None:
        """The one that the test started; from here on it is the ladder's."""
        self.server.kill()

    def signal(self, number: int) -> None:
        pid = self.pid
        assert pid is not None
        os.kill(pid, number)


def tell(story: Story, use: Callable[[], None]) -> None:
    project = story.project
    project.deployed("1")
    wait_for(lambda: status(project, "db")["status"] == "pass", "the database to be seen well")
    with client(use) as user, project.load(new=2, keep=2) as load:
        wait_for(lambda: user.worked > 0, "the first use of the database")

        story.kill()
        (first,) = story.recovered(1)
        works_again(user)
        assert [(t["rung"], t["ok"], t["state"]) for t in first["tries"]] == [
            (1, True, "refuted"),
            (2, True, "proven"),
        ], "the first rung exited with 0 and was climbed over all the same"
        assert first["seconds"] > 0

        story.signal(signal.SIGSTOP)
        second, _ = story.recovered(2)
        works_again(user)
        assert [(t["rung"], t["state"]) for t in second["tries"]][-1] == (2, "proven")

        # An operator does not wait for the backoff of the third try.
        failed = user.failed
        story.signal(signal.SIGKILL)
        wait_for(lambda: user.failed > failed, "the database to be gone")
        project.oatie("recover", "db", "--from", "2", "--reason", "not waiting").expect(0)
        works_again(user)
        result = load.finish()
    assert result["failed"] == 0, result
    known = next(
        entry
        for entry in project.oatie("recover", "--list", "--json").json["ladders"]
        if entry["service"] == "db"
    )
    assert known["proven"] >= 3
    assert known["mean_seconds_to_repair"] > 0
    assert known["rungs"][0]["success_rate"] == 0.0
    assert known["rungs"][1]["success_rate"] > 0

    pid = story.pid
    project.oatie("stop").expect(0)
    assert pid is not None
    os.kill(pid, 0)  # what was recovered outlives whoever recovered it
    works_again_without_client(use)


def works_again(user: Client) -> None:
    worked = user.worked
    wait_for(lambda: user.worked > worked + 5, "the client to be served again", seconds=60.0)


def works_again_without_client(use: Callable[[], None]) -> None:
    def works() -> bool:
        try:
            use()
        except Exception:  # noqa: BLE001 - whatever it says, it does not work
            return False
        return True

    wait_for(works, "the database to work after the supervisor has stopped")


def end(pid: Callable[[], int | None]) -> None:
    """A server that a ladder started belongs to nobody else."""
    found = pid()
    if found is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(found, signal.SIGCONT)
        os.kill(found, signal.SIGTERM)
    deadline = time.monotonic() + 10
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(found, 0)
            time.sleep(0.05)
        os.kill(found, signal.SIGKILL)


def test_postgresql_is_killed_and_paused_and_comes_back(project: Project) -> None:
    import psycopg

    with Postgres() as server:
        server.make()
        as_user = [] if os.getuid() else ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        start = [
            *as_user, str(server.bin / "pg_ctl"), "-D", "data", "-w", "-t", "60", "-l", "pg.log", "-o",
            f"'-p {server.port} -k {server.directory} -c listen_addresses=127.0.0.1 -c fsync=off"
            " -c shared_buffers=16MB -c max_connections=20'", "start",
        ]  # fmt: skip
        story = Story(project, server, {"type": "postgres", "url": server.url}, start)

        def use() -> None:
            with psycopg.connect(server.url, connect_timeout=2) as connection:
                connection.execute("SET statement_timeout = 2000")
                connection.execute("SELECT 1")

        try:
            tell(story, use)
        finally:
            end(lambda: story.pid)


def test_redis_is_killed_and_paused_and_comes_back(project: Project) -> None:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    with Redis() as server:
        server.start("--pidfile", str(server.directory / "redis.pid"), "--daemonize", "no")
        wait_for((server.directory / "redis.pid").exists, "the pid file of Redis")
        start = [
            server.program, "--port", str(server.port), "--bind", "127.0.0.1", "--save", "''", "--daemonize",
            "yes", "--pidfile", str(server.directory / "redis.pid"), "--dir", str(server.directory),
        ]  # fmt: skip
        story = Story(project, server, {"type": "redis", "url": server.url}, start)

        def use() -> None:
            # By default a failing call is repeated for half a minute.
            once = Retry(NoBackoff(), 0)
            with redis.Redis(
                port=server.port, socket_timeout=2, socket_connect_timeout=2, retry=once
            ) as connection:
                connection.ping()

        try:
            tell(story, use)
        finally:
            end(lambda: story.pid)
