"""Which release a rollback goes to, and how it is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oatie_ops.deployment.rollback import as_dict, choose, listing
from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.store import Release
from oatie_ops.store.releases import ReleaseStatus


def release(
    number: int, status: ReleaseStatus = "good", good_at: float | None = None, note: str = ""
) -> Release:
    proven = float(number) if good_at is None and status in ("good", "pruned") else good_at
    return Release(
        number, status, 1000.0 + number, "ada", {"commit": "3f2a1bc9d8e7", "dirty": True}, proven, note
    )


def test_without_an_argument_it_is_the_last_good_one_before_the_serving_one() -> None:
    assert choose([release(3), release(2), release(1)], 3, None) == 2


def test_failed_and_pruned_releases_are_passed_over() -> None:
    assert choose([release(4), release(3, "bad"), release(2, "pruned"), release(1)], 4, None) == 1


def test_a_second_rollback_goes_further_back_and_not_forth_again() -> None:
    after_first = [release(3), release(2, good_at=99.0), release(1)]
    assert choose(after_first, 2, None) == 1


def test_a_release_that_was_rolled_away_from_is_not_the_first_choice_later() -> None:
    """7 was left for 6 (which proved itself again); then 8 was deployed and is bad in another way."""
    known = [release(8, good_at=30.0), release(7, good_at=10.0), release(6, good_at=20.0)]
    assert choose(known, 8, None) == 6


def test_with_nothing_serving_it_is_the_last_good_one() -> None:
    assert choose([release(2), release(1)], None, None) == 2


@pytest.mark.parametrize("wanted", ["1", "v1"])
def test_a_release_is_named_by_its_number(wanted: str) -> None:
    assert choose([release(2), release(1)], 2, wanted) == 1


def test_the_serving_release_may_be_named() -> None:
    assert choose([release(2), release(1)], 2, "2") == 2


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("9", "never made"),
        ("--help", "never made"),
        ("3", "killed during gate"),
        ("2", "pruned"),
        (None, "no good release"),
    ],
)
def test_a_refusal_has_the_list_and_what_to_do(wanted: str | None, reason: str) -> None:
    known = [release(4), release(3, "bad", note="killed during gate"), release(2, "pruned")]
    with pytest.raises(OatieError) as refused:
        choose(known, 4, wanted)
    error = refused.value
    assert error.exit_code == ExitCode.FAILED
    assert reason in error.why
    assert [line[2:3] for line in error.details if line[2:3].isdigit()] == ["4", "3", "2"]
    assert "oatie deploy" in error.fix


def test_a_release_that_is_not_there_is_answered_with_the_list_and_no_guess() -> None:
    with pytest.raises(OatieError) as refused:
        choose([release(2), release(1)], 2, "77")
    assert refused.value.fix == "choose a good one of the list: `oatie rollback NUMBER`"


def test_a_rollback_without_an_argument_never_goes_forwards() -> None:
    with pytest.raises(OatieError) as refused:
        choose([release(3), release(2)], 2, None)
    assert refused.value.why == "no good release is older than release 2, which serves"
    assert "`oatie rollback 3` goes forward" in refused.value.fix


def test_the_list_has_a_head_and_marks_what_serves() -> None:
    head, serving, older = listing([release(7), release(6)], 7)
    assert head.split() == ["RELEASE", "STATUS", "CREATED", "SOURCE", "BY"]
    assert serving.startswith("* 7 ")
    assert "3f2a1bc (dirty)" in serving
    assert older.startswith("  6 ")
    assert [line.index("good") for line in (serving, older)] == [head.index("STATUS")] * 2
    assert as_dict(release(7), 7)["serving"] is True
    assert as_dict(release(7), 7)["release"] == "7"


def test_the_list_says_why_a_release_was_refused_and_fits_a_terminal() -> None:
    reason = "gate: release 3 did not become ready: GET /ready answered 503 for 30 s, the last time with " * 2
    refused = replace(release(3, "bad", note=reason), actor="a-user-with-a-long-name (sudo by another-one)")
    lines = listing([refused], None)
    assert "answered 503" in " ".join(line.strip() for line in lines)
    assert max(map(len, lines)) <= 80
    unknown = listing([replace(release(1), source={})], None)[1]
    assert unknown.split()[-2:] == ["-", "ada"]
