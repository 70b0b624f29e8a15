"""The watch without a terminal: when it ends, what counts as a change, what keys and frames do."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest

from oatie_ops.cli import health_look
from oatie_ops.cli import health_nagios as nagios
from oatie_ops.cli.context import Context
from oatie_ops.cli.health_frame import Screen, duration, frame, percent, sparkline
from oatie_ops.cli.health_history import Remembered
from oatie_ops.cli.health_look import Look, Wanted, judge, look_once, say_unmet
from oatie_ops.cli.health_view import SORTS, View, arrange, decode, press
from oatie_ops.cli.health_watch import changes, sample
from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode

SCREEN = Screen(columns=110, lines=24)
LATENCY = {"p50_seconds": 0.001, "p95_seconds": 0.004, "p99_seconds": 0.005, "samples": 3}


def service(status: str, output: str = "fine", **more: Any) -> dict[str, Any]:
    return {
        "status": status,
        "output": output,
        "for_seconds": 75.0,
        "needs": [],
        "consequence_of": None,
        "maintenance": None,
        "flapping": False,
        "uptime": {"hour": 1.0, "day": 0.99999, "week": None, "known_seconds": 60.0},
        "latency": {**LATENCY, "recent_seconds": [0.001, 0.002, 0.004]},
        "transitions": [],
        "checks": {
            "tcp": {"duration_seconds": 0.0021, "timeout_seconds": 2.0, "observed_value": None},
        },
        **more,
    }


def look(status: str = "fail", *, supervised: bool = True, **services: dict[str, Any]) -> Look:
    health = {
        "status": status,
        "cause": "db: refused",
        "services": services or {"app": service("pass"), "db": service("fail", "refused")},
        "supervised": supervised,
        "age_seconds": 0.2,
        "release": "7",
        "state": "running",
        "app": {"name": "shop", "url": "http://localhost:8080"},
    }
    return Look(1_700_000_000.0, health)


def lines(found: Look | None, view: View | None = None, screen: Screen = SCREEN, **more: Any) -> list[str]:
    return [line.plain for line in frame(found, view or View(), screen, 1_700_000_001.0, **more)]


# --- the end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "looks", "status", "since", "verdict"),
    [
        (Wanted(), 9, "fail", 99.0, None),
        (Wanted(count=2), 1, "pass", 1.0, None),
        (Wanted(count=2), 2, "warn", 1.0, "warn"),
        (Wanted(until="pass"), 1, "pass", 0.0, ExitCode.OK),
        (Wanted(until="pass"), 1, "warn", 0.0, None),
        (Wanted(until="fail"), 1, "fail", 0.0, ExitCode.OK),
        (Wanted(until="pass", deadline_seconds=5), 3, "unknown", 5.0, ExitCode.FAILED),
        (Wanted(until="pass", deadline_seconds=5), 3, "pass", 5.1, ExitCode.OK),
        (Wanted(until="pass", count=3), 3, "warn", 1.0, ExitCode.FAILED),
    ],
)
def test_watch_ends_when_it_was_asked_to(
    wanted: Wanted, looks: int, status: str, since: float, verdict: object
) -> None:
    assert judge(wanted, looks, status, since) == verdict


def test_a_wait_that_was_in_vain_names_what_stood_in_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = Wanted(until="pass", deadline_seconds=5)
    say_unmet(wanted, look(app=service("pass"), db=service("fail", "refused")), ExitCode.FAILED)
    told = capsys.readouterr()
    assert told.out == ""
    assert "error: it did not become healthy within 5s" in told.err
    assert "db is failing: refused" in told.err
    assert "app is" not in told.err
    say_unmet(wanted, look(), ExitCode.OK)
    say_unmet(Wanted(count=1), look(), "fail")
    assert capsys.readouterr().err == ""


def test_the_look_at_the_deadline_has_time_to_find_out(monkeypatch: pytest.MonkeyPatch) -> None:
    patience: list[float] = []

    def fetch(_context: object, _services: object, seconds: float, *, settle: bool) -> dict[str, object]:
        patience.append(seconds)
        raise OatieError("no answer")

    monkeypatch.setattr(health_look, "fetch", fetch)
    wanted = Wanted(until="pass", deadline_seconds=5)
    for since in (0.0, 3.5, 4.99):
        look_once(Context(), wanted, since)
    assert patience == [5.0, 1.5, 1.0]


# --- changes ------------------------------------------------------------------------------------------


def test_only_what_changed_gets_a_line() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    first, second = look(), look(app=service("pass"), db=service("pass", "accepts"))
    assert [line.split(" ", 1)[1] for line in changes(None, first, stream)] == [
        "✓ app: healthy: fine",
        "✗ db: failing: refused",
    ]
    assert changes(first, first, stream) == []
    (line,) = changes(first, second, stream)
    assert line == "2023-11-14T22:13:20Z ✓ db: failing → healthy: accepts"
    kept = look(app=service("pass", "other words"), db=service("fail", "refused again"))
    assert changes(first, kept, stream) == []


def test_no_answer_is_a_change_and_so_is_a_supervisor_that_left() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    silent = Look(0.0, error=OatieError("no answer", why="timed out"))
    (line,) = changes(look(), silent, stream)
    assert line.endswith("? no answer: timed out")
    assert changes(silent, replace(silent, at=9.0), stream) == []
    (line,) = changes(look(), look(supervised=False), stream)
    assert "no supervisor is running" in line
    assert sample(silent)["status"] == "unknown"
    assert sample(silent)["error"]["what"] == "no answer"


def test_without_a_supervisor_the_watch_keeps_its_own_history() -> None:
    remembered = Remembered()
    bad = {"app": service("pass"), "db": service("fail", "refused")}
    remembered.add(look(supervised=False, **bad))
    second = remembered.add(look(supervised=False, **{**bad, "db": service("pass", "accepts")}))
    assert second.health is not None
    db = second.health["services"]["db"]
    assert (db["uptime"]["day"], db["latency"]["samples"]) == (0.5, 2)
    assert [(t["before"], t["after"]) for t in db["transitions"]] == [("fail", "pass")]
    supervised = look()
    assert remembered.add(supervised) is supervised


# --- the view -----------------------------------------------------------------------------------------

SERVICES = {
    "web": service("warn", latency={**LATENCY, "p95_seconds": 2.0, "recent_seconds": []}),
    "app": service("pass"),
    "cache": service("fail", consequence_of="db"),
    "db": service("fail"),
    "old": service("fail", maintenance={"reason": "moving house"}),
}


@pytest.mark.parametrize(
    ("view", "names"),
    [
        (View(), ["db", "cache", "web", "app", "old"]),
        (View(sort="name"), ["app", "cache", "db", "old", "web"]),
        (View(sort="latency"), ["web", "app", "cache", "db", "old"]),
        (View(faults_only=True), ["db", "cache", "web", "old"]),
        (View(filter="A"), ["cache", "app"]),
    ],
)
def test_order_and_choice_of_services(view: View, names: list[str]) -> None:
    assert arrange(SERVICES, view) == names


def after(keys: str, view: View | None = None, names: tuple[str, ...] = ("a", "b", "c")) -> View:
    view = view or View()
    for key in decode(keys):
        view, _ = press(view, key, names)
    return view


def test_keys_change_the_view() -> None:
    assert after("s").sort == SORTS[1]
    assert after("s" * len(SORTS)).sort == SORTS[0]
    assert after("f").faults_only
    assert after("p").paused
    assert not after("pp").paused
    assert after("?").help
    assert after("/qs\x7f").filter == "q"  # typed, not obeyed
    assert after("/q\r").typing is False
    assert after("/q").typing is True
    assert after("jj").marked == "b"
    assert after("\x1b[B\x1b[B\x1b[A").marked == "a"
    assert after("\x1b[5~") == View()  # page up means nothing here


def test_restart_is_asked_for_first_and_only_yes_does_it() -> None:
    assert after("r").asking == ""
    asked = after("jr")
    assert asked.asking == "a"
    view, act = press(asked, "n", ("a",))
    assert (act, view.asking, view.message) == (None, "", "a was not restarted")
    view, act = press(asked, "y", ("a",))
    assert act is not None
    assert (act.kind, act.service, view.asking) == ("restart", "a", "")


# --- the frame ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [20, 40, 59, 60, 80, 110, 200])
@pytest.mark.parametrize("height", [4, 10, 24])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_frame_fits_every_terminal(columns: int, height: int, ascii_only: bool) -> None:
    many = {f"service-{i}": service("fail", "a long reason " * 20) for i in range(40)}
    shown = frame(look(**many), View(), Screen(columns, height, ascii_only), 1_700_000_001.0)
    assert len(shown) == height
    assert max(line.cell_len for line in shown) <= columns
    assert all(line.plain.isascii() for line in shown) or not ascii_only


def test_frame_tells_the_worst_and_its_cause() -> None:
    shown = lines(look(db=service("fail", "refused"), web=service("fail", consequence_of="db")))
    assert shown[0].strip() == "✗ FAILING   db: refused"
    assert "because of db" in next(line for line in shown if " web " in line)
    assert shown[-1].startswith("q quit")


def test_what_is_all_under_maintenance_is_not_called_degraded() -> None:
    window = {"reason": "upgrade", "until": None, "actor": "ada", "service": "*"}
    excused = service("fail", "refused", maintenance=window)
    first = lines(look("warn", db=excused))[0]
    assert "IN MAINTENANCE" in first
    assert "DEGRADED" not in first
    assert "DEGRADED" in lines(look("warn", db=excused, app=service("warn")))[0]
    assert "HEALTHY" in lines(look("pass", db=service("pass", maintenance=window)))[0]


def test_marked_service_stays_on_a_small_screen() -> None:
    many = {f"s{i:02}": service("pass") for i in range(40)}
    shown = lines(look(**many), View(sort="name", marked="s33"), Screen(80, 12))
    assert any(line.startswith("> ") and "s33" in line for line in shown)
    assert any("more" in line for line in shown)


def test_last_frame_is_whole_and_has_no_keys() -> None:
    many = {f"s{i:02}": service("pass") for i in range(40)}
    shown = lines(look(**many), View(), Screen(80, 12), leaving=True)
    assert all(any(f" s{i:02} " in line for line in shown) for i in range(40))
    assert not any("q quit" in line for line in shown)


def test_newest_events_come_first() -> None:
    def change(at: str, after: str) -> dict[str, str]:
        return {"at": at, "before": "pass", "after": after, "output": "why"}

    db = service("fail", transitions=[change("2026-01-02T00:00:00.000Z", "fail")])
    app = service("pass", transitions=[change("2026-01-03T00:00:00.000Z", "warn")])
    shown = lines(look(db=db, app=app))
    at = next(i for i, line in enumerate(shown) if "LAST EVENTS" in line)
    assert "app: healthy → degraded" in shown[at + 1]
    assert "db: healthy → failing" in shown[at + 2]


def test_answer_that_gets_old_is_told() -> None:
    old = frame(look(), View(), SCREEN, 1_700_000_060.0)
    assert "as of 1m ago" in old[1].plain
    silent = lines(Look(1_700_000_000.0, error=OatieError("no answer", why="timed out")))
    assert silent[0].strip().startswith("? UNKNOWN")
    assert "no answer: timed out" in silent[3]


def test_numbers_are_short_and_never_too_good() -> None:
    assert [duration(value) for value in (None, 0.00042, 0.0123, 0.5, 3.21)] == [
        "-",
        "0.4ms",
        "12.3ms",
        "500ms",
        "3.21s",
    ]
    assert [percent(value) for value in (None, 1.0, 0.999999, 0.5)] == ["-", "100%", "99.99%", "50.00%"]
    assert sparkline([0.0, 0.5, 1.0], SCREEN).strip() == "▁▅█"
    assert sparkline([], SCREEN).strip() == ""


# --- Nagios -------------------------------------------------------------------------------------------


def test_nagios_line_is_one_line_with_performance_data() -> None:
    check = {
        "duration_seconds": 0.5,
        "timeout_seconds": 2.0,
        "observed_value": 81.5,
        "observed_unit": "percent",
    }
    health = {"status": "warn", "cause": "d=k: 81 | hot\n", "services": {"d'k=": {"checks": {"use": check}}}}
    assert nagios.line({**health, "services": {"d'k=": {"status": "warn", "checks": {"use": check}}}}) == (
        "OATIE WARNING - d=k: 81 / hot | 'dk_.use.time'=0.5s;;2;0 'dk_.use'=81.5%;;;0"
    )
