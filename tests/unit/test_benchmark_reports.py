"""What the comparison's harness makes of figures: verdicts, tables, JSON, pictures."""

from __future__ import annotations

import json
import threading
from argparse import Namespace
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import Benchmark, measured
from tests.benchmarks.measuring import OutOfTimeError, at_most, interleaved, once_each, ratio, summed_up
from tests.benchmarks.plots import draw, panels
from tests.benchmarks.report import Figure, Options, Report, groups, missed, peer_wins, table
from tests.benchmarks.writing import Run, as_json, as_markdown

FIGURES = (
    Figure("kill", "oatie", 0.6, "s until back", best=0.5, limit=0.65),
    Figure("kill", "quicker", 0.4, "s until back"),
    Figure("kill", "slower", 1.7, "s until back", note="restarts | polls"),
    Figure("kill", "bare boot", 0.1, "s until back", reference=True),
    Figure("kill", "oatie", 0, "failed", limit=0),
    Figure("kill", "quicker", 2, "failed"),
    Figure("throughput", "oatie", 0.9, "x uvicorn", limit=0.98, better="higher"),
    Figure("throughput", "other", 1.1, "x uvicorn", better="higher"),
    Figure("throughput", "silent", None, "x uvicorn", better="higher"),
)
REPORT = Report("kill", "After kill -9", FIGURES, (("pm2", "npm is missing"),))
RUN = Run("2026-01-02T03:04+00:00", "Linux, 2 cores", 61.2, True, (REPORT,))


def test_a_limit_is_the_most_or_the_least_and_an_unmeasured_value_has_no_verdict() -> None:
    met = [figure.met for figure in FIGURES]
    assert met == [True, None, None, None, True, None, False, None, None]
    assert Figure("b", "oatie", None, "s", limit=1).met is None
    assert (FIGURES[0].target, FIGURES[6].target) == ("<= 0.65", ">= 0.98")
    assert missed(FIGURES) == ["throughput, oatie: 0.9 x uvicorn (promised: >= 0.98)"]


def test_a_peer_wins_only_where_it_is_better_in_the_same_benchmark_and_unit() -> None:
    assert peer_wins(FIGURES) == [
        "kill: quicker 0.4 against 0.6 s until back",
        "throughput: other 1.1 against 0.9 x uvicorn",
    ]


def test_figures_are_grouped_by_benchmark_and_unit_in_their_order() -> None:
    sizes = [(group[0].benchmark, group[0].unit, len(group)) for group in groups(FIGURES)]
    assert sizes == [("kill", "s until back", 4), ("kill", "failed", 2), ("throughput", "x uvicorn", 3)]


def test_the_table_is_aligned_and_says_what_is_unknown_and_what_was_missed() -> None:
    lines = table(FIGURES).splitlines()
    assert len(lines) == 2 + len(FIGURES)
    unit_at = lines[0].index("unit")
    assert all(
        line[unit_at:].startswith(figure.unit) for line, figure in zip(lines[2:], FIGURES, strict=True)
    )
    assert "MISSED" in lines[8]
    assert "unknown" in lines[10]


def test_markdown_has_a_table_the_reasons_the_wins_and_the_picture() -> None:
    text = as_markdown(RUN, ["kill"])
    assert "| kill | oatie | 0.6 | 0.5 | s until back | <= 0.65 | met |  |" in text
    assert "restarts \\| polls" in text
    assert "- pm2 was left out: npm is missing" in text
    assert "![After kill -9](kill.svg)" in text
    assert "- kill: quicker 0.4 against 0.6 s until back" in text.split("## Where a peer wins")[1]
    assert "(kill.svg)" not in as_markdown(RUN)


def test_markdown_says_so_when_no_peer_wins_and_nothing_is_missed() -> None:
    text = as_markdown(Run("now", "here", 1, False, (Report("a", "A", FIGURES[4:6]),)))
    assert "Nowhere in this run." in text
    assert "None in this run." in text


def test_json_holds_every_figure_with_its_verdict() -> None:
    data = json.loads(as_json(RUN))
    assert (data["schema"], data["quick"]) == ("oatie.benchmarks/v1", True)
    found = data["reports"][0]
    assert [figure["met"] for figure in found["figures"]][:2] == [True, None]
    assert found["figures"][8]["value"] is None
    assert found["left_out"] == {"pm2": "npm is missing"}
    assert len(data["peers_win"]) == 2


