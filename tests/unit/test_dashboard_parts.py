"""The dashboard's pure parts: renderer, words, pictures, uptime cells, what a scope may see, tiles."""

from __future__ import annotations

import hashlib
import re
import zlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.api.app import routers
from oatie_ops.api.auth import operator, reader
from oatie_ops.api.dashboard import charts, parts, readings, records, tiles, words
from oatie_ops.api.dashboard.assets import TYPES, read
from oatie_ops.api.dashboard.frame import unknown, uptime_bar
from oatie_ops.api.dashboard.templates import Html, parse, render_text, template
from oatie_ops.api.routing import Declared, Depends, parameters_of
from oatie_ops.api.tokens import Scope
from oatie_ops.api.visible import visible
from oatie_ops.performance.measured import Measured
from oatie_ops.store import Store

HOSTILE = "<script>alert(1)</script>\"'&"

# --- renderer ------------------------------------------------------------------


def test_values_are_escaped_unless_they_are_html() -> None:
    values = {"text": HOSTILE, "html": Html("<b>x</b>")}
    assert render_text('<p title="{{text}}">{{html}}</p>', values) == (
        '<p title="&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;"><b>x</b></p>'
    )


def test_sections_repeat_choose_and_see_what_is_around_them() -> None:
    text = "{{#items}}[{{name}} of {{all}}]{{/items}}{{^items}}none{{/items}}{{#words}}{{.}},{{/words}}"
    found = {"items": [{"name": "a"}, {"name": "b"}], "all": 2, "words": ["x", "y"]}
    assert render_text(text, found) == "[a of 2][b of 2]x,y,"
    assert render_text(text, {"items": [], "all": 0, "words": []}) == "none"


