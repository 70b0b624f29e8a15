"""What the loop remembers, with a real store: restarts, a locked or full or damaged database, maintenance."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.settings import ServiceSettings, Settings
from oatie_ops.health import maintenance
from oatie_ops.health.board import Change
from oatie_ops.health.loop import HealthLoop
from oatie_ops.health.model import CheckSpec, Instant, Result, Status, system_clock
from oatie_ops.health.once import run_checks
from oatie_ops.store import Store
from oatie_ops.store.health import TransitionRow
from tests.real.test_health_loop import FAST, free_port, http_server, until, with_loop


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oatie_ops.health.memory.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("oatie_ops.health.plan._STORE", STORE_CHECK)


STORE_CHECK = CheckSpec("system", "store", "store", interval_seconds=0.1, rise=1, fall=1)


def loop_of(tmp_path: Path, database: Path | None = None, **more: Any) -> HealthLoop:
    services = {"web": ServiceSettings("web", check={"type": "tcp", "port": free_port(), **FAST})}
    declared = Settings(root=tmp_path, services=services)
    return HealthLoop(declared, tmp_path, dict, database=database or tmp_path / "state.db", **more)


def store_check(loop: HealthLoop) -> Any:
    return next(e for e in loop.snapshot.services["system"].checks if e.spec.name == "store")


def test_uptime_latency_and_transitions_outlive_the_loop(tmp_path: Path) -> None:
    port = free_port()
    services = {"web": ServiceSettings("web", check={"type": "tcp", "port": port, **FAST})}

    def make() -> HealthLoop:
        declared = Settings(root=tmp_path, services=services)
        return HealthLoop(declared, tmp_path, dict, database=tmp_path / "state.db")

    first = make()

    async def live() -> None:
        server, _ = await http_server(lambda: 200, port)
        await until(lambda: first.snapshot.services["web"].latency.samples >= 5)
        server.close()
        await until(lambda: first.snapshot.services["web"].status is Status.FAIL)

    with_loop(first, live)
    again = make()

    async def look() -> None:
        await until(lambda: again.snapshot.services["web"].latency.samples)

    with_loop(again, look)
    web = again.snapshot.services["web"]
    assert web.latency.samples >= 5
    assert [t.after for t in web.standing.transitions][-2:] == ["fail", "pass"]
    assert web.uptime.known_seconds > 0


def test_locked_store_is_told_while_the_checks_go_on_and_recovers(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    results: list[str] = []
    loop = loop_of(tmp_path, on_result=lambda spec, _result, _late: results.append(spec.service))
    with Store.open(path):
        pass
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    async def use() -> None:
        await until(lambda: store_check(loop).state.status is Status.PASS)
        await until(lambda: loop.snapshot.services["web"].standing.transitions)
        # The writer's lock of another process, held until it is told to let go.
        other.execute("BEGIN IMMEDIATE")
        loop._memory.add("web")
        await until(lambda: store_check(loop).state.status is Status.WARN)
        assert "locked" in store_check(loop).output
        seen = len(results)
        await until(lambda: len(results) > seen + 10)
        other.execute("ROLLBACK")
        await until(lambda: store_check(loop).state.status is Status.PASS)

    with_loop(loop, use)
    other.close()
    with Store.open(path) as store:
        assert store.health.transitions("web")


def test_store_that_is_locked_from_the_start_delays_no_check(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with Store.open(path):
        pass
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("CREATE TABLE x (y)")
    loop = loop_of(tmp_path)

    async def use() -> None:
        await until(lambda: loop.snapshot.services["web"].status is Status.FAIL)
        await until(lambda: store_check(loop).state.status is Status.WARN)
        other.close()
        await until(lambda: store_check(loop).state.status is Status.PASS)

    with_loop(loop, use)


@pytest.fixture
def tiny_disk() -> Iterator[Path]:
    """A file system of two megabytes."""
    directory = Path(tempfile.mkdtemp(prefix="oatie-test-"))
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "oatie", str(directory)]
    if os.getuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        directory.rmdir()
        pytest.skip("only on machines where a test may mount a tmpfs (as root)")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)
        directory.rmdir()


def test_full_disk_is_told_while_the_checks_go_on_and_recovers(tmp_path: Path, tiny_disk: Path) -> None:
    results: list[str] = []
    loop = loop_of(
        tmp_path,
        tiny_disk / "state.db",
        on_result=lambda spec, _result, _late: results.append(spec.service),
    )
    filler = tiny_disk / "filler"

    async def use() -> None:
        await until(lambda: store_check(loop).state.status is Status.PASS)
        fill(filler)

        def still_well() -> bool:
            loop._memory.add("web")
            return store_check(loop).state.status is not Status.WARN

        await until(lambda: loop.snapshot.services["web"].standing.transitions)
        await until(lambda: not still_well())
        assert "no space" in store_check(loop).output
        seen = len(results)
        await until(lambda: len(results) > seen + 10)
        filler.unlink()
        await until(lambda: store_check(loop).state.status is Status.PASS)

    with_loop(loop, use)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC


def test_damaged_store_is_told_while_the_checks_go_on(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"nonsense" * 4096)
    loop = loop_of(tmp_path)

    async def use() -> None:
        await until(lambda: loop.snapshot.services["web"].status is Status.FAIL)
        await until(lambda: store_check(loop).state.status is Status.WARN)
        assert "damaged" in store_check(loop).output

    with_loop(loop, use)


def test_maintenance_set_by_another_process_is_obeyed_and_ends(tmp_path: Path) -> None:
    changes: list[Change] = []
    loop = loop_of(tmp_path, on_change=changes.append)

    def web() -> Any:
        return loop.snapshot.services["web"]

    async def use() -> None:
        await until(lambda: web().status is Status.FAIL)
        assert loop.snapshot.status is Status.FAIL
        with Store.open(tmp_path / "state.db") as store:
            window = maintenance.begin(store, seconds=3600, reason="upgrade", actor="me")
        await until(lambda: web().maintenance)
        assert (web().maintenance.id, web().maintenance.reason) == (window.id, "upgrade")
        assert loop.snapshot.status is Status.WARN
        with Store.open(tmp_path / "state.db") as store:
            maintenance.end(store, actor="me", number=window.id)
        await until(lambda: web().maintenance is None)
        with Store.open(tmp_path / "state.db") as store:
            maintenance.begin(store, service="web", seconds=0.3, reason="blink", actor="me")
        await until(lambda: web().maintenance)
        await until(lambda: web().maintenance is None)

    with_loop(loop, use)


def test_one_shot_run_obeys_maintenance_and_knows_the_history_but_makes_no_database(tmp_path: Path) -> None:
    check = {"type": "tcp", "port": free_port()}
    declared = Settings(root=tmp_path, services={"web": ServiceSettings("web", check=check)})
    assert run_checks(declared, tmp_path, only=["web"]).services["web"].maintenance is None
    assert not (tmp_path / "state.db").exists()
    with Store.open(tmp_path / "state.db") as store:
        maintenance.begin(store, service="web", seconds=3600, reason="upgrade", actor="me")
        row = TransitionRow(0, 1.0, "web", "pass", "fail", "refused", "")
        store.health.save({"web": {}, "other": {}}, [row])
    found = run_checks(declared, tmp_path, only=["web"]).services["web"]
    assert found.maintenance is not None
    assert found.standing.transitions[-1].output == "refused"
    with Store.open(tmp_path / "state.db") as store:
        assert set(store.health.tracks()) == {"web", "other"}


def test_heartbeat_before_a_restart_still_counts_after_it(tmp_path: Path) -> None:
    check = {"type": "heartbeat", "every": 60, "grace": 0, "interval": 0.1, "rise": 1, "fall": 1}
    declared = Settings(root=tmp_path, services={"job": ServiceSettings("job", check=check)})

    def make() -> HealthLoop:
        return HealthLoop(declared, tmp_path, dict, database=tmp_path / "state.db")

    first = make()

    async def beat() -> None:
        first.beat("job", output="42 rows")
        await until(lambda: first.snapshot.services["job"].status is Status.PASS)

    with_loop(first, beat)
    again = make()

    async def look() -> None:
        await until(lambda: again.snapshot.services["job"].status is Status.PASS)

    with_loop(again, look)
    assert "42 rows" in again.snapshot.services["job"].output


def test_clock_that_is_stepped_by_an_hour_changes_nothing_but_dates(tmp_path: Path) -> None:
    """The wall clock of the loop alone is stepped, forwards and back; setting the machine's would harm it."""
    stepped = 0.0

    def clock() -> Instant:
        now = system_clock()
        return replace(now, epoch_seconds=now.epoch_seconds + stepped)

    results = 0

    def count(spec: CheckSpec, _result: Result, late_seconds: float) -> None:
        nonlocal results
        results += spec.service == "web"
        assert late_seconds < 30

    changes: list[Change] = []
    loop = loop_of(tmp_path, clock=clock, on_result=count, on_change=changes.append)

    async def use() -> None:
        nonlocal stepped
        await until(lambda: loop.snapshot.services["web"].status is Status.FAIL)
        for step in (3600.0, -3600.0, 0.0):
            stepped = step
            seen = results
            await until(lambda seen=seen: results > seen + 3)
            assert loop.snapshot.age_seconds(clock()) < 30
        known = loop.snapshot.services["web"].uptime.known_seconds
        assert known < 60

    with_loop(loop, use)
    assert [change.after for change in changes if change.service == "web"] == [Status.FAIL]


