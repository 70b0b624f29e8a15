"""Starts: phases from moments, comparisons, imports, advice, and what is written of them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.config.settings import ServiceSettings
from oatie_ops.errors import UsageError
from oatie_ops.performance.advice import advise
from oatie_ops.performance.compare import Verdict, confirm, mann_whitney, suspect, wilcoxon
from oatie_ops.performance.importtime import packages, parse, slowest, total_seconds
from oatie_ops.performance.optimizer import NoSuchProfile, StartupOptimizer
from oatie_ops.performance.page import page
from oatie_ops.performance.phases import PYTHON as WAY
from oatie_ops.performance.phases import Dependency, Mark, Phase, Start, from_json, phases_of, to_json
from oatie_ops.performance.profiles import Inside, Profile, place, waits_of
from oatie_ops.performance.services import service_of
from oatie_ops.performance.speedscope import document
from oatie_ops.performance.starts import start_of
from oatie_ops.performance.startstats import read_stats, summarise
from oatie_ops.store.samplefile import SampleFile
from oatie_ops.store.starts import KEEP_EACH, Starts

IMPORTS = """\
import time: self [us] | cumulative | imported package
import time:       100 |        100 |     numpy.core
import time:       900 |       1000 |   numpy
import time:       500 |       1500 | helper
a line of the application's own
import time:      2000 |       2000 |   pandas._libs
import time:      1000 |       3000 | pandas
import time:        50 |         50 | shop.views
"""


def reports(**more: Any) -> dict[str, dict[str, Any]]:
    times = {"spawned": 9.9, "entered": 10.1, "entered cpu": 0.1, "imported": 10.5, "imported cpu": 0.4}
    return {
        "loaded": {"at": 11.0, "cpu": 0.3, "queued": 0.05, "times": {**times, "born": 10.6}},
        "booted": {"at": 12.0, "cpu": 0.4, "queued": 0.05, "connections": []},
        "gated": {"at": 12.2},
        "serving": {"at": 12.25},
        **more,
    }


def test_phases_follow_each_other_without_a_hole() -> None:
    start = start_of(10.0, reports(), program=False, services={})
    assert [phase.name for phase in start.phases] == [
        "interpreter", "imports", "spawn", "application load", "lifespan", "ready", "accept"
    ]  # fmt: skip
    ends = [phase.start + phase.seconds for phase in start.phases]
    assert [phase.start for phase in start.phases[1:]] == pytest.approx(ends[:-1])
    assert start.seconds == pytest.approx(2.25)
    load = start.phase("application load")
    assert load is not None
    assert load.waiting_seconds == pytest.approx(0.4 - 0.3 - 0.05)


def test_a_later_worker_did_not_wait_for_the_interpreter() -> None:
    start = start_of(10.55, reports(), program=False, services={})
    assert [phase.name for phase in start.phases][:2] == ["spawn", "application load"]


def test_a_program_is_seen_from_outside() -> None:
    seen = {"listening": {"at": 3.0}, "gated": {"at": 3.5}, "serving": {"at": 4.0}}
    start = start_of(2.0, seen, program=True, services={})
    assert [(p.name, p.seconds) for p in start.phases] == [
        ("listening", 1.0),
        ("ready", 0.5),
        ("accept", 0.5),
    ]
    assert start.phases[0].waiting_seconds is None


def test_moments_out_of_order_are_no_negative_times() -> None:
    marks = {"born": Mark(5.0, 0.0), "loaded": Mark(4.0, 1.0), "booted": Mark(6.0, 0.5)}
    assert all(phase.seconds >= 0 for phase in phases_of(3.0, marks, WAY))


def test_connections_are_named_by_their_service() -> None:
    services = {
        "db": ServiceSettings("db", check={"type": "postgres", "url": "postgres://u:p@127.0.0.1/x"}),
        "cache": ServiceSettings("cache", check={"type": "tcp", "host": "cache.internal", "port": 6379}),
        "odd": ServiceSettings("odd", check={"type": "http", "url": "http://h:${env:PORT}/"}),
    }
    seen = [{"address": "127.0.0.1:5432", "at": 11.0, "seconds": 0.4, "ok": True}]
    booted = {"at": 12.0, "cpu": 0.4, "connections": seen}
    start = start_of(10.0, reports(booted=booted), program=False, services=services, peers=["10.0.0.9:6379"])
    assert [(d.service, d.seconds) for d in start.dependencies] == [("db", 0.4), ("cache", None)]
    assert start.reached == Phase("dependencies reached", pytest.approx(1.0), pytest.approx(0.4))
    assert [phase.name for phase in start.all_phases][-1] == "dependencies reached"
    assert service_of("127.0.0.1:9", services) == ""
    assert service_of("localhost:5432", services) == "db"


def test_a_start_survives_its_way_into_the_store_and_back() -> None:
    first = {"at": 13.0, "seconds": 0.01}
    start = start_of(10.0, reports(**{"first-request": first}), program=False, services={}, peers=["[::1]:1"])
    again = from_json(json.loads(json.dumps(to_json(start))))
    assert again.first_request is not None
    assert to_json(again) == to_json(start)


# --- comparing -------------------------------------------------------------------------------------------


def test_the_rank_tests_agree_with_published_tables() -> None:
    # n = 8 and a rank sum of 2: {}, {1} and {2} of the 256 subsets are as small, at both ends.
    assert wilcoxon([1, -2, 3, 4, 5, 6, 7, 8]) == pytest.approx(2 * 3 / 256)
    assert wilcoxon([1, 2, 3, 4, 5, 6, 7, 8]) == pytest.approx(2 / 256)
    assert wilcoxon([]) == 1.0
    assert wilcoxon([-1, 1, -2, 2]) == 1.0
    # Complete separation of five and five: one way in 252 at each end.
    assert mann_whitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / 252)
    assert mann_whitney([2, 4, 6], [1, 3, 5]) == pytest.approx(0.7)
    assert mann_whitney([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) == pytest.approx(1.0, abs=0.1)
    assert mann_whitney(range(20), range(20, 40)) < 1e-6  # type: ignore[arg-type]


@given(st.lists(st.floats(-100, 100).filter(bool), min_size=1, max_size=25, unique_by=abs))
def test_the_signed_rank_test_is_symmetric_and_a_probability(differences: list[float]) -> None:
    p = wilcoxon(differences)
    assert 0 < p <= 1
    assert wilcoxon([-d for d in differences]) == pytest.approx(p)


def noisy(seconds: float, made: random.Random) -> float:
    return seconds * made.lognormvariate(0, 0.1)


def test_history_alone_never_confirms() -> None:
    found = suspect([1.0 + i / 1000 for i in range(20)], [2.0 + i / 1000 for i in range(20)])
    assert found.verdict is Verdict.SUSPECTED_SLOWER
    assert "verify" in found.why
    assert suspect([1.0] * 4, [2.0] * 5).verdict is Verdict.UNKNOWN
    assert suspect([2.0 + i / 1000 for i in range(9)], [1.0 + i / 1000 for i in range(9)]).verdict is (
        Verdict.SUSPECTED_FASTER
    )


def test_pairs_confirm_what_is_there_and_not_what_is_not() -> None:
    made = random.Random(7)
    moods = [made.uniform(0.8, 2.0) for _ in range(20)]
    slower = [(noisy(mood, made), noisy(1.3 * mood, made)) for mood in moods]
    assert confirm(slower).verdict is Verdict.CONFIRMED_SLOWER
    alarms = 0
    for seed in range(200):
        made = random.Random(seed)
        pairs = [(noisy(mood, made), noisy(mood, made)) for mood in moods]
        alarms += confirm(pairs).verdict is not Verdict.SAME
    assert alarms <= 4  # p < 0.01 and a ratio of 4 %
    assert confirm(slower[:5]).verdict is Verdict.UNKNOWN


# --- imports ---------------------------------------------------------------------------------------------


def test_importtime_becomes_a_tree() -> None:
    roots = parse(IMPORTS)
    assert [root.name for root in roots] == ["helper", "pandas", "shop.views"]
    assert [child.name for child in roots[0].walk()] == ["helper", "numpy", "numpy.core"]
    assert total_seconds(roots) == pytest.approx(0.00455)
    assert slowest(roots, 1)[0].name == "pandas._libs"


def test_packages_are_counted_for_who_imports_them() -> None:
    text = """\
