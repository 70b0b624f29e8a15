"""The deciding parts of the check types: conditions, control groups, DNS messages, limits, replication."""

from __future__ import annotations

import math
import ssl
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.config.conditions import MISSING, at_path, parse
from oatie_ops.config.load import load
from oatie_ops.errors import OatieError
from oatie_ops.health import dns_wire
from oatie_ops.health.certificates import UNREADABLE, Expiry, ends_at
from oatie_ops.health.cgroup import Cgroups, CpuUse, MemoryUse
from oatie_ops.health.checks import _MODULES, cpu, disk, fds, network, pressure
from oatie_ops.health.checks import load as load_check
from oatie_ops.health.checks.memory import MemoryCheck
from oatie_ops.health.checks.postgres import Replication
from oatie_ops.health.checks.redis import Wanted
from oatie_ops.health.model import CheckSpec, Status
from oatie_ops.health.thresholds import Thresholds, declared

PASS, WARN, FAIL, UNKNOWN = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN
LIMITS = Thresholds(80, 75, 90, 85)

# --- conditions -----------------------------------------------------------------------------------------

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(ANYTHING, st.sampled_from(["<", "<=", ">", ">="]), st.integers(-5, 5))
def test_only_a_finite_number_can_meet_an_ordering(value: Any, sign: str, limit: int) -> None:
    if parse(f"{sign} {limit}").objection(value) == "":
        assert isinstance(value, int | float)
        assert not isinstance(value, bool)
        assert math.isfinite(value)


@given(ANYTHING)
def test_every_condition_either_is_met_or_says_why_not_in_one_short_line(value: Any) -> None:
    for condition in ("< 1", "!= down", "ok", True, 3):
        assert len(parse(condition).objection(value)) < 200


@pytest.mark.parametrize("condition", ["< 1", "> -1", "<= 0", "!= down", "down", True, 0, ""])
def test_what_is_missing_meets_no_condition(condition: object) -> None:
    assert parse(condition).objection(MISSING)


def test_ordering_needs_a_number() -> None:
    with pytest.raises(ValueError, match="needs a number"):
        parse("< many")


@given(ANYTHING, st.text(alphabet="ab.0123456789", max_size=8))
def test_any_path_into_anything_is_answered(document: Any, path: str) -> None:
    at_path(document, path)


# --- control groups -------------------------------------------------------------------------------------


def tree(root: Path, own: str, files: dict[str, str]) -> Cgroups:
    for name, text in files.items():
        path = root / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "own").write_text(own)
    return Cgroups(root / "fs", root / "own")


def test_memory_limit_of_version_2_counts_without_the_cache(tmp_path: Path) -> None:
    groups = tree(
        tmp_path,
        "0::/pod/app\n",
        {
            "cgroup.controllers": "memory",
            "pod/app/memory.max": "max\n",
            "pod/app/memory.current": "700\n",
            "pod/memory.max": "1000\n",
            "pod/memory.current": "800\n",
            "pod/memory.stat": "anon 1\ninactive_file 300\n",
        },
    )
    assert groups.memory() == MemoryUse(500, 1000)


def test_limits_of_version_1_are_read_and_no_limit_is_none(tmp_path: Path) -> None:
    files = {
        "memory/app/memory.limit_in_bytes": "1000",
        "memory/app/memory.usage_in_bytes": "900",
        "memory/app/memory.stat": "total_inactive_file 100",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/memory.usage_in_bytes": "5000",
        "cpu/app/cpu.cfs_quota_us": "50000",
        "cpu/app/cpu.cfs_period_us": "100000",
        "cpuacct/app/cpuacct.usage": "3000000000",
    }
    groups = tree(tmp_path, "4:memory:/app\n2:cpuacct:/app\n1:cpu:/app\n", files)
    assert groups.memory() == MemoryUse(800, 1000)
    assert groups.cpu() == CpuUse(3.0, 0.5)


def test_a_path_that_is_not_visible_in_the_container_means_its_root(tmp_path: Path) -> None:
    files = {
        "cgroup.controllers": "cpu",
        "cpu.max": "150000 100000\n",
        "cpu.stat": "usage_usec 2500000\n",
    }
    assert tree(tmp_path, "0::/../host/path\n", files).cpu() == CpuUse(2.5, 1.5)


@pytest.mark.parametrize("own", ["", "garbage", "0::/"])
def test_without_groups_nothing_is_claimed(tmp_path: Path, own: str) -> None:
    groups = tree(tmp_path, own, {})
    assert (groups.memory(), groups.cpu(), groups.pressure("cpu")) == (None, None, None)


async def _run(check: MemoryCheck) -> Any:
    from oatie_ops.health.attempt import Attempt

    return await check.run(Attempt())


