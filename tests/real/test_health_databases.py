"""PostgreSQL, Redis and SQLite checks against the real servers: well, wrong, stopped, killed, and back."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.settings import ServiceSettings, Settings
from oatie_ops.health.checks import build
from oatie_ops.health.checks.base import Tools
from oatie_ops.health.loop import HealthLoop
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.runner import run_check
from oatie_ops.health.threads import CheckThreads
from tests.real.databases import Postgres, Redis
from tests.real.waiting import PATIENCE_SECONDS

NOBODY_PORT = 1


def measured(
    kind: str, timeout_seconds: float = PATIENCE_SECONDS, root: Path = Path("/"), **options: Any
) -> Result:
    async def main() -> Result:
        tools = Tools(Settings(root=root), CheckThreads(), root)
        spec = CheckSpec("db", kind, kind, options, timeout_seconds=timeout_seconds)
        return await run_check(build(spec, tools), spec, Status.UNKNOWN)

    return asyncio.run(main())


def check_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("check-")]


def wait_until_no_thread_is_left() -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while check_threads():
        assert time.monotonic() < deadline, check_threads()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        assert isinstance(server, Postgres)
        yield server.make()


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as server:
        assert isinstance(server, Redis)
        yield server.start("--maxmemory", "64mb")


# --- PostgreSQL -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        ({}, Status.PASS, "answers the query"),
        ({"query": "SELECT count(*) FROM pg_class", "expect": "> 10"}, Status.PASS, "answers"),
        ({"query": "SELECT 5", "expect": "< 5"}, Status.FAIL, "is 5 (wanted < 5)"),
        ({"query": "SELECT 0.95::numeric", "expect": "> 0.9"}, Status.PASS, "answers"),
        ({"query": "SELECT NULL", "expect": "< 5"}, Status.FAIL, "no number"),
        ({"query": "SELECT 1 WHERE false", "expect": "< 5"}, Status.FAIL, "is missing"),
        ({"query": "SELECT nonsense"}, Status.FAIL, "does not exist"),
        ({"query": "CREATE TABLE t ()"}, Status.FAIL, "read-only"),
        ({"query": "SELECT '%s'"}, Status.PASS, "answers"),
        ({"role": "primary"}, Status.PASS, "is a primary"),
        ({"role": "replica"}, Status.FAIL, "is a primary (wanted: replica)"),
        ({"lag_fail": 5.0}, Status.FAIL, "no replication lag"),
    ],
)
def test_postgres_is_judged_by_its_answer(
    postgres: Postgres, options: dict[str, Any], status: Status, says: str
) -> None:
    result = measured("postgres", url=postgres.url, **options)
    assert result.status is status, result.output
    assert says in result.output


def test_postgres_tells_a_wrong_database_and_never_the_password(postgres: Postgres) -> None:
    url = f"postgresql://postgres:hunter2secret@127.0.0.1:{postgres.port}/absent"
    result = measured("postgres", url=url)
    assert (result.status, "absent" in result.output) == (Status.FAIL, True)
    assert "hunter2" not in result.output


def test_postgres_that_is_not_there_is_refused() -> None:
    result = measured("postgres", url=f"postgresql://u:hunter2secret@127.0.0.1:{NOBODY_PORT}/d")
    assert (result.status, "refused" in result.output) == (Status.FAIL, True)
    assert "hunter2" not in result.output


def test_query_that_takes_too_long_ends_at_the_deadline_with_its_thread(postgres: Postgres) -> None:
    result = measured("postgres", url=postgres.url, query="SELECT pg_sleep(600)", timeout_seconds=0.5)
    assert result.status is Status.FAIL
    assert result.trouble == "timeout" or "statement timeout" in result.output
    wait_until_no_thread_is_left()


def test_postgres_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    result = measured("postgres", url="postgresql://h/d")
    assert result.status is Status.UNKNOWN
    assert "pip install 'oatie-ops[postgres]'" in result.output


def test_replica_is_followed_and_one_that_lost_its_primary_fails() -> None:
    with Postgres() as primary, Postgres() as replica:
        assert isinstance(primary, Postgres)
        assert isinstance(replica, Postgres)
        primary.make()
        replica.make_replica_of(primary)

        def state() -> Result:
            return measured("postgres", url=replica.url, role="replica", lag_fail=30.0)

        until(lambda: state().status is Status.PASS)
        assert "is a replica, " in state().output
        primary.kill()
        until(lambda: state().status is Status.FAIL)
        assert "not connected to its primary" in state().output


def until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# --- Redis ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        ({}, Status.PASS, "answers PING"),
        ({"role": "primary"}, Status.PASS, "is a master"),
        ({"role": "replica"}, Status.FAIL, "is a master (wanted: slave)"),
        ({"memory_warn": 90, "memory_fail": 95}, Status.PASS, "of maxmemory"),
        ({"memory_fail": 0.1}, Status.FAIL, "of maxmemory"),
    ],
)
def test_redis_is_judged_by_its_answer(
    redis: Redis, options: dict[str, Any], status: Status, says: str
) -> None:
    result = measured("redis", url=redis.url, **options)
    assert result.status is status, result.output
    assert says in result.output


def test_redis_that_is_not_there_is_refused_and_the_password_is_not_told() -> None:
    result = measured("redis", url=f"redis://:hunter2secret@127.0.0.1:{NOBODY_PORT}/0")
    assert (result.status, "refused" in result.output) == (Status.FAIL, True)
    assert "hunter2" not in result.output


def test_redis_that_wants_a_password_fails(redis: Redis) -> None:
    with Redis() as guarded:
        assert isinstance(guarded, Redis)
        guarded.start("--requirepass", "sesame")
        refused = measured("redis", url=guarded.url)
        assert (refused.status, refused.refused) == (Status.FAIL, True)
        url = f"redis://:sesame@127.0.0.1:{guarded.port}/0"
        assert measured("redis", url=url).status is Status.PASS


def test_redis_replica_that_lost_its_master_fails() -> None:
    with Redis() as master, Redis() as replica:
        assert isinstance(master, Redis)
        assert isinstance(replica, Redis)
        master.start()
        replica.start("--replicaof", f"127.0.0.1 {master.port}")
        until(lambda: measured("redis", url=replica.url, role="replica").status is Status.PASS)
        master.kill()
        until(lambda: measured("redis", url=replica.url, role="replica").status is Status.FAIL)
        assert "lost its master" in measured("redis", url=replica.url, role="replica").output


# --- stopped, killed and back ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_database_that_is_stopped_killed_and_back_is_followed_and_delays_nobody(
    kind: str, tmp_path: Path
) -> None:
    with Postgres() if kind == "postgres" else Redis() as server:
        assert isinstance(server, Postgres | Redis)
        if isinstance(server, Postgres):
            server.make()
        else:
            server.start()
        check = {"type": kind, "url": server.url, "interval": 0.2, "timeout": 0.5, "rise": 1, "fall": 2}
        services = {"db": ServiceSettings("db", check=check)}
        loop = HealthLoop(Settings(root=tmp_path, services=services), tmp_path, dict)

        def now() -> Status:
            return loop.snapshot.services["db"].status

        async def becomes(status: Status) -> None:
            while now() is not status:
                await asyncio.sleep(0.02)

        async def story() -> None:
            await becomes(Status.PASS)
            server.signal(signal.SIGSTOP)
            await becomes(Status.FAIL)
            assert "timed out" in output() or "hanging" in output()
            server.signal(signal.SIGCONT)
            await becomes(Status.PASS)
            server.kill()
            await becomes(Status.FAIL)
            server.start()
            await becomes(Status.PASS)

        def output() -> str:
            return loop.snapshot.services["db"].output

        async def main() -> None:
            task = asyncio.create_task(loop.run())
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await story()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        asyncio.run(main())
    wait_until_no_thread_is_left()


# --- SQLite ---------------------------------------------------------------------------------------------


def database(path: Path, rows: int = 0) -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, note TEXT)")
        connection.executemany("INSERT INTO jobs (note) VALUES (?)", [("x" * 500,) for _ in range(rows)])
    connection.close()
    return path


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        ({}, Status.PASS, "answers the query"),
        ({"query": "SELECT count(*) FROM jobs", "expect": "< 10"}, Status.FAIL, "is 200 (wanted < 10)"),
        ({"query": "SELECT count(*) FROM jobs", "expect": 200}, Status.PASS, "answers"),
        ({"query": "DELETE FROM jobs"}, Status.FAIL, "readonly"),
        ({"query": "SELECT * FROM absent"}, Status.FAIL, "no such table"),
        ({"integrity": True}, Status.PASS, "answers"),
        ({"path": "absent.db"}, Status.FAIL, "there is no file"),
    ],
)
def test_sqlite_is_judged_by_its_answer(
    tmp_path: Path, options: dict[str, Any], status: Status, says: str
) -> None:
    database(tmp_path / "app.db", rows=200)
    result = measured("sqlite", root=tmp_path, **({"path": "app.db"} | options))
    assert result.status is status, result.output
    assert says in result.output
    assert not (tmp_path / "absent.db").exists()


def test_sqlite_that_is_damaged_or_no_database_fails(tmp_path: Path) -> None:
    path = database(tmp_path / "app.db", rows=200)
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096)
    damaged = measured("sqlite", root=tmp_path, path="app.db", integrity=True)
    assert damaged.status is Status.FAIL
    (tmp_path / "text.db").write_text("not a database, " * 1000)
    assert measured("sqlite", root=tmp_path, path="text.db").status is Status.FAIL


def test_sqlite_query_without_end_is_interrupted_at_the_deadline(tmp_path: Path) -> None:
    database(tmp_path / "app.db")
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    result = measured("sqlite", root=tmp_path, path="app.db", query=endless, timeout_seconds=0.3)
    assert (result.status, result.trouble) == (Status.FAIL, "timeout")
    wait_until_no_thread_is_left()


def test_sqlite_locked_by_a_writer_fails_and_says_so(tmp_path: Path) -> None:
    path = database(tmp_path / "app.db")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        result = measured("sqlite", root=tmp_path, path="app.db", timeout_seconds=0.4)
    finally:
        other.close()
    assert result.status is Status.FAIL
    assert "locked" in result.output or result.trouble == "timeout"
