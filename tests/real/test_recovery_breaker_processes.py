"""Real processes that share a breaker by its file, and processes that fork with one."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from oatie_ops.error_recovery import CircuitBreaker, CircuitBreakerConfig, CircuitOpenError, State
from oatie_ops.recovery.breaker import shared
from oatie_ops.recovery.breaker.declared import file_of
from oatie_ops.recovery.errors_services import breakers

CHILD_SECONDS = 60
CONFIG = CircuitBreakerConfig(failure_threshold=2, success_threshold=2, recovery_timeout=60, timeout=60)


def fail() -> None:
    raise ConnectionError


def failing(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ConnectionError):
            breaker.call(fail)


def in_child(work: Callable[[], object]) -> str:
    """Forks, and gives what the work gave, as text."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = repr(work())
        except BaseException:  # noqa: BLE001 - told to the parent
            said = traceback.format_exc()
        os.write(write_end, said.encode())
        os._exit(0)
    os.close(write_end)
    try:
        ready, _, _ = select.select([read_end], [], [], CHILD_SECONDS)
        said = os.read(read_end, 60_000).decode() if ready else "the child hung"
    finally:
        os.close(read_end)
        if not ready:
            os.kill(pid, 9)
        os.waitpid(pid, 0)
    return said


def elsewhere(path: Path, program: str) -> str:
    """What a fresh interpreter prints that has the breaker as `b`."""
    source = (
        "from oatie_ops.error_recovery import *\n"
        f"c = CircuitBreakerConfig(failure_threshold={CONFIG.failure_threshold},"
        f" success_threshold={CONFIG.success_threshold},"
        f" recovery_timeout={CONFIG.recovery_timeout}, timeout={CONFIG.timeout})\n"
        f"b = CircuitBreaker('db', c, shared={str(path)!r})\n{program}"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=CHILD_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_process_that_starts_while_it_is_open_rejects_from_its_first_call(tmp_path: Path) -> None:
    path = tmp_path / "db.breaker"
    breaker = CircuitBreaker("db", CONFIG, shared=path)
    failing(breaker, 2)
    program = (
        "try:\n b.call(print, 'called')\nexcept CircuitOpenError as e:\n print(e.state, e.retry_after > 1)"
    )
    assert elsewhere(path, program) == "open True"
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_one_process_opens_all_reject_and_what_one_closes_all_let_through(tmp_path: Path) -> None:
    path = tmp_path / "db.breaker"
    one, two = (CircuitBreaker("db", CONFIG, shared=path) for _ in range(2))
    guarded = two(lambda: 1)
    assert guarded() == 1
    failing(one, 2)
    with pytest.raises(CircuitOpenError):
        guarded()
    assert elsewhere(path, "b.reset(); print(b.state)") == "closed"
    assert guarded() == 1
    failing(one, 1)
    assert one.state is State.CLOSED


def test_probes_are_bounded_for_the_host(tmp_path: Path) -> None:
    path = tmp_path / "db.breaker"
    config = CircuitBreakerConfig(failure_threshold=1, success_threshold=2, recovery_timeout=0.0, timeout=60)
    breaker = CircuitBreaker("db", config, shared=path)
    failing(breaker, 1)
    go_read, go_write = os.pipe()
    told_read, told_write = os.pipe()
    children = []
    for _ in range(6):
        pid = os.fork()
        if pid == 0:
            try:
                breaker.call(lambda: (os.write(told_write, b"p"), os.read(go_read, 1)))
            except CircuitOpenError:
                os.write(told_write, b"r")
            finally:
                os._exit(0)
        children.append(pid)
    told = b""
    while len(told) < 6:
        ready, _, _ = select.select([told_read], [], [], CHILD_SECONDS)
        assert ready, told
        told += os.read(told_read, 10)
    os.write(go_write, b"gg")
    for pid in children:
        os.waitpid(pid, 0)
    assert sorted(told) == sorted(b"pprrrr")
    assert breaker.state is State.CLOSED


def test_a_probe_whose_process_was_killed_gives_its_place_back_when_its_lease_ends(tmp_path: Path) -> None:
    path = tmp_path / "db.breaker"
    config = CircuitBreakerConfig(
        failure_threshold=1, success_threshold=1, recovery_timeout=0.0, timeout=60, probe_lease=1.5
    )
    breaker = CircuitBreaker("db", config, shared=path)
    failing(breaker, 1)

    def probe_and_die() -> None:
        breaker.admit()
        os.kill(os.getpid(), 9)

    pid = os.fork()
    if pid == 0:
        probe_and_die()
    os.waitpid(pid, 0)
    deadline = time.monotonic() + 60
    while True:
        try:
            breaker.call(lambda: None)
            break
        except CircuitOpenError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert breaker.state is State.CLOSED


@pytest.mark.parametrize("sharing", [False, True])
def test_a_fork_while_every_lock_is_held_leaves_the_child_free(tmp_path: Path, sharing: bool) -> None:
    breaker = CircuitBreaker("db", CONFIG, shared=tmp_path / "db.breaker" if sharing else None)
    breaker.call(lambda: None)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with breaker._lock, breaker._cell._lock:  # type: ignore[attr-defined]
            held.set()
            release.wait(CHILD_SECONDS)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(CHILD_SECONDS)
    try:

        def child() -> tuple[str, str]:
            before = breaker.state.value
            for _ in range(2):
                try:
                    breaker.call(fail)
                except ConnectionError:
                    continue
            return before, breaker.state.value

        assert in_child(child) == "('closed', 'open')"
    finally:
        release.set()
        holder.join(CHILD_SECONDS)
    assert breaker.state is (State.OPEN if sharing else State.CLOSED)


def test_deadlines_are_kept_in_a_child_of_a_process_that_kept_some(tmp_path: Path) -> None:
    import asyncio

    breaker = CircuitBreaker("db", CircuitBreakerConfig(timeout=0.2))

    async def hang() -> None:
        await asyncio.sleep(3600)

    def overdue() -> str:
        try:
            asyncio.run(asyncio.wait_for(breaker.call_async(hang), 30))
        except TimeoutError as error:
            return str(error)
        return "not interrupted"

    assert "took longer than 0.2 s" in overdue()
    assert "took longer than 0.2 s" in in_child(overdue)


def test_parent_and_child_do_not_lose_each_others_probes(tmp_path: Path) -> None:
    """flock(2) belongs to the open file that a fork shares; without one of its own a child would walk in."""
    path = tmp_path / "db.breaker"
    breaker = CircuitBreaker("db", CONFIG, shared=path)
    with breaker._cell:

        def locked() -> str:
            import fcntl

            fd = breaker._cell._fd  # type: ignore[attr-defined]
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return "kept out"
            return "walked in"

        assert in_child(locked) == "'kept out'"


@pytest.mark.parametrize(
    "content",
    [b"", b"x" * 11, b"\xff" * shared.SIZE, os.urandom(shared.SIZE), bytes(shared.SIZE)],
    ids=["empty", "short", "ones", "random", "zeros"],
)
def test_a_garbled_file_means_closed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "db.breaker"
    path.write_bytes(content)
    breaker = CircuitBreaker("db", CONFIG, shared=path)
    assert breaker.call(lambda: 1) == 1
    failing(breaker, 2)
    with pytest.raises(CircuitOpenError):
        breaker.call(lambda: 1)


def test_a_file_that_is_torn_while_it_is_used_never_breaks_a_call(tmp_path: Path) -> None:
    """Every word but the size may turn into anything, as it would where a writer was killed half-way."""
    path = tmp_path / "db.breaker"
    breaker = CircuitBreaker("db", CONFIG, shared=path)
    guarded = breaker(lambda: 1)
    guarded()
    failing(breaker, 2)
    for index in range(shared.WORDS):
        for value in (0, 1, 2**63, 2**64 - 1):
            words = breaker.words
            kept = words[index]
            words[index] = value
            try:
                assert guarded() == 1
            except CircuitOpenError as error:
                assert 0 <= error.retry_after <= CONFIG.longest_open
            words[index] = kept
    breaker.reset()
    assert guarded() == 1


def test_a_torn_file_never_breaks_a_probe(tmp_path: Path) -> None:
    config = CircuitBreakerConfig(failure_threshold=1, success_threshold=9, recovery_timeout=0.0)
    for index in range(shared.WORDS):
        for value in (0, 1, 2**63, 2**64 - 1):
            breaker = CircuitBreaker("db", config, shared=tmp_path / f"{index}-{value}.breaker")
            failing(breaker, 1)
            assert breaker.call(lambda: 1) == 1
            breaker.words[index] = value
            assert breaker.call(lambda: 1) == 1


def test_a_period_longer_than_a_file_can_tell_is_the_longest_it_can(tmp_path: Path) -> None:
    config = CircuitBreakerConfig(failure_threshold=1, recovery_timeout=1e308)
    breaker = CircuitBreaker("db", config, shared=tmp_path / "db.breaker")
    failing(breaker, 1)
    with pytest.raises(CircuitOpenError):
        breaker.call(lambda: 1)
    breaker.force_open(1e300)
    assert breaker.state is State.FORCED_OPEN
    breaker.reset()
    assert breaker.call(lambda: 1) == 1


def test_a_file_that_cannot_be_made_leaves_a_breaker_for_the_process(tmp_path: Path) -> None:
    breaker = CircuitBreaker("db", CONFIG, shared=tmp_path / "absent" / "db.breaker")
    failing(breaker, 2)
    assert breaker.state is State.OPEN


def test_the_supervisor_sees_every_breaker_of_the_host(tmp_path: Path) -> None:
    breaker = CircuitBreaker("a/b", CONFIG, shared=file_of(tmp_path, "a/b"))
    failing(breaker, 2)
    (tmp_path / "junk.breaker").write_bytes(b"junk")
    found = breakers(tmp_path, {"a/b": CONFIG})
    assert found.keys() == {"a/b"}
    assert found["a/b"]["state"] == "open"
    assert 0 < found["a/b"]["retry_after"] <= 60