def test_memory_of_the_container_counts_not_that_of_the_host(tmp_path: Path) -> None:
    import asyncio

    files = {"cgroup.controllers": "", "memory.max": "1000", "memory.current": "950"}
    groups = tree(tmp_path, "0::/\n", files)
    host = namedtuple("host", "total available")(10**9, 9 * 10**8)
    result = asyncio.run(_run(MemoryCheck(lambda: host, LIMITS, groups)))
    assert (result.status, result.observed_value) == (FAIL, 95.0)
    assert "of the container's" in result.output


def test_processor_limit_of_the_container_is_the_hundred_percent() -> None:
    result = cpu.judge_group(CpuUse(10, 0.5), CpuUse(14.5, 0.5), 10.0, PASS, LIMITS)
    assert (result.status, result.observed_value) == (FAIL, 90.0)


# --- resources ------------------------------------------------------------------------------------------


def test_limit_is_left_only_below_where_it_was_declared() -> None:
    spec = CheckSpec("s", "cpu", "cpu", {"warn": 80.0, "fail": 90.0, "warn_leave": 60.0, "fail_leave": 70.0})
    limits = declared(spec, LIMITS)
    assert limits.status(FAIL, 75) is FAIL
    assert limits.status(FAIL, 69) is WARN
    assert limits.status(WARN, 61) is WARN
    assert limits.status(WARN, 59) is PASS


def test_load_counts_for_each_processor() -> None:
    limits = Thresholds(2, 1.5, 8, 6)
    assert load_check.judge((9.0, 9.0, 9.0), 8, PASS, limits).status is PASS
    assert load_check.judge((1.0, 17.0, 1.0), 8, PASS, limits).status is WARN


def test_pressure_is_the_share_of_the_last_minute() -> None:
    text = "some avg10=90.00 avg60=85.50 avg300=1.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00\n"
    result = pressure.judge("memory", text, PASS, LIMITS)
    assert (result.status, result.observed_value) == (WARN, 85.5)
    assert pressure.judge("memory", "nonsense\n", PASS, LIMITS).status is UNKNOWN


def test_the_process_nearest_to_its_limit_decides_on_open_files() -> None:
    found = [fds.Use("the host", 1000, 10**6), fds.Use("worker 7", 95, 100)]
    result = fds.judge(found, PASS, LIMITS)
    assert (result.status, "worker 7: 95 of 100" in result.output) == (FAIL, True)
    assert fds.judge([], PASS, LIMITS).status is UNKNOWN


def test_inodes_count_where_the_file_system_has_a_number_of_them() -> None:
    taken = disk.judge_inodes("/", 1000, 50, PASS, LIMITS)
    assert taken is not None
    assert taken.status is FAIL
    assert disk.judge_inodes("/", 0, 0, PASS, LIMITS) is None


Counters = namedtuple(
    "Counters", "bytes_sent bytes_recv packets_sent packets_recv errin errout dropin dropout"
)


def test_lost_packets_are_a_share_and_a_few_packets_are_no_rate() -> None:
    before = network.Seen({"eth0": Counters(0, 0, 0, 0, 0, 0, 0, 0)}, {"eth0": True})
    after = network.Seen({"eth0": Counters(1, 1, 500, 480, 10, 0, 10, 0)}, {"eth0": True})
    few = network.Seen({"eth0": Counters(1, 1, 5, 4, 10, 0, 10, 0)}, {"eth0": True})
    down = network.Seen(after.counters, {"eth0": False})
    assert network.measure("", before, after, 1.0)[:2] == ("eth0", 2.0)  # type: ignore[index]
    assert network.measure("", before, few, 1.0)[:2] == ("eth0", 0.0)  # type: ignore[index]
    assert network.measure("eth0", before, down, 1.0).status is FAIL  # type: ignore[union-attr]


# --- DNS ------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_any_datagram_is_read_or_refused(noise: bytes) -> None:
    for kind in dns_wire.TYPES:
        try:
            dns_wire.read(b"\0\7\x81\x80" + noise, 7, kind)
        except dns_wire.Malformed:
            continue


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64, "a." * 130])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no host name"):
        dns_wire.question(1, name, "A")


# --- databases ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lag", "receiving", "status"),
    [(0.0, True, PASS), (7.0, True, WARN), (40.0, True, FAIL), (None, True, FAIL), (0.0, False, FAIL)],
)
def test_replication_lag_fails_closed(lag: float | None, receiving: bool, status: Status) -> None:
    wanted = Replication("replica", lag_warn_seconds=5, lag_fail_seconds=30)
    assert wanted.judge(True, lag, receiving).status is status
    assert wanted.judge(False, lag, receiving).status is FAIL


