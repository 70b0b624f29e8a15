"""What degrades by itself: failing needs, open breakers, overload by priority."""

from __future__ import annotations

from typing import Any

from oatie_ops.config.settings import ServiceSettings
from oatie_ops.degradation.automatic import Condition, Overload, Pressure, classes, for_needs, levels
from oatie_ops.degradation.decision import Decision


def service(name: str, *auto: str, **degrade: Any) -> ServiceSettings:
    return ServiceSettings(name, degrade={"auto": auto, **degrade})


REPORTS = service("reports", "db", "cache")
BY_DB = ("reports", "breaker", "health:db")


def held(key: tuple[str, str, str], **more: Any) -> Decision:
    name, owner, cause = key
    return Decision(name, owner, 100, "why", "oatie", "automatic", 0.0, cause=cause, **more)


def test_a_failing_need_degrades_and_a_recovered_one_restores() -> None:
    failing = {"db": Condition("fail", "refused"), "cache": Condition("pass")}
    missing, over = for_needs([REPORTS], failing, (), [])
    assert missing == {BY_DB: "db is failing: refused"} and over == set()
    assert for_needs([REPORTS], failing, (), [held(BY_DB)]) == ({}, set())
    well = {"db": Condition("warn"), "cache": Condition("pass")}
    assert for_needs([REPORTS], well, (), [held(BY_DB)]) == ({}, {BY_DB})


def test_nothing_changes_while_health_is_unknown() -> None:
    for conditions in ({}, {"db": Condition("unknown")}):
        assert for_needs([REPORTS], conditions, (), [held(BY_DB)]) == ({}, set())


def test_what_an_operator_overruled_is_not_decided_again_while_its_cause_lasts() -> None:
    failing = {"db": Condition("fail"), "cache": Condition("pass")}
    assert for_needs([REPORTS], failing, (), [held(BY_DB, overruled_by="alice")]) == ({}, set())


def test_an_open_breaker_degrades_and_its_closing_restores() -> None:
    well = {"db": Condition("pass"), "cache": Condition("pass")}
    key = ("reports", "breaker", "breaker:db")
    assert for_needs([REPORTS], well, ("db",), []) == ({key: "the breaker of db is open"}, set())
    assert for_needs([REPORTS], well, (), [held(key)]) == ({}, {key})


def test_a_decision_of_another_host_is_not_ours_to_end() -> None:
    well = {"db": Condition("pass"), "cache": Condition("pass")}
    assert for_needs([REPORTS], well, (), [held(BY_DB, host="web2")]) == ({}, set())


def test_overload_is_told_with_its_figure() -> None:
    limit = Overload(lag_seconds=0.25, in_flight=50)
    assert limit.reason(0.1, 10) == ""
    assert "300 ms late" in limit.reason(0.3, 10)
    assert "60 requests" in limit.reason(0.0, 60)
    assert Overload(0.25).reason(0.0, 10_000) == ""


def test_shedding_begins_after_two_overloaded_seconds_and_eases_slowly() -> None:
    pressure, seen = Pressure(), []
    for overloaded in [True] * 4 + [False] * 11:
        pressure = pressure.next(overloaded, 200)
        seen.append(pressure.value)
    assert seen == [0, 25, 50, 75, 75, 75, 75, 75, 50, 50, 50, 50, 50, 25, 25]


def test_one_overloaded_second_among_calm_ones_sheds_nothing() -> None:
    pressure = Pressure()
    for overloaded in (True, False, True, False):
        pressure = pressure.next(overloaded, 100)
    assert pressure.value == 0


def test_the_lowest_priority_is_shed_whole_before_the_next_is_touched() -> None:
    order = classes(
        [
            service("checkout", "load", priority=1),
            service("search", "load"),
            service("export", "load", priority=9),
            service("reports", "db"),
        ]
    )
    assert order == [["export"], ["search"], ["checkout"]]
    assert levels(50, order) == {"export": 50, "search": 0, "checkout": 0}
    assert levels(125, order) == {"export": 100, "search": 25, "checkout": 0}
    assert Pressure(300).next(True, 300).value == 300
