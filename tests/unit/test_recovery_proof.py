"""When is it proven that something works again? Only what checks found after the action counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from oatie_ops.health.board import Board
from oatie_ops.health.model import CheckSpec, Instant, Result, Snapshot, Status
from oatie_ops.health.plan import NEEDS, ServicePlan
from oatie_ops.recovery import ladder_proof
from oatie_ops.recovery.ladder_proof import Proof, Tally, judge, prove, provers

NOW = Instant(0.0, 0.0)
PASS, FAIL = Result(Status.PASS, "answers"), Result(Status.FAIL, "refused")
WARN, UNKNOWN = Result(Status.WARN, "slowly"), Result(Status.UNKNOWN, "not measured")


def spec(rise: int = 2, fall: int = 3, name: str = "tcp") -> CheckSpec:
    return CheckSpec("db", name, "tcp", rise=rise, fall=fall, timeout_seconds=0.01)


def outcome(results: Sequence[Result], monkeypatch: pytest.MonkeyPatch, *, patient: bool = True) -> Proof:
    """Of one check that finds these, one after the other; fails if more looks are taken."""
    monkeypatch.setattr(ladder_proof, "PAUSE_SECONDS", 0.0)
    left = list(results)

    async def look(service: str) -> list[tuple[CheckSpec, Result]]:
        assert service == "db"
        return [(spec(), left.pop(0))]

    return asyncio.run(prove(["db"], look, settle_seconds=0.0, look_seconds=5.0, patient=patient))


def test_passes_in_a_row_prove_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome([PASS, PASS], monkeypatch) == Proof(True, "answers", 2)


def test_a_warning_works_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome([PASS, WARN], monkeypatch).proven


def test_one_pass_is_luck(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome([PASS, FAIL, PASS, FAIL, FAIL, FAIL], monkeypatch) == Proof(False, "refused", 6)


def test_a_slow_start_is_given_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome([FAIL, FAIL, PASS, PASS], monkeypatch).proven


def test_a_service_that_calls_in_is_given_until_its_call_is_overdue() -> None:
    options = {"every": 20.0, "grace": 5.0}
    beat = CheckSpec("job", "heartbeat", "heartbeat", options, rise=1, fall=1)
    silent = 25.0 / ladder_proof.PAUSE_SECONDS
    assert judge([(beat, FAIL, Tally(fails=int(silent) - 1))], falls=3) is None
    assert judge([(beat, FAIL, Tally(fails=int(silent)))], falls=3) == Proof(False, "refused")
    assert judge([(beat, FAIL, Tally(fails=1))], falls=1) == Proof(False, "refused")
    assert judge([(beat, PASS, Tally(passes=1))], falls=3) == Proof(True, "answers")


def test_what_repairs_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome([FAIL], monkeypatch, patient=False) == Proof(False, "refused", 1)


def test_what_was_not_measured_counts_neither_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome([UNKNOWN, PASS, UNKNOWN, PASS], monkeypatch).proven


def test_one_check_that_fails_outweighs_another_that_passes() -> None:
    good, bad = spec(name="a"), spec(name="b")
    assert judge([(good, PASS, Tally(passes=9)), (bad, FAIL, Tally(fails=1))], falls=3) is None
    refuted = judge([(good, PASS, Tally(passes=9)), (bad, FAIL, Tally(fails=3))], falls=3)
    assert refuted == Proof(False, "refused")


def test_nothing_that_checks_it_is_no_proof() -> None:
    async def look(service: str) -> list[tuple[CheckSpec, Result]]:
        raise AssertionError("there is nothing to look at")

    proof = asyncio.run(prove([], look, settle_seconds=0.0, look_seconds=1.0, patient=True))
    assert not proof.proven
    assert "nothing checks it" in proof.output


def test_checks_that_never_come_to_an_end_are_no_proof() -> None:
    async def look(service: str) -> list[tuple[CheckSpec, Result]]:
        await asyncio.Event().wait()
        return []

    proof = asyncio.run(prove(["db"], look, settle_seconds=0.0, look_seconds=0.05, patient=True))
    assert not proof.proven
    assert "did not come to an end" in proof.output


def snapshot() -> Snapshot:
    def needing(name: str, *needs: str) -> ServicePlan:
        return ServicePlan(name, (CheckSpec(name, NEEDS, NEEDS),), needs)

    checked = ServicePlan("db", (spec(),))
    return Board([checked, needing("orders", "db"), needing("shop", "orders", "shop")], NOW).snapshot


def test_a_feature_without_a_check_is_proven_by_what_it_stands_on() -> None:
    assert provers("db", snapshot()) == ["db"]
    assert provers("shop", snapshot()) == ["db"]
    assert provers("nobody", snapshot()) == []