def test_redis_that_does_not_tell_its_memory_fails() -> None:
    assert Wanted(memory=LIMITS).judge({"role": "master"}, PASS).status is FAIL
    full = {"role": "master", "used_memory": 95, "maxmemory": 100}
    assert Wanted(memory=LIMITS).judge(full, PASS).status is FAIL


def test_certificates_warn_before_they_fail() -> None:
    found = [Expiry(14, 3).judge(days).status for days in (30, 13, 2, -1)]
    assert found == [PASS, WARN, FAIL, FAIL]


# --- the file -------------------------------------------------------------------------------------------

DECLARED = {
    "http": 'url = "https://h/", expect = { "queue.depth" = "< 100", ok = true }, redirects = "same-host"',
    "tcp": "port = 1",
    "tls": 'host = "h", expiry_warn_days = 21, warn_after = "500ms"',
    "dns": 'name = "h.example", record = "MX", expect = ["mail.example"]',
    "postgres": 'url = "postgresql://h/d", role = "replica", lag_fail = "30s", expect = 1',
    "redis": 'url = "redis://h", memory_warn = 80, memory_fail = 95',
    "sqlite": 'path = "app.db", integrity = true',
    "process": 'name = "x"',
    "command": 'run = ["check", "-w", "5"], exit_codes = "nagios"',
    "docker": 'container = "db"',
    "heartbeat": 'every = "1h", grace = "5m"',
    "disk": "inodes_warn = 80",
    "memory": "warn = 70, warn_leave = 60",
    "cpu": "",
    "load": "warn = 1.5",
    "pressure": 'resource = "io"',
    "fds": "",
    "diskio": 'device = "sda"',
    "network": 'interface = "eth0"',
}


def write(tmp_path: Path, kind: str, options: str) -> Path:
    separator = ", " if options else ""
    (tmp_path / "oatie.toml").write_text(
        f'[app]\nrun = "main:app"\n[services.x]\ncheck = {{ type = "{kind}"{separator}{options} }}\n'
    )
    return tmp_path


@pytest.mark.parametrize("kind", DECLARED)
def test_every_check_type_can_be_declared_and_becomes_a_check(tmp_path: Path, kind: str) -> None:
    from oatie_ops.health.checks import build
    from oatie_ops.health.checks.base import Tools, Unmeasured
    from oatie_ops.health.heartbeats import Heartbeats
    from oatie_ops.health.model import system_clock
    from oatie_ops.health.plan import plan

    settings = load(write(tmp_path, kind, DECLARED[kind]), environ={}).settings
    (spec,) = next(s for s in plan(settings, tmp_path, supervised=True) if s.name == "x").checks
    tools = Tools(settings, None, tmp_path, beats=Heartbeats(system_clock))  # type: ignore[arg-type]
    assert not isinstance(build(spec, tools), Unmeasured)


def test_no_check_type_was_left_out_above() -> None:
    built_in = {"workers", "app", "store", "https"}
    assert set(DECLARED) == set(_MODULES) - built_in


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("http", 'url = "http://h/", expect = { a = "< many" }'),
        ("postgres", 'url = "postgresql://h/d", role = "king"'),
        ("dns", 'name = "h", record = "BOGUS"'),
        ("pressure", 'resource = "disk"'),
        ("command", ""),
    ],
)
def test_options_that_mean_nothing_are_refused_with_their_place(
    tmp_path: Path, kind: str, options: str
) -> None:
    with pytest.raises(OatieError) as caught:
        load(write(tmp_path, kind, options), environ={})
    assert "services.x.check" in str(caught.value.as_dict())


@pytest.mark.parametrize("days", [-400, -1, 0, 30, 20_000])
def test_end_of_a_certificate_is_read_from_its_encoding(days: int) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    issued = trustme.CA().issue_cert("localhost", not_after=ends, not_before=ends - timedelta(days=1))
    encoded = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
    assert ends_at(encoded) == ends.timestamp()
    assert ends_at(encoded[:-1]) == ends.timestamp(), "nothing behind it is needed"


@given(st.binary(max_size=300))
def test_what_is_no_certificate_has_no_end(data: bytes) -> None:
    assert ends_at(data) == UNREADABLE
    assert Expiry().judge(UNREADABLE).status is Status.FAIL


@pytest.mark.parametrize(("condition", "met"), [("> 5", True), ("< 5", False), ("!= 5", True), (5, False)])
def test_number_that_no_float_can_hold_is_compared_all_the_same(condition: object, met: bool) -> None:
    assert (parse(condition).objection(10**400) == "") is met
    assert at_path({"list": [1]}, "list." + "9" * 5000) is MISSING
