"""Which of several decisions counts, how long it lasts on which clock, and what edits do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oatie_ops.degradation.decision import Decision, Now, decision_from, effective
from oatie_ops.degradation.edit import deciding, edit_from, expiring, restoring, withdrawing

NOW = Now(1_000.0, 5_000.0, "boot-1")


def made(owner: str = "operator", level: int = 100, service: str = "reports", **more: object) -> Decision:
    values = {"reason": "why", "actor": "alice", "origin": "tty", "started_at": 4_000.0, **more}
    return Decision(service, owner, level, **values)  # type: ignore[arg-type]


def lasting(decision: Decision, seconds: float) -> Decision:
    return replace(
        decision,
        until=NOW.epoch_seconds + seconds,
        deadline=NOW.monotonic_seconds + seconds,
        boot_id=NOW.boot_id,
    )


@pytest.mark.parametrize("weaker", ["breaker", "application", "load"])
def test_no_automatic_owner_goes_before_an_operator(weaker: str) -> None:
    gentle, harsh = made(level=10), made(weaker, 100)
    for order in ([gentle, harsh], [harsh, gentle]):
        assert effective(order, NOW)["reports"] is gentle


def test_an_operator_can_keep_a_service_as_it_is() -> None:
    assert effective([made("breaker"), made(level=0)], NOW)["reports"].level == 0


def test_of_one_owner_the_highest_level_counts_and_then_the_longest() -> None:
    low, high = made("breaker", 20, cause="a"), made("breaker", 80, cause="b")
    assert effective([high, low], NOW)["reports"] is high
    short, long = lasting(replace(high, cause="c"), 5.0), lasting(replace(high, cause="d"), 50.0)
    assert effective([short, long], NOW)["reports"] is long
    assert effective([long, high], NOW)["reports"] is high  # without an end


def test_what_is_over_or_overruled_does_not_count() -> None:
    over, overruled = lasting(made(), 0.0), made("breaker", overruled_by="alice")
    assert effective([over, overruled], NOW) == {}


def test_a_stepped_wall_clock_neither_ends_nor_stretches_a_decision() -> None:
    decision = lasting(made(), 60.0)
    for epoch in (0.0, 9e9):
        assert decision.left_seconds(replace(NOW, epoch_seconds=epoch)) == 60.0
    assert decision.left_seconds(replace(NOW, monotonic_seconds=1_059.0)) == 1.0


def test_after_a_reboot_the_wall_clock_counts() -> None:
    decision = lasting(made(), 60.0)
    booted = Now(3.0, NOW.epoch_seconds + 20.0, "boot-2")
    assert decision.left_seconds(booted) == 40.0
    assert decision.in_this_boot(booted).deadline == 43.0
    assert decision.over(replace(booted, epoch_seconds=NOW.epoch_seconds + 61.0))


def test_a_decision_survives_json() -> None:
    decision = lasting(made("breaker", cause="health:db"), 9.0)
    assert decision_from(decision.to_dict()) == decision
    with pytest.raises(ValueError):
        decision_from({**decision.to_dict(), "owner": "nobody else"})
    with pytest.raises(ValueError):
        decision_from({**decision.to_dict(), "level": 101})


def test_a_newer_decision_of_the_same_owner_takes_the_place_of_the_older() -> None:
    old, new, other = made(level=10), made(level=20), made("load")
    edit = deciding([old, other], new)
    assert edit.apply([old, other]) == (other, new)
    assert [(ending.decision, ending.how) for ending in edit.ended] == [(old, "replaced")]
    assert (edit.action, edit.subject) == ("degrade", "reports")


def test_renewing_an_automatic_decision_is_no_news_and_stays_overruled() -> None:
    old = made("breaker", cause="health:db", overruled_by="alice", started_at=1.0)
    renewed = lasting(replace(old, overruled_by="", started_at=9.0), 600.0)
    edit = deciding([old], renewed)
    assert edit.action == ""
    assert edit.added[0].overruled_by == "alice"
    assert edit.added[0].started_at == 1.0


def test_restoring_ends_what_people_decided_and_overrules_what_is_automatic() -> None:
    mine, app, auto, other = made(), made("application"), made("breaker"), made(service="search")
    edit = restoring([mine, app, auto, other], "reports", "bob", "ssh")
    after = edit.apply([mine, app, auto, other])
    assert set(after) == {other, replace(auto, overruled_by="bob")}
    assert "reports" not in effective(after, NOW)
    assert restoring([other], "reports", "bob", "ssh").empty


def test_withdrawing_and_expiring_touch_only_their_own() -> None:
    auto, mine = made("breaker", cause="health:db"), made()
    assert withdrawing([auto, mine], [auto.key], "recovered", "oatie").apply([auto, mine]) == (mine,)
    over, lasts = lasting(made(), -1.0), lasting(made("load"), 1.0)
    assert expiring([over, lasts], NOW).apply([over, lasts]) == (lasts,)


def test_an_edit_survives_json() -> None:
    edit = restoring([made(), made("breaker")], "reports", "bob", "ssh", "calm again")
    assert edit_from(edit.to_dict()) == edit


def test_words_of_a_decision_stay_on_their_line() -> None:
    """They are shown on terminals and in logs, whoever sent them."""
    hostile = "slow\r\nSet-Cookie: a=b\x1b]0;owned\x07\u202e"
    wanted = made(reason=hostile, actor="alice\n")
    for edit in (deciding([], wanted), restoring([], "reports", "alice", "cli", hostile)):
        told = [edit.detail, *(word for each in edit.added for word in (each.reason, each.actor))]
        assert all(text.isprintable() for text in told), told
