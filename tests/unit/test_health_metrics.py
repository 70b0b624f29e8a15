"""The page of metrics: both formats parse, counters only grow, every series is there from the start."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from starlette.responses import JSONResponse

from oatie_ops.api.pieces import MEMBERS_AT_ONCE, json_of
from oatie_ops.config.settings import ServiceSettings, Settings
from oatie_ops.health.board import Board, Change
from oatie_ops.health.exposition import PIECE_LINES, Page, escape, labels, number
from oatie_ops.health.meter import BOUNDS_SECONDS, RESULTS, Meter
from oatie_ops.health.metrics import Sources, families
from oatie_ops.health.model import Instant, Result, Status
from oatie_ops.health.plan import plan
from oatie_ops.traffic.totals import LATENCY_BOUNDS_SECONDS, Totals

NOW = Instant(100.0, 1_700_000_000.0)
STATUS = {
    "release": "7",
    "restarts": 2,
    "wanted_workers": 2,
    "last_reload": {"successful": False, "success_at": 1_600_000_000.5},
    "workers": [{"state": "serving", "in_flight": 3}],
}


class World:
    """A board with one declared service, and all that a page is made of."""

    def __init__(self, root: Path) -> None:
        check = {"type": "tcp", "port": 1, "rise": 1, "fall": 1}
        odd = 'sh"op\\'
        services = {name: ServiceSettings(name, check=check) for name in ("db", odd)}
        self.board = Board(plan(Settings(root=root, services=services), root, supervised=True), NOW)
        self.meter = Meter()
        self.meter.expect(self.board.snapshot)

    def find(self, service: str, result: Result) -> None:
        (entry,) = self.board.snapshot.services[service].checks
        self.meter.result(entry.spec, result, 0.25)
        for change in self.board.record(entry.spec, result, NOW):
            self.meter.change(change)

    def page(
        self,
        *,
        openmetrics: bool = False,
        traffic: Totals | None = None,
        status: Mapping[str, Any] = STATUS,
    ) -> str:
        events = {"health": 0, "audit": 2}
        sources = Sources(self.board.snapshot, self.meter, status, traffic, in_flight=3, events=events)
        page = Page(openmetrics=openmetrics)
        return "".join(families(page, sources)) + page.end

    def value(self, name: str, **wanted: str) -> float:
        for sample_name, sample_labels, value in samples(self.page(traffic=TRAFFIC)):
            if sample_name == name and wanted.items() <= sample_labels.items():
                return value
        raise AssertionError(f"no sample {name} {wanted}")


TRAFFIC = Totals(requests=10, errors=1, busy_seconds=2.0, buckets=(4, *[0] * 12, 2))


def samples(page: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in parse_text(page):
        for sample in family.samples:
            yield sample.name, dict(sample.labels), sample.value


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_both_formats_say_the_same(world: World) -> None:
    world.find("db", Result(Status.PASS, "ok", duration_seconds=0.002))
    text = sorted((n, sorted(ls.items()), v) for n, ls, v in samples(world.page(traffic=TRAFFIC)))
    strict = sorted(
        (sample.name, sorted(sample.labels.items()), sample.value)
        for family in parse_openmetrics(world.page(openmetrics=True, traffic=TRAFFIC))
        for sample in family.samples
    )
    assert text == strict
    assert len(text) > 100


def test_no_family_appears_twice_or_in_pieces(world: World) -> None:
    heads = [
        line.split()[2] for line in world.page(traffic=TRAFFIC).splitlines() if line.startswith("# TYPE")
    ]
    assert len(heads) == len(set(heads))


def test_what_is_down_is_told_with_its_status(world: World) -> None:
    assert world.value("oatie_service_up", service="db") == 0
    assert world.value("oatie_service_status", service="db", status="unknown") == 1
    world.find("db", Result(Status.WARN, "slow"))
    assert world.value("oatie_service_up", service="db") == 1
    assert world.value("oatie_service_status", service="db", status="warn") == 1
    assert world.value("oatie_service_status", service="db", status="unknown") == 0
    assert world.value("oatie_service_transitions_total", service="db") == 1
    world.meter.change(Change("db", Status.WARN, Status.FAIL, "gone"))
    assert world.value("oatie_service_transitions_total", service="db") == 2


@pytest.mark.parametrize(
    ("result", "word"),
    [
        (Result(Status.PASS, ""), "pass"),
        (Result(Status.WARN, ""), "warn"),
        (Result(Status.FAIL, ""), "fail"),
        (Result(Status.FAIL, "", trouble="timeout"), "timeout"),
        (Result(Status.UNKNOWN, "", trouble="error"), "error"),
        (Result(Status.UNKNOWN, ""), "skipped"),
    ],
)
def test_each_run_is_counted_by_what_came_of_it(world: World, result: Result, word: str) -> None:
    for before in RESULTS:
        assert world.value("oatie_check_runs_total", service="db", check="tcp", result=before) == 0
    world.find("db", result)
    assert world.value("oatie_check_runs_total", service="db", check="tcp", result=word) == 1


def test_histogram_of_checks_adds_up(world: World) -> None:
    for seconds in (0.0005, 0.001, 0.3, 99.0):
        world.find("db", Result(Status.PASS, "", duration_seconds=seconds))

    def bucket(bound: str) -> float:
        return world.value("oatie_check_duration_seconds_bucket", service="db", le=bound)

    assert [bucket(bound) for bound in ("0.001", "0.25", "0.5", "10.0", "+Inf")] == [2, 2, 3, 3, 4]
    assert world.value("oatie_check_duration_seconds_count", service="db") == 4
    assert world.value("oatie_check_duration_seconds_sum", service="db") == pytest.approx(99.3015)
    assert world.value("oatie_check_schedule_lag_seconds", service="db") == 0.25
    assert world.value("oatie_check_last_run_timestamp_seconds", service="db") == NOW.epoch_seconds


def test_what_nobody_counts_of_a_program_has_no_sample(world: World) -> None:
    program = {"state": "serving", "rss_bytes": 4096, "in_flight": None, "connections": None}
    page = world.page(status={**STATUS, "workers": [program, program]}).splitlines()
    assert "oatie_app_resident_memory_bytes 8192" in page
    assert not [line for line in page if line.startswith(("oatie_app_requests_in", "oatie_app_connections"))]


def test_traffic_of_the_application_is_a_histogram(world: World) -> None:
    assert world.value("oatie_app_requests_total") == 10
    assert world.value("oatie_app_request_errors_total") == 1
    assert world.value("oatie_app_request_duration_seconds_bucket", le="10.0") == 4
    assert world.value("oatie_app_request_duration_seconds_count") == 6
    assert world.value("oatie_app_requests_in_flight") == 3
    assert world.value("oatie_service_restarts_total", trigger="auto") == 2
    assert "oatie_app_requests_total" not in world.page()  # a program counts nothing: no zeros that lie
    assert len(LATENCY_BOUNDS_SECONDS) == len(BOUNDS_SECONDS)


def test_a_failed_reload_and_what_runs_now_are_told(world: World) -> None:
    assert world.value("oatie_config_last_reload_successful") == 0
    assert world.value("oatie_config_last_reload_success_timestamp_seconds") == 1_600_000_000.5
    assert world.value("oatie_check_in_flight") == 3
    assert world.value("oatie_events_total", type="audit") == 2


def test_odd_names_and_numbers_are_written_as_the_format_wants() -> None:
    assert escape('a"b\\c\nd') == 'a\\"b\\\\c\\nd'
    assert labels(service='x"') == '{service="x\\""}'
    assert [number(v) for v in (1, 0.5, float("inf"), float("-inf"))] == ["1", "0.5", "+Inf", "-Inf"]
    assert number(float("nan")) == "NaN"


def test_shipped_dashboard_asks_for_metrics_that_exist(world: World) -> None:
    """Grafana is not there to try it; at least no panel may ask for a name that nobody exports."""
    known = {name.removesuffix("_bucket") for name, _, _ in samples(world.page(traffic=TRAFFIC))}
    known |= {"oatie_service_uptime_ratio", "oatie_host_cpu_usage_ratio", "process_resident_memory_bytes"}
    known |= {f"oatie_host_memory_{kind}_bytes" for kind in ("available", "total")}
    known |= {f"oatie_host_filesystem_{kind}_bytes" for kind in ("avail", "size")}
    data = json.loads(files("oatie_ops.health").joinpath("data/oatie-grafana.json").read_text())
    asked = set()
    for panel in data["panels"]:
        for target in panel["targets"]:
            words = "".join(c if c.isalnum() or c == "_" else " " for c in target["expr"]).split()
            asked |= {w.removesuffix("_bucket") for w in words if w.startswith(("oatie_", "process_"))}
    assert asked
    assert asked <= known


def test_large_page_comes_in_small_pieces_that_make_whole_families() -> None:
    page = Page(openmetrics=True)
    names = [labels(service=f"s{number}") for number in range(1000)]
    gauge = list(page.gauge("up", "Up.", ((name, 1) for name in names)))
    histogram = list(
        page.histogram("took_seconds", "Took.", (0.1, 1.0), ((n, (1, 2, 3), 4.5) for n in names))
    )
    for pieces in (gauge, histogram):
        assert max(piece.count("\n") for piece in pieces) <= PIECE_LINES + 2
        assert all(piece.endswith("\n") for piece in pieces)
    families = {f.name: f.samples for f in parse_openmetrics("".join([*gauge, *histogram]) + page.end)}
    assert len(families["up"]) == 1000
    assert len(families["took_seconds"]) == 1000 * 5
    assert list(page.gauge("none", "None.", [])) == []


@pytest.mark.parametrize("count", [0, 1, MEMBERS_AT_ONCE, MEMBERS_AT_ONCE + 1, 5 * MEMBERS_AT_ONCE])
def test_json_in_pieces_is_the_json_of_the_whole(count: int) -> None:
    members = {f'n"{number}': {"text": "ü", "number": number, "none": None} for number in range(count)}
    for head in ({}, {"status": "pass", "list": [1]}):
        made = asyncio.run(json_of(head, "services", iter(members.items())))
        assert made == JSONResponse({**head, "services": members}).body
