"""Reading a recorded load: what is wrong with it is said, each with its line."""

from __future__ import annotations

import pytest

from oatie_ops.scaling.backtest import NotEnough, backtest, default_warmup_seconds, wilson
from oatie_ops.scaling.plot import svg
from oatie_ops.scaling.setup import Setup
from oatie_ops.scaling.trace import BadTrace, parse_trace, read_trace, steps_of
from tests.unit.scaling_loads import daily


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("t_s,load\n", "no row with a value"),
        ("t_s,load\n0,1\n", "one row with a value"),
        ("time,load\n0,1\n", "no column t_s"),
        ("t_s\n0\n", "no column of loads"),
        ("t_s,load\n0,1\n60,2\n60,3\n", "line 4: the time 60 appears twice"),
        ("t_s,load\n0,1\n120,2\n60,3\n", "line 4: the time goes back from 120 to 60"),
        ("t_s,load\n0,1\n60,-2\n", "line 3: negative load"),
        ("t_s,load\n0,1\n60,many\n", "line 3: load is not a number"),
        ("t_s,load\n0,1\nNaN,1\n", "line 3: no time"),
        ("t_s,load\n0,1\n60,inf\n", "line 3: load is infinite"),
        ("t_s,load\n0,1\n60\n", "line 3: 1 cells instead of 2"),
        ("t_s,load\n1767225600000,1\n1767225660000,2\n", "line 2: t_s is not in seconds"),
        ("t_s,load\n0,1\n60,NaN\n120,\n180,\n240,2\n", "mostly empty"),
    ],
)
def test_bad_traces_are_refused_with_their_line(text: str, said: str) -> None:
    with pytest.raises(BadTrace) as caught:
        parse_trace(text, "x.csv")
    assert said in caught.value.what
    assert caught.value.exit_code == 2


def test_a_wrong_column_is_answered_with_the_nearest() -> None:
    with pytest.raises(BadTrace) as caught:
        parse_trace("t_s,requests,cpu\n0,1,2\n60,1,2\n", "x.csv", "request")
    assert "did you mean --column requests" in caught.value.fix


def test_missing_values_are_told_and_bridged() -> None:
    trace = parse_trace("\ufefft_s,a,b\n10,1,9\n70,NaN,9\n130,,9\n190,4,9\n".lstrip("\ufeff"), "x.csv")
    assert trace.missing == (3, 4)
    assert steps_of(trace, 60) == [1.0, 2.0, 3.0, 4.0]


def test_a_long_gap_is_unknown() -> None:
    rows = [f"{60 * i},5" for i in range(10)] + [f"{8000 + 60 * i},5" for i in range(10)]
    steps = steps_of(parse_trace("\n".join(["t_s,load", *rows]), "x.csv"), 60)
    assert steps[9] == 5.0
    assert steps[10:134] == [None] * 124
    assert steps[134] == 5.0


def test_rows_closer_than_a_step_are_averaged() -> None:
    rows = [f"{20 * i},{i}" for i in range(9)]
    assert steps_of(parse_trace("\n".join(["t_s,load", *rows]), "x.csv"), 60) == [1.0, 4.0, 7.0]


def test_a_file_that_is_not_there_or_not_text(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadTrace, match="cannot read"):
        read_trace(tmp_path / "none.csv")
    (tmp_path / "x.csv").write_bytes(b"t_s,load\n0,\xff\n")
    with pytest.raises(BadTrace, match="not a CSV text file"):
        read_trace(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_bytes(bytes(1000))
    with pytest.raises(BadTrace, match="not a CSV text file"):
        read_trace(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("demand", "warmup", "said"),
    [
        ([1.0] * 59, 0, "too short"),
        ([1.0] * 300, 300, "nothing is left"),
        ([1.0, None] * 200, 10, "too many gaps"),
        ([0.0] * 300, 10, "nought all the time"),
    ],
)
def test_too_little_is_refused(demand: list[float | None], warmup: int, said: str) -> None:
    with pytest.raises(NotEnough) as caught:
        backtest(demand, Setup(), warmup)
    assert said in caught.value.what
    assert caught.value.exit_code == 3


def test_the_replay_scores_every_policy_and_draws_it() -> None:
    result = backtest(daily(0.5), Setup(), 180)
    names = [replay.score.policy for replay in result.replays]
    assert names[0] == "static peak"
    assert names[-1] == "oatie advice"
    assert all(len(replay.decisions) == 720 for replay in result.replays)
    picture = svg(result, "a <load>")
    assert "a &lt;load&gt;" in picture
    assert picture.count("<path") >= 3


def test_the_warm_up_follows_the_length() -> None:
    days = [default_warmup_seconds(days * 86400) / 86400 for days in (0.2, 1, 14, 28, 87)]
    assert days == [0.1, 0.125, 4, 7, 14]


def test_wilson_at_nought_is_not_certain() -> None:
    low, high = wilson(0, 1000)
    assert low == 0.0
    assert 0.003 < high < 0.005
