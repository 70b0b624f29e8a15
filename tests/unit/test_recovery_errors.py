"""Error tracking: what is the same error, what is counted, what is told, and that nothing secret is."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.recovery import errors, errors_channel, errors_summary
from oatie_ops.recovery.errors import ErrorLog
from oatie_ops.recovery.errors_fingerprint import fingerprint, in_app, parameterised
from oatie_ops.recovery.errors_report import ErrorReport, lines, summary
from oatie_ops.recovery.errors_services import services
from oatie_ops.redaction import learn
from oatie_ops.store import Store
from oatie_ops.store.error_groups import ErrorRow


def raised(act: Callable[[], Any]) -> BaseException:
    try:
        act()
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError("it did not raise")


def query(number: int) -> None:
    raise ValueError(f"no row {number}")


def other() -> None:
    raise ValueError("no row 1")


def deep(levels: int) -> None:
    if levels:
        deep(levels - 1)
    raise KeyError("bottom")


def chained() -> None:
    try:
        query(1)
    except ValueError as error:
        raise RuntimeError from error


def report(**named: Any) -> ErrorReport:
    given = {"fingerprint": "f", "service": "db", "kind": "E", "culprit": "", "message": "m"}
    times = {"severity": "error", "count": 1, "first_at": 100.0, "last_at": 100.0}
    return ErrorReport(**{**given, **times, **named})


def test_the_same_line_of_the_same_type_is_the_same_error() -> None:
    one, two = (fingerprint(raised(lambda number=number: query(number))) for number in (1, 2))
    assert one == two
    assert one.kind == "ValueError"
    assert one.culprit.endswith(":query")
    assert fingerprint(raised(other)).key != one.key


def test_depth_of_recursion_makes_no_new_group_and_a_cause_does() -> None:
    assert fingerprint(raised(lambda: deep(3))) == fingerprint(raised(lambda: deep(30)))
    assert fingerprint(raised(chained)).key != fingerprint(raised(lambda: query(1))).key


def test_frames_of_libraries_do_not_count_where_there_are_own_ones() -> None:
    found = fingerprint(raised(lambda: json.loads("{")))
    assert "json" not in found.culprit
    assert in_app(__file__)
    assert not in_app(json.__file__)


def test_without_frames_the_message_counts_without_what_varies_in_it() -> None:
    keys = {fingerprint(ValueError(f"order {n} of '{n}' at 0x{n:x}")).key for n in (17, 123456)}
    assert len(keys) == 1
    assert parameterised("user 5 has 'x'") == "user ? has ?"


def test_equal_errors_are_counted_and_the_summary_tells() -> None:
    log = ErrorLog(None)
    for number in range(5):
        log.record(raised(lambda number=number: query(number)), service="db")
    log.record(raised(other), service="api", severity="warning", recovery="fallback", outcome="served")
    found = summary(log.groups())
    assert found["total_errors"] == 6
    assert found["by_service"] == {"api": 1, "db": 5}
    assert found["by_severity"]["warning"] == 1
    assert found["recoveries"] == {"fallback": {"served": 1}}
    assert "Traceback" in found["groups"][1]["sample"]
    shown = "\n".join(lines(found, time.time()))
    assert "6 errors in 2 groups" in shown
    assert "fallback: served" in shown


def test_the_password_of_an_address_is_not_told() -> None:
    log = ErrorLog(None)
    try:
        raise OSError("cannot reach postgres://shop:hunter2@db:5432/shop, see https://db.example/a:b@c")
    except OSError as error:
        log.record(error)
    (group,) = log.groups()
    assert group.message == "cannot reach postgres://shop:***@db:5432/shop, see https://db.example/a:b@c"
    assert "OSError: cannot reach postgres://shop:***@db" in group.sample


def test_a_storm_of_errors_is_counted_exactly_with_few_looks_at_tracebacks() -> None:
    log = ErrorLog(None)
    error = raised(lambda: query(1))
    for _ in range(5_000):
        log.record(error)
    assert [group.count for group in log.groups()] == [5_000]


def test_groups_are_bounded() -> None:
    log = ErrorLog(lambda _report: False)
    for number in range(errors.MAX_GROUPS + 50):
        log.add(report(fingerprint=str(number)))
    assert len(log.groups()) == errors.MAX_GROUPS
    assert 48 <= log.dropped <= 50  # the thread that tells may just hold one


def test_record_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    monkeypatch.setattr(errors, "_log", ErrorLog(None))
    assert errors.record(Unspeakable()) is not None
    monkeypatch.setattr(errors, "log", lambda: 1 / 0)
    assert errors.record(ValueError()) is None


def test_what_cannot_be_told_now_is_told_later(tmp_path: Path) -> None:
    path = tmp_path / "errors"
    log = ErrorLog(lambda told: errors_channel.send(str(path), told))
    log.record(raised(lambda: query(1)), service="db")
    sock = errors_channel.bind(path)
    log.record(raised(lambda: query(2)), service="db")
    sock.setblocking(True)
    sock.settimeout(60)
    got = 0
    while got < 2:
        got += errors_channel.parse(sock.recv(65_536), time.time()).count
    assert got == 2
    assert path.stat().st_mode & 0o777 == 0o600
    sock.close()


def test_a_supervisor_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "errors"
    sock = errors_channel.bind(path)
    big = report(sample="x" * 20_000)
    for _ in range(10_000):
        if not errors_channel.send(str(path), big):
            break
    else:
        pytest.fail("the queue never filled")
    sock.close()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"1",
        b"[" * 50_000,
        b'{"kind": 1, "count": -5, "severity": "x", "last_at": 1e308}',
    ],
)
def test_whatever_is_sent_breaks_nothing(payload: bytes) -> None:
    try:
        found = errors_channel.parse(payload, 1000.0)
    except ValueError:
        return
    assert (found.kind, found.count, found.severity, found.last_at) == ("Error", 1, "error", 1000.0)


def test_a_program_may_send_only_kind_and_message() -> None:
    found = errors_channel.parse(b'{"kind": "Timeout", "message": "query 5", "service": "db"}', 1000.0)
    again = errors_channel.parse(b'{"kind": "Timeout", "message": "query 6", "service": "db"}', 1001.0)
    assert found.fingerprint == again.fingerprint
    assert found.service == "db"


def test_the_store_joins_counts_and_keeps_the_newest_groups(tmp_path: Path) -> None:
    now = [1_700_000_000.0]
    with Store.open(tmp_path / "state.db", clock=lambda: now[0]) as store:

        def add(**named: Any) -> None:
            given = {"first_at": now[0], "last_at": now[0], **named}
            store.errors.add(ErrorRow(**vars_of(report(**given))))

        add(sample="first", severity="critical", release="1")
        now[0] += 60
        add(count=4, message="newer", recovery="retry", outcome="failed")
        add(service="api")
        (api, db) = store.errors.all()
        assert (db.count, db.severity, db.sample, db.message, db.release) == (
            5,
            "critical",
            "first",
            "newer",
            "1",
        )
        assert (db.first_at, db.last_at) == (now[0] - 60, now[0])
        assert (db.recovery, db.outcome) == ("retry", "failed")
        assert api.service == "api"
        assert store.errors.lately() == {"api": 1, "db": 5}
        assert store.errors.recovered("db", "restart", "proven", since=now[0] - 10) == 1
        assert errors_summary.read(store, "db")["recoveries"] == {"restart": {"proven": 1}}
        store.errors._keep = 3
        for number in range(5):
            now[0] += 1
            add(fingerprint=str(number))
        assert [row.fingerprint for row in store.errors.all()] == ["4", "3", "2"]


def vars_of(found: ErrorReport) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(found)


def test_no_secret_reaches_the_store(tmp_path: Path) -> None:
    learn(["hunter2-and-longer"])
    with Store.open(tmp_path / "state.db") as store:
        secret = "password hunter2-and-longer"
        store.errors.add(ErrorRow(**vars_of(report(message=secret, sample=secret, culprit=secret))))
    assert b"hunter2" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_no_database_means_no_errors_and_makes_none(tmp_path: Path) -> None:
    found = errors_summary.from_database(tmp_path / "state.db")
    assert found["total_errors"] == 0
    assert not (tmp_path / "state.db").exists()
    assert lines(found, 0.0) == ["no errors have been recorded"]


def test_a_service_is_never_better_than_what_its_callers_found_out() -> None:
    open_ = {"db": {"state": "open", "retry_after": 1.0, "reopens": 0, "successes": 0}}
    found = services(["db", "quiet"], [report(count=3)], {"db": 2}, open_, {"db": "pass"})
    assert (found["db"]["status"], found["db"]["errors"], found["db"]["errors_lately"]) == ("unhealthy", 3, 2)
    assert found["db"]["last_error"] == "E: m"
    assert found["quiet"]["status"] == "unknown"


def test_a_fork_begins_with_an_empty_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_log", ErrorLog(None))
    errors.record(raised(lambda: query(1)))
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        theirs.sendall(str(len(errors.log().groups())).encode())
        os._exit(0)
    ours.settimeout(60)
    assert ours.recv(10) == b"0"
    os.waitpid(pid, 0)
    ours.close()
    theirs.close()