def test_panels_leave_out_what_nobody_measured_and_groups_of_noughts() -> None:
    noughts = (Figure("a", "oatie", 0, "failed"), Figure("a", "peer", 0, "failed"))
    assert panels(noughts) == []
    assert panels([Figure("a", "oatie", 1, "s")]) == []
    kill, _failed, throughput = panels(FIGURES)
    assert kill.limit == 0.65
    assert throughput.labels == ("oatie", "other")
    assert "higher is better" in throughput.title
    assert len({*kill.colours}) == 3


def test_bars_are_logarithmic_only_where_linear_ones_would_vanish() -> None:
    near, far = Figure("a", "oatie", 1, "ms"), Figure("a", "peer", 500, "ms")
    assert panels([near, far])[0].logarithmic
    assert not panels([near, Figure("a", "peer", 3, "ms")])[0].logarithmic
    assert not panels([Figure("a", "oatie", 0, "ms"), far])[0].logarithmic


def test_a_picture_is_drawn_twice_and_none_where_there_is_nothing_to_see(tmp_path: Path) -> None:
    png, svg = draw(REPORT, tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in svg.read_text()
    assert draw(Report("empty", "Empty", ()), tmp_path) == []


def test_rivals_take_turns_and_the_first_round_does_not_count() -> None:
    turns: list[str] = []

    def rival(name: str, values: list[float]) -> float:
        turns.append(name)
        return values.pop(0)

    a, b = [99.0, 1.0, 2.0, 6.0], [99.0, 2.0, 2.0, 3.0]
    found = interleaved({"oatie": lambda: rival("a", a), "peer": lambda: rival("b", b)}, 3)
    assert turns == ["a", "b"] * 4
    assert found == {"oatie": [1, 2, 6], "peer": [2, 2, 3]}
    assert ratio(found["oatie"], found["peer"]) == 1
    figures = list(summed_up("x", found, "ms", scale=1000, limits={"oatie": 5}, references=["peer"]))
    assert [(figure.value, figure.best) for figure in figures] == [(2000, 1000), (2000, 2000)]
    assert (figures[0].met, figures[1].reference) == (False, True)


def failing_in(round_: int, calls: list[int]) -> float:
    calls.append(1)
    if len(calls) >= round_:
        raise RuntimeError("\npeer did not start:\nits log")
    return 1.0


def test_a_peer_that_fails_is_left_out_from_then_on_with_the_reason() -> None:
    calls: list[int] = []
    options = Options()
    found = once_each({"oatie": lambda: 1.0, "peer": lambda: failing_in(2, calls)}, 4, options)
    assert found == {"oatie": [1.0] * 4}
    assert options.gone == {"peer": "failed in round 2: peer did not start:"}
    assert len(calls) == 2


def test_oatie_itself_has_to_work() -> None:
    with pytest.raises(RuntimeError, match="did not start"):
        once_each({"oatie": lambda: failing_in(1, [])}, 2)


def test_no_round_begins_when_the_time_is_up_but_each_rival_has_one() -> None:
    late = Options(until=0.0)
    assert once_each({"oatie": lambda: 1.0, "peer": lambda: 2.0}, 9, late) == {"oatie": [1.0], "peer": [2.0]}
    assert interleaved({"oatie": lambda: 1.0}, 9, late) == {"oatie": [1.0]}


def test_what_hangs_is_given_up_and_the_next_one_is_not() -> None:
    with pytest.raises(OutOfTimeError, match="not done after"), at_most(0.05):
        threading.Event().wait(60)
    with at_most(60):
        pass


def test_a_benchmark_that_fails_says_why_in_the_table_and_in_json() -> None:
    run = Run("now", "here", 1, False, (Report("steady", "Steady", (), failed="it was not done after 9 s"),))
    assert "Nothing was measured: it was not done after 9 s." in as_markdown(run)
    assert json.loads(as_json(run))["reports"][0]["failed"] == "it was not done after 9 s"


def test_a_module_that_cannot_be_imported_is_a_report_too() -> None:
    report = measured("odd", Benchmark("no_such_module", 1), Namespace(quick=True, traces=None))
    assert (report.figures, report.failed) == ((), "No module named 'tests.benchmarks.no_such_module'")