@pytest.mark.parametrize("text", ["{{#a}}", "{{/a}}", "{{#a}}{{#b}}{{/a}}{{/b}}"])
def test_sections_that_do_not_fit_are_a_mistake_of_the_template(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


@pytest.mark.parametrize(("value", "error"), [(None, TypeError), (True, TypeError), ([], TypeError)])
def test_what_is_no_text_is_not_shown_as_one(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        render_text("{{a}}", {"a": value})
    with pytest.raises(KeyError):
        render_text("{{b}}", {"a": 1})


def test_every_template_can_be_parsed_and_holds_no_script_or_style() -> None:
    folder = files("oatie_ops.api.dashboard").joinpath("templates")
    names = [entry.name.removesuffix(".html") for entry in folder.iterdir() if entry.name.endswith(".html")]
    assert "dashboard" in names
    for name in names:
        assert template(name)
        text = folder.joinpath(f"{name}.html").read_text()
        assert " style=" not in text and "<style" not in text and " onclick" not in text


# --- words -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (59.9, "59s"), (250, "4m 10s"), (11_100, "3h 5m"), (180_000, "2d 2h"), (None, "–")],
)
def test_duration_has_two_units_at_most(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(("share", "text"), [(1.0, "100 %"), (0.99999, "99.99 %"), (0.5, "50.00 %")])
def test_only_what_was_always_up_is_hundred_percent(share: float, text: str) -> None:
    assert words.percent(share) == text


def test_ages_are_filled_in_at_the_end_so_that_unchanged_parts_stay_the_same() -> None:
    html = words.ago(100.0) + words.ago(100.0, "for")
    assert html == words.ago(100.0) + words.ago(100.0, "for")
    assert ">12s ago</time>" in words.aged(html, 112.0)
    assert ">12s</time>" in words.aged(html, 112.0)


def test_code_is_marked_in_escaped_text() -> None:
    assert words.marked("run `a<b`") == "run <code>a&lt;b</code>"


# --- pictures ----------------------------------------------------------------------


def test_line_has_a_gap_where_nothing_was_measured() -> None:
    svg = charts.sparkline([1.0, 2.0, None, 3.0, 4.0], label=HOSTILE)
    assert svg.partition('class="line" d="')[2].partition('"')[0].count("M") == 2
    assert "<script" not in svg and " style=" not in svg
    assert "not enough" in charts.sparkline([1.0], label="x")


def test_cell_of_an_uptime_bar_tells_by_its_height_too() -> None:
    svg = charts.uptime_bar([None, 1.0, 0.7, 0.1], ["a", "b", "c", HOSTILE], "sum")
    assert [kind for kind in ("none", "up", "part", "down") if f'class="{kind}"' in svg] == [
        "none",
        "up",
        "part",
        "down",
    ]
    assert len({part.partition('"')[0] for part in svg.split(' height="')[1:]}) == 4
    assert 'tabindex="0"' in svg and "<script" not in svg


@pytest.mark.parametrize(
    ("known_seconds", "told"),
    [
        (0.0, ""),
        (60.0, "1h 100 %"),
        (3_700.0, "1h 100 % · 24h 99.95 %"),
        (90_000.0, "1h 100 % · 24h 99.95 % · 7d 99.00 %"),
    ],
)
def test_no_longer_an_uptime_is_told_than_was_looked_at(known_seconds: float, told: str) -> None:
    shares = {"hour": 1.0, "day": 0.9995, "week": 0.99}
    assert words.uptimes({**shares, "known_seconds": known_seconds}) == told


def test_bar_of_a_young_service_is_its_last_hour() -> None:
    now = 1_800_000_100.0
    start = int(now // 300) * 300
    young = uptime_bar([(start, 90.0, 10.0)], [], 100.0, now)
    assert (young["span_seconds"], len(young["cells"]), young["cells"][-1]) == (3600, 12, 0.9)
    assert young["cells"][:-1] == [None] * 11
    hour = int(now // 3600) * 3600
    old = uptime_bar([], [(hour - 3600, 3600.0, 0.0), (hour, 0.0, 50.0)], 90_000.0, now)
    assert (old["span_seconds"], len(old["cells"]), old["cells"][-2:]) == (86_400, 24, [1.0, 0.0])


# --- figures -----------------------------------------------------------------------


def test_what_nobody_measured_is_unknown_and_says_why() -> None:
    past = unknown("nothing yet")
    assert readings.resources(None, past, lambda: 0.0)["known"] is False
    old = readings.resources(Measured(10.0, {"host.cpu_percent": 5.0}), past, lambda: 60.0)
    assert (old["known"], old["why"]) == (False, "nothing was measured for 50 s")
    html = next(iter(tiles.resource_tiles(old))).html
    assert "unknown" in html and "nothing was measured for 50 s" in html


def test_limits_of_a_container_go_before_the_host() -> None:
    values = {"host.cpu_percent": 5.0, "cgroup.cpu_percent": 80.0, "cgroup.cpu_limit_cores": 1.0}
    found = readings.resources(Measured(10.0, values), unknown(""), lambda: 11.0)
    assert (found["scope"], found["cpu_percent"], found["memory_percent"]) == ("cgroup", 80.0, None)


def test_errors_are_a_share_of_what_ended() -> None:
    values = {"app.completions_per_s": 20.0, "app.errors_per_s": 5.0}
    assert readings.traffic(Measured(1.0, values), unknown(""), lambda: 1.0)["error_ratio"] == 0.25
    assert readings.traffic(Measured(1.0, {"host.load1": 1.0}), unknown(""), lambda: 1.0)["known"] is False


def test_reader_does_not_see_what_helps_an_intruder() -> None:
    data = {
        "workers": [{"id": 1, "pid": 7}],
        "origin": "ssh 10.0.0.1",
        "error": {"details": ["log"], "what": "x"},
    }
    assert visible(data, Scope.OPERATE) == data
    assert visible(data, Scope.READ) == {
        "workers": [{"id": 1, "pid": None}],
        "origin": "",
        "error": {"details": [], "what": "x"},
    }


# --- files and routes -----------------------------------------------------------------


def test_vendored_files_are_what_their_checksums_say() -> None:
    folder = Path(str(files("oatie_ops.api.dashboard").joinpath("static")))
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 3
    for line in lines:
        digest, name = line.split()
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_all_that_a_browser_loads_is_small() -> None:
    packed = sum(len(zlib.compress(read(name), 9)) for name in TYPES)
    assert packed < 60_000
    for name in TYPES:
        text = read(name).decode()
        assert "eval(" not in text and "new Function" not in text
        # Namespaces and the address in uPlot's own notice load nothing.
        assert not re.search(r"(src|href|url\(|fetch\(|import)[\"'=(\s]*https?://", text)


def _needs(route: Declared) -> set[Any]:
    markers = [*route.dependencies, *(parameter.marker for parameter in parameters_of(route))]
    return {marker.find for marker in markers if isinstance(marker, Depends)}


# Their own pages prove who it is in another way: a token or code in the form, the session's CSRF token.
BY_FORM = {
    "/health/dashboard/login",
    "/health/dashboard/logout",
    "/health/dashboard/act",
    "/health/dashboard/links",
}
OPEN = {
    "/",
    "/health",
    "/health/live",
    "/health/ready",
    "/health/startup",
    "/docs",
    "/openapi.json",
    "/health/dashboard/assets/{digest}/{name}",
}


def test_no_route_forgets_to_ask_who_it_is() -> None:
    routes = [declared for router in routers() for declared in router.declared]
    assert len(routes) > 30
    for route in routes:
        if route.path in BY_FORM | OPEN | {"/health/dashboard/html"}:  # which shows the sign-in instead
            continue
        needed = reader if route.method == "GET" else operator
        assert needed in _needs(route), f"{route.method} {route.path}"


@pytest.mark.parametrize(
    ("status", "serving", "says"),
    [
        ("building", "1", "Deploy of release 2: building; it does not serve yet"),
        ("built", "1", "Deploy of release 2: built; it does not serve yet"),
        ("built", "2", "Deploy of release 2: built; it serves, and is watched before it counts as good"),
        ("good", "2", None),
        ("bad", "1", None),
    ],
)
def test_a_release_is_coming_until_it_is_decided(status: str, serving: str, says: str | None) -> None:
    newest = {"number": 2, "status": status, "actor": "alice", "created_at": 7.0}
    before = {"number": 1, "status": "building", "actor": "alice", "created_at": 1.0}
    found = parts.coming({"known": True, "items": [newest, before]}, serving)
    assert (found and found["text"]) == says
    assert parts.coming({"known": False}, serving) is None


def test_refusals_push_nothing_that_was_done_off_the_page(tmp_path: Path) -> None:
    database = tmp_path / "state.db"
    with Store.open(database) as store:
        store.audit.add("alice", "cli", "degrade", "reports", "done", "operator: slow")
        for number in range(100):
            subject = "POST /health/services/app/restart" if number % 2 else f"GET /{number}"
            store.audit.add("unknown", "10.0.0.9", "request", subject, "refused 401", "no token")
        assert [entry.subject for entry in store.audit.recent(3, refused=False)] == ["reports"]
    items = records.events(database)["items"]
    messages = [item["message"] for item in items]
    assert "degrade reports: done (operator: slow)" in messages
    assert "request POST /health/services/app/restart: refused 401, 50 times (no token)" in messages
    assert len(items) == 1 + records.REFUSALS_SHOWN