def test_a_child_that_fails_has_its_parent_looked_at_at_once(tmp_path: Path) -> None:
    """The parent's own turn would come in an hour."""
    parent, child = free_port(), free_port()
    hourly = {"type": "tcp", "port": parent, "interval": 3600, "rise": 1, "fall": 1}
    services = {
        "db": ServiceSettings("db", check=hourly),
        "api": ServiceSettings("api", check={"type": "tcp", "port": child, **FAST}, needs=("db",)),
    }
    loop = HealthLoop(Settings(root=tmp_path, services=services), tmp_path, dict)

    async def use() -> None:
        first, _ = await http_server(lambda: 200, parent)
        second, _ = await http_server(lambda: 200, child)
        found = loop.snapshot.services
        await until(lambda: all(loop.snapshot.services[n].status is Status.PASS for n in ("db", "api")))
        assert found["api"].consequence_of == ""
        first.close()
        second.close()
        await until(lambda: loop.snapshot.services["api"].consequence_of == "db")

    with_loop(loop, use)


def test_the_loop_ends_soon_though_the_store_is_locked(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    loop = loop_of(tmp_path)

    async def use() -> None:
        await until(lambda: loop.snapshot.services["web"].status is Status.FAIL)
        await until(lambda: store_check(loop).state.status is Status.PASS)

    other: sqlite3.Connection | None = None

    async def main() -> None:
        nonlocal other
        task = asyncio.create_task(loop.run())
        await use()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert time.monotonic() - began < 30

    asyncio.run(main())
    assert other is not None
    other.close()