import time:       100 |        100 |     numpy.core
import time:       900 |       1000 |   numpy
import time:       500 |       1500 | shop.data
import time:      3000 |       3000 | pandas
"""
    found = packages(parse(text), frozenset({"shop"}), "shop.main")
    assert [(c.package, c.importer, c.modules) for c in found] == [
        ("pandas", "shop.main", 1), ("numpy", "shop.data", 2)
    ]  # fmt: skip
    assert found[1].seconds == pytest.approx(0.001)


def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes() -> None:
    assert [m.name for m in parse("import time: 5 | 5 |     deep\nimport time: gar")] == ["deep"]
    assert parse("") == []


# --- profiles, advice ------------------------------------------------------------------------------------


def profile(**more: Any) -> Profile:
    phases = (
        Phase("spawn", 0.0, 0.1),
        Phase("application load", 0.1, 1.0, 0.4, 0.1),
        Phase("ready", 1.1, 0.1),
    )
    waits = (Dependency("127.0.0.1:5432", 0.2, 0.3, True, "db"), Dependency("10.0.0.1:6379", 0.5, 0.2, False))
    starts = tuple(Start(1.2 + i / 100, phases, waits) for i in range(5))
    samples = [
        {
            "at": 0,
            "seconds": 0.005,
            "blocked": True,
            "stack": ["<string>:1:f", "main.py:7:connect", "/x/socket.py:9:create"],
        }
    ] * 20
    inside = Inside(
        tuple(parse(IMPORTS)),
        (),
        6,
        {"missing": 3, "seconds": 0.2, "names": ["a", "b"]},
        waits_of(samples),
        tuple(samples),
    )
    made: dict[str, Any] = {"what": "<main>:app", "release": "7", "starts": starts, "inside": inside}
    return Profile(**{**made, **more})


def test_advice_says_what_each_change_would_save_the_most_helpful_first() -> None:
    found = profile().advice()
    saves = [one.saves_seconds or 0.0 for one in found]
    assert saves == sorted(saves, reverse=True)
    assert {"dependency", "parallel", "bytecode"} <= {one.kind for one in found}
    assert next(one for one in found if one.kind == "dependency").title == "the start waits for db"


def test_where_it_waits_is_a_place_in_the_application() -> None:
    assert place(["main.py:7:connect", "/x/socket.py:9:create"]) == "main.py:7 in connect (socket.py: create)"
    assert place(["/x/socket.py:9:create"]) == "/x/socket.py:9 in create"
    assert place(["/x/y.py:1:f", "main.py:3:<module>"]) == "main.py:3"


def test_a_budget_is_kept_or_not() -> None:
    assert profile().within_budget is None
    assert profile(budget_seconds=2.0).within_budget is True
    assert profile(budget_seconds=1.0).within_budget is False


def test_the_page_stands_alone_and_escapes_what_it_shows() -> None:
    text = page(
        profile(comparison=confirm([(1.0, 2.0 + i / 100) for i in range(9)]), compared_with="6"), "1.0"
    )
    assert "<main>" not in text
    assert "&lt;main&gt;:app" in text
    assert "confirmed slower" in text
    assert "<svg" in text
    assert all(word not in text for word in ("<script", "http://1", "https://", "url(", "@import"))


def test_speedscope_gets_balanced_events_and_equal_lengths() -> None:
    made = document(profile(), "oatie")
    frames = len(made["shared"]["frames"])
    for one in made["profiles"]:
        if one["type"] == "sampled":
            assert len(one["samples"]) == len(one["weights"])
            assert all(frame < frames for sample in one["samples"] for frame in sample)
            continue
        stack: list[int] = []
        last = 0.0
        for event in one["events"]:
            assert event["at"] >= last
            last = event["at"]
            if event["type"] == "O":
                stack.append(event["frame"])
            else:
                assert stack.pop() == event["frame"]
        assert stack == []


def test_nothing_measured_advises_nothing() -> None:
    assert advise([]) == []
    assert summarise([]).releases == ()


# --- the library -----------------------------------------------------------------------------------------


def test_a_profile_of_checkpoints(tmp_path: Path) -> None:
    now = {"at": 100.0}
    store = tmp_path / "samples.db"
    optimizer = StartupOptimizer(store=store, clock=lambda: now["at"])
    profile_id = optimizer.start_profiling("my_service")
    for name, seconds, dependency in (
        ("initialized", 0.5, None),
        ("connected", 2.0, "database"),
        ("ready", 0.1, None),
    ):
        now["at"] += seconds
        optimizer.add_checkpoint(profile_id, name, dependency)
    found = optimizer.finish_profiling(profile_id)
    assert found.total_seconds == pytest.approx(2.6)
    assert [round(c.seconds, 6) for c in found.checkpoints] == [0.5, 2.0, 0.1]
    assert found.bottleneck is not None and found.bottleneck.name == "connected"
    with pytest.raises(NoSuchProfile):
        optimizer.add_checkpoint(profile_id, "late")
    stats = optimizer.get_startup_stats()
    assert (stats.total, stats.releases[0].kind, stats.releases[0].release) == (1, "library", "my_service")
    assert any("database" in advice["title"] for advice in optimizer.get_startup_recommendations())


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb"])
def test_bad_names_are_refused(name: str, tmp_path: Path) -> None:
    optimizer = StartupOptimizer(store=tmp_path / "samples.db")
    with pytest.raises(UsageError):
        optimizer.start_profiling(name)


def test_profiles_that_are_never_finished_do_not_pile_up(tmp_path: Path) -> None:
    optimizer = StartupOptimizer(store=tmp_path / "samples.db")
    first = optimizer.start_profiling("first")
    for _ in range(100):
        optimizer.start_profiling("more")
    with pytest.raises(NoSuchProfile):
        optimizer.finish_profiling(first)


def test_the_newest_release_is_compared_with_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "samples.db"
    file = SampleFile(path)
    starts = Starts(file)
    for release, seconds in (("6", 1.0), ("7", 1.5)):
        for i in range(10):
            start = Start(seconds + i / 1000, (Phase("application load", 0.0, seconds, seconds),))
            starts.add(1000.0, "worker", release, start.seconds, to_json(start))
    file.close()
    stats = read_stats(path)
    assert stats.compared == ("6", "7")
    assert stats.regression is not None
    assert stats.regression.verdict is Verdict.SUSPECTED_SLOWER
    assert stats.as_dict()["regression"]["verdict"] == "suspected slower"


def test_starts_are_bounded_in_number(tmp_path: Path) -> None:
    file = SampleFile(tmp_path / "samples.db")
    starts = Starts(file)
    starts.add(1.0, "worker", "1", 1.0, {})
    for i in range(KEEP_EACH + 20):
        starts.add(float(i), "worker", "2", 1.0, {"n": i})
    assert len(starts.latest(release="2", limit=1000)) == KEEP_EACH
    assert len(starts.latest(release="1")) == 1
    file.close()


def test_without_a_project_a_programs_own_profiles_are_told(tmp_path: Path) -> None:
    optimizer = StartupOptimizer(store=tmp_path / "nowhere" / "samples.db")
    for _ in range(2):
        profile = optimizer.start_profiling("shop")
        optimizer.add_checkpoint(profile, "database", dependency="database")
        optimizer.finish_profiling(profile)
    stats = optimizer.get_startup_stats()
    assert (stats.total, stats.releases[0].release, stats.releases[0].count) == (2, "shop", 2)
    assert optimizer.get_startup_stats("shop").total == 2
    assert optimizer.get_startup_stats("another").total == 0
    assert not list(tmp_path.iterdir())
