"""The pure parts around the state machine: thresholds, schedule, plan, board, groups, judging."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.config.settings import AppSettings, ServiceSettings, Settings
from oatie_ops.health import groups
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.board import Board
from oatie_ops.health.checks import app as app_check
from oatie_ops.health.checks import build, cpu, disk, http, memory, workers
from oatie_ops.health.checks.base import CheckUnusable, Tools, Unmeasured
from oatie_ops.health.evaluate import evaluate, initial
from oatie_ops.health.model import CheckSpec, Instant, Result, Snapshot, Status
from oatie_ops.health.plan import ServicePlan, plan
from oatie_ops.health.rates import Sampler
from oatie_ops.health.schedule import first_delay_seconds, next_delay_seconds
from oatie_ops.health.thresholds import Thresholds

PASS, WARN, FAIL, UNKNOWN = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN
FRACTION = st.floats(0, 1, exclude_max=True)


def at(second: float) -> Instant:
    return Instant(second, 1_000_000 + second)


def settings(root: Path, **services: ServiceSettings) -> Settings:
    return Settings(root=root, services=services)


# --- thresholds -------------------------------------------------------------------------------------


def test_threshold_is_left_only_below_its_leave_value() -> None:
    limits = Thresholds(warn_enter=90, warn_leave=80, fail_enter=98, fail_leave=95)
    status, seen = PASS, []
    for value in (85, 90, 85, 79, 98, 96, 94, 85, 70):
        status = limits.status(status, value)
        seen.append(status)
    assert seen == [PASS, WARN, WARN, PASS, FAIL, FAIL, WARN, WARN, PASS]


def test_full_disk_with_much_left_is_only_a_warning() -> None:
    assert disk.judge("/", 99 * 10**12, 10**12, PASS, disk.HOST).status is WARN
    assert disk.judge("/", 99 * 10**9, 10**9, PASS, disk.HOST).status is FAIL
    assert disk.judge("/", 5 * 10**9, 5 * 10**9, PASS, disk.HOST).status is PASS


def test_declared_disk_limits_count_as_declared(tmp_path: Path) -> None:
    tools = Tools(settings(tmp_path), threads=None, state_home=tmp_path)  # type: ignore[arg-type]
    check = build(CheckSpec("d", "disk", "disk", {"warn": 80, "fail": 90, "min_free": 5 * 10**9}), tools)
    assert isinstance(check, disk.DiskCheck)
    assert disk.judge("/", 91 * 10**12, 9 * 10**12, PASS, check.limits).status is FAIL
    assert disk.judge("/", 85 * 10**12, 15 * 10**12, PASS, check.limits).status is WARN
    assert disk.judge("/", 6 * 10**9, 4 * 10**9, PASS, check.limits).status is FAIL


@pytest.mark.parametrize(
    "result", [disk.judge("/proc", 0, 0, PASS, disk.HOST), memory.judge(0, 0, PASS, memory.HOST)]
)
def test_resource_without_a_size_is_unknown(result: Result) -> None:
    assert result.status is UNKNOWN


def test_memory_is_judged_by_what_is_available() -> None:
    assert memory.judge(100, 50, PASS, memory.HOST).status is PASS
    assert memory.judge(100, 9, PASS, memory.HOST).status is WARN
    assert memory.judge(100, 1, PASS, memory.HOST).status is FAIL


class LinuxTimes(NamedTuple):
    user: float
    system: float
    idle: float
    iowait: float
    guest: float


def test_cpu_counts_neither_waiting_for_disks_as_busy_nor_guests_twice() -> None:
    before = cpu.times(LinuxTimes(0, 0, 0, 0, 0))
    after = cpu.times(LinuxTimes(user=30, system=10, idle=40, iowait=20, guest=25))
    result = cpu.judge(before, after, 2, PASS, cpu.HOST)
    assert result.observed_value == 40.0
    assert cpu.judge(after, after, 2, PASS, cpu.HOST).status is UNKNOWN


def test_a_cpu_that_is_busy_at_first_sight_is_no_warning_yet() -> None:
    """A first look during a start would degrade every fresh deploy; a minute of it counts."""
    counts = itertools.count(0, 100)

    def always_busy() -> tuple[cpu.CpuTimes, None]:
        count = next(counts)
        return cpu.CpuTimes(count, count), None

    def found(previous: Status, *, patient: bool) -> Status:
        check = cpu.CpuCheck(Sampler(always_busy, 0.0), 1, cpu.HOST, patient=patient)
        return asyncio.run(check.run(Attempt(previous))).status

    assert found(UNKNOWN, patient=True) is PASS
    assert found(PASS, patient=True) is WARN
    assert found(UNKNOWN, patient=False) is WARN
    limits = CheckSpec("s", "cpu", "cpu", {"warn": 80.0, "fail": 90.0})
    for spec, patient in ((CheckSpec("system", "cpu", "cpu", fall=6), True), (limits, False)):
        built = build(spec, Tools(Settings(Path()), threads=None, state_home=Path()))  # type: ignore[arg-type]
        assert isinstance(built, cpu.CpuCheck) and built.patient is patient


def test_busy_cpu_is_never_a_failure() -> None:
    assert cpu.judge(cpu.CpuTimes(0, 0), cpu.CpuTimes(100, 100), 1, FAIL, cpu.HOST).status is WARN


# --- schedule ---------------------------------------------------------------------------------------


@given(st.floats(0.1, 3600), FRACTION, st.integers(1, 5000))
def test_first_run_comes_within_a_second_and_at_once_where_there_are_few(
    interval: float, chance: float, checks: int
) -> None:
    spec = CheckSpec("s", "c", "tcp", interval_seconds=interval)
    assert 0 <= first_delay_seconds(spec, chance, checks) <= min(1, checks * 0.01)


@given(st.floats(0.1, 3600), st.floats(0, 7200), FRACTION, st.booleans())
def test_a_check_never_waits_longer_than_its_interval_nor_runs_without_a_pause(
    interval: float, took: float, chance: float, first: bool
) -> None:
    spec = CheckSpec("s", "c", "tcp", interval_seconds=interval)
    delay = next_delay_seconds(spec, initial(at(0)), took, chance, first=first)
    assert interval / 10 <= delay <= interval * 1.05


def test_doubt_is_settled_sooner() -> None:
    spec = CheckSpec("s", "c", "tcp", interval_seconds=10)
    state = evaluate(initial(at(0)), Result(PASS, ""), 2, 3, at(1))
    assert next_delay_seconds(spec, state, 0, 0.5) == pytest.approx(10)
    state = evaluate(state, Result(FAIL, ""), 2, 3, at(2))
    assert next_delay_seconds(spec, state, 0, 0.5) == pytest.approx(2)


# --- plan -------------------------------------------------------------------------------------------


def test_app_comes_first_and_system_last(tmp_path: Path) -> None:
    services = plan(
        settings(tmp_path, database=ServiceSettings("database", check={"type": "tcp", "port": 1})),
        tmp_path,
        supervised=True,
    )
    assert [service.name for service in services] == ["app", "database", "system"]
    assert [check.name for check in services[0].checks] == ["workers", "http"]
    assert [check.name for check in services[2].checks] == ["disk", "memory", "cpu"]


def test_declared_check_keeps_its_times_and_counts(tmp_path: Path) -> None:
    declared = {"type": "tcp", "port": 1, "interval": "30s", "timeout": 0.5, "rise": 1, "fall": 9}
    services = plan(settings(tmp_path, db=ServiceSettings("db", check=declared)), tmp_path, supervised=True)
    spec = services[1].checks[0]
    assert (spec.interval_seconds, spec.timeout_seconds, spec.rise, spec.fall) == (30, 0.5, 1, 9)


def test_nothing_is_said_about_workers_without_a_supervisor(tmp_path: Path) -> None:
    services = plan(settings(tmp_path), tmp_path, supervised=False)
    assert [check.name for check in services[0].checks] == ["http"]


def test_declared_app_and_system_add_to_the_built_in_ones(tmp_path: Path) -> None:
    services = plan(
        settings(
            tmp_path,
            app=ServiceSettings("app", needs=("db",)),
            db=ServiceSettings("db", check={"type": "tcp", "port": 1}),
            system=ServiceSettings("system", check={"type": "disk", "path": "/"}),
        ),
        tmp_path,
        supervised=True,
    )
    assert [service.name for service in services] == ["app", "db", "system"]
    assert services[0].needs == ("db",)
    assert len(services[2].checks) == 4


# --- board ------------------------------------------------------------------------------------------


def tcp(service: str) -> CheckSpec:
    return CheckSpec(service, "tcp", "tcp", rise=1, fall=1)


def board_of(tmp_path: Path, **services: ServiceSettings) -> Board:
    return Board(plan(settings(tmp_path, **services), tmp_path, supervised=False), at(0))


APP_HTTP = CheckSpec("app", "http", "app", rise=2, fall=3)


def test_old_snapshot_is_not_changed_by_new_results() -> None:
    board = Board([ServicePlan("db", (tcp("db"),))], at(0))
    before = board.snapshot
    board.record(tcp("db"), Result(FAIL, "refused"), at(1))
    assert before.status is UNKNOWN
    assert board.snapshot.status is FAIL
    assert board.snapshot.cause == "db: refused"
    with pytest.raises(TypeError):
        before.services["db"] = board.snapshot.services["db"]  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        board.snapshot.started_at = at(5)  # type: ignore[misc]


def test_feature_without_a_check_is_as_well_as_what_it_needs(tmp_path: Path) -> None:
    board = board_of(
        tmp_path,
        database=ServiceSettings("database", check={"type": "tcp", "port": 1, "fall": 1}),
        reports=ServiceSettings("reports", routes=("/api/reports*",), needs=("database",)),
        billing=ServiceSettings("billing", needs=("reports",)),
    )
    database = board.snapshot.services["database"].checks[0].spec
    board.record(APP_HTTP, Result(PASS, "fine"), at(1))
    assert board.snapshot.services["reports"].status is UNKNOWN
    board.record(database, Result(PASS, "fine"), at(2))
    assert board.snapshot.services["reports"].status is PASS
    assert board.snapshot.services["billing"].status is PASS
    changes = board.record(database, Result(FAIL, "refused"), at(3))
    assert [(change.service, change.after) for change in changes] == [
        ("database", FAIL),
        ("reports", FAIL),
        ("billing", FAIL),
    ]
    assert "needs database (fail): refused" in board.snapshot.services["reports"].output


def test_a_feature_follows_again_when_what_it_needs_followed_too(tmp_path: Path) -> None:
    """`late` sorts after `early`, which needs it; both need the application."""
    board = board_of(
        tmp_path,
        early=ServiceSettings("early", routes=("/early",), needs=("late",)),
        late=ServiceSettings("late", routes=("/late",)),
    )
    for moment, status in enumerate((PASS, FAIL, PASS), 1):
        spec = dataclasses.replace(APP_HTTP, rise=1, fall=1)
        board.record(spec, Result(status, "found"), at(moment))
        found = {name: board.snapshot.services[name].status for name in ("early", "late")}
        assert found == {"early": status, "late": status}


def test_services_that_need_each_other_do_not_go_round_for_ever(tmp_path: Path) -> None:
    board = board_of(
        tmp_path, a=ServiceSettings("a", routes=("/a",), needs=("b",)), b=ServiceSettings("b", needs=("a",))
    )
    board.record(APP_HTTP, Result(FAIL, "refused"), at(1))
    assert board.snapshot.services["a"].status is FAIL


def test_service_with_nothing_declared_is_unknown_not_well(tmp_path: Path) -> None:
    board = board_of(tmp_path, mystery=ServiceSettings("mystery"))
    assert board.snapshot.services["mystery"].status is UNKNOWN


def test_known_problem_outranks_a_doubt() -> None:
    board = Board([ServicePlan("a", (tcp("a"),)), ServicePlan("b", (tcp("b"),))], at(0))
    board.record(tcp("b"), Result(WARN, "slow"), at(1))
    assert board.snapshot.status is WARN
    assert [service.name for service in board.snapshot.worst_first] == ["b", "a"]


# --- groups -----------------------------------------------------------------------------------------


def app_snapshot(tmp_path: Path, app: Status, **others: Status) -> Snapshot:
    names = {name: ServiceSettings(name, check={"type": "tcp", "port": 1}) for name in others}
    names["app"] = ServiceSettings("app", needs=("needed",))
    board = board_of(tmp_path, **names)
    board.record(APP_HTTP, Result(app, "as it is"), at(1))
    for name, status in others.items():
        board.record(board.snapshot.services[name].checks[0].spec, Result(status, "as it is"), at(1))
    return board.snapshot


@pytest.mark.parametrize(
    ("app", "needed", "other", "ready"),
    [
        (PASS, PASS, FAIL, PASS),
        (PASS, FAIL, PASS, FAIL),
        (WARN, PASS, PASS, WARN),
        (FAIL, PASS, PASS, FAIL),
        (UNKNOWN, PASS, PASS, UNKNOWN),
    ],
)
def test_ready_looks_at_the_application_and_what_it_needs_only(
    tmp_path: Path, app: Status, needed: Status, other: Status, ready: Status
) -> None:
    snapshot = app_snapshot(tmp_path, app, needed=needed, other=other)
    assert groups.ready(snapshot, at(2)).status is ready


def test_ready_is_unknown_when_the_loop_has_stopped_reporting(tmp_path: Path) -> None:
    snapshot = app_snapshot(tmp_path, PASS, needed=PASS)
    assert groups.ready(snapshot, at(2)).status is PASS
    assert groups.ready(snapshot, at(100)).status is UNKNOWN


def test_age_follows_the_monotonic_clock_when_the_wall_clock_is_stepped(tmp_path: Path) -> None:
    snapshot = app_snapshot(tmp_path, PASS, needed=PASS)
    stepped = Instant(monotonic_seconds=3, epoch_seconds=snapshot.taken_at.epoch_seconds + 3600)
    assert groups.ready(snapshot, stepped).status is PASS
    assert snapshot.age_seconds(stepped) == 2


@pytest.mark.parametrize("app", list(Status))
def test_live_never_looks_at_anything_but_itself(tmp_path: Path, app: Status) -> None:
    assert groups.live(app_snapshot(tmp_path, app, needed=FAIL), at(999)).status is PASS


def test_startup_stays_passed_once_the_application_served(tmp_path: Path) -> None:
    board = board_of(tmp_path)
    assert groups.startup(board.snapshot, at(0)).status is UNKNOWN
    board.record(APP_HTTP, Result(FAIL, "refused"), at(1))
    assert groups.startup(board.snapshot, at(1)).status is FAIL
    for second in (2, 3):
        board.record(APP_HTTP, Result(PASS, "fine"), at(second))
    for second in range(4, 8):
        board.record(APP_HTTP, Result(FAIL, "refused"), at(second))
    assert board.snapshot.services["app"].status is FAIL
    assert groups.startup(board.snapshot, at(9)).status is PASS


def test_check_that_declares_a_group_decides_it(tmp_path: Path) -> None:
    both = {"type": "tcp", "port": 1, "groups": ["ready", "startup"]}
    board = board_of(tmp_path, db=ServiceSettings("db", check=both))
    board.record(APP_HTTP, Result(PASS, "fine"), at(1))
    assert groups.ready(board.snapshot, at(1)).status is UNKNOWN
    assert groups.startup(board.snapshot, at(1)).status is UNKNOWN
    db = board.snapshot.services["db"].checks[0].spec
    board.record(db, Result(FAIL, "refused"), at(2))
    assert groups.ready(board.snapshot, at(2)).output == "db: refused"
    assert groups.startup(board.snapshot, at(2)).status is FAIL
    for second in (3, 4):
        board.record(db, Result(PASS, "fine"), at(second))
    assert groups.ready(board.snapshot, at(4)).status is PASS
    assert groups.startup(board.snapshot, at(4)).status is PASS


# --- judging ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("running", PASS),
        ("degraded", WARN),
        ("failed", FAIL),
        ("stopping", FAIL),
        ("starting", UNKNOWN),
        ("something new", UNKNOWN),
    ],
)
def test_state_of_the_supervisor_is_the_state_of_its_workers(state: str, expected: Status) -> None:
    result = workers.judge({"state": state, "workers": [{"state": "serving"}, {"state": "serving"}]})
    assert result.status is expected
    assert "2 serving" in result.output


@pytest.mark.parametrize(
    ("host", "port", "path", "status", "expected"),
    [
        ("0.0.0.0", 80, "/", {}, "http://127.0.0.1:80/"),
        ("::", 81, "/ready", {}, "http://[::1]:81/ready"),
        ("127.0.0.1", 0, "ready", {"app": {"url": "http://localhost:4321"}}, "http://127.0.0.1:4321/ready"),
        ("127.0.0.1", 0, "/", {"app": {"url": None}}, None),
    ],
)
def test_application_is_asked_at_an_address_that_can_be_reached(
    host: str, port: int, path: str, status: Mapping[str, Any], expected: str | None
) -> None:
    assert app_check.address(AppSettings(host=host, port=port), status, path) == expected


@pytest.mark.parametrize(
    ("declared", "yes", "no"),
    [
        ("2xx", 204, 301),
        (204, 204, 200),
        ("200-399", 399, 400),
        (["2xx", 401], 401, 403),
    ],
)
def test_accepted_statuses(declared: object, yes: int, no: int) -> None:
    ranges = http.parse_ranges(declared)
    assert http.accepts(ranges, yes)
    assert not http.accepts(ranges, no)


@pytest.mark.parametrize("declared", ["", "abc", "2x", "6xx", None, {}, "200-"])
def test_accepted_statuses_that_mean_nothing_are_refused(declared: object) -> None:
    with pytest.raises(CheckUnusable):
        http.parse_ranges(declared)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("postgres", {}),
        ("sqlite", {}),
        ("command", {"run": []}),
        ("docker", {}),
        ("heartbeat", {}),
        ("tls", {"port": 1}),
        ("dns", {"name": "a", "record": "secret"}),
        ("dns", {"name": "a", "server": "secret.example"}),
        ("dns", {"name": "a..b"}),
        ("pressure", {"resource": "secret"}),
        ("http", {"url": "http://h/", "expect": {"a": "< secret"}}),
        ("redis", {}),
        ("http", {"url": "ftp://x"}),
        ("http", {"url": "http://"}),
        ("http", {"url": "http://h:99999/"}),
        ("http", {"url": "http://h/", "method": "BREW"}),
        ("http", {"url": "http://h/", "headers": {"X": "a\r\nEvil: 1"}}),
        ("http", {"url": "http://h/", "headers": "secret"}),
        ("tcp", {"url": "nonsense"}),
        ("tcp", {"host": "h", "port": "secret"}),
        ("process", {}),
    ],
)
def test_check_that_cannot_work_says_so_without_showing_its_options(
    tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    tools = Tools(settings(tmp_path), threads=None, state_home=tmp_path)  # type: ignore[arg-type]
    check = build(CheckSpec("db", kind, kind, options), tools)
    assert isinstance(check, Unmeasured)
    assert check.result.status is UNKNOWN
    assert "secret" not in check.result.output
