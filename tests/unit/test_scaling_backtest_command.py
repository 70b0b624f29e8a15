"""`oatie scale --backtest` as a command: what it prints, writes and refuses; prefixes; the shared set-up."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.cli import scale_backtest
from oatie_ops.scaling.setup import Setup
from tests.unit.scaling_loads import bursty, daily

CAPACITY = 10.0


def write(path: Path, load: list[float], step: int = 60, begin: int = 0) -> Path:
    rows = [f"{begin + step * index},{CAPACITY * value:.3f}" for index, value in enumerate(load)]
    path.write_text("\n".join(["t_s,load", *rows, ""]))
    return path


def run(trace: Path, **wanted: Any) -> int:
    setup = wanted.pop("setup", Setup())
    return scale_backtest.run(scale_backtest.Wanted(trace=trace, setup=setup, **wanted))


def decided(path: Path) -> list[tuple[float, int]]:
    with path.open() as file:
        return [(float(row["t_s"]), int(row["replicas"])) for row in csv.DictReader(file)]


@pytest.mark.parametrize("step", [60, 300])
def test_decisions_for_a_prefix_are_the_prefix_of_the_decisions(tmp_path: Path, step: int) -> None:
    load = bursty(0.4)
    cut = 300
    future = load[cut:]
    random.Random(3).shuffle(future)
    options: dict[str, Any] = {"capacity_per_replica": CAPACITY, "as_json": True}
    found = []
    for name, values in (("whole", load), ("prefix", load[:cut]), ("scrambled", [*load[:cut], *future])):
        trace = write(tmp_path / f"{name}.csv", values, step=step, begin=1000)
        run(trace, decisions=tmp_path / f"{name}.out", **options)
        found.append(decided(tmp_path / f"{name}.out"))
    whole, prefix, scrambled = found
    assert whole[0][0] == 1000
    assert [time for time, _ in whole] == [1000 + 60 * index for index in range(len(whole))]
    assert prefix == whole[: len(prefix)]
    assert scrambled[: len(prefix)] == whole[: len(prefix)]


def test_the_document_has_every_policy_and_agrees_with_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = write(tmp_path / "x.csv", daily(0.5))
    code = run(trace, as_json=True, plot=tmp_path / "p.svg")
    document = json.loads(capsys.readouterr().out)
    assert code == (0 if document["advice"]["within_budget"] else 3)
    assert [row["policy"] for row in document["policies"]][-1] == "oatie advice"
    for row in document["policies"]:
        assert {"cost", "violations", "lost_demand", "actions_per_day", "within_budget"} <= row.keys()
    assert document["capacity_from"] == "p99 = 12 replicas"
    assert (tmp_path / "p.svg").read_text().startswith("<svg")


def test_for_people_it_says_what_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(write(tmp_path / "x.csv", daily(0.5)), capacity_per_replica=CAPACITY)
    told = capsys.readouterr().out
    for word in ("static peak", "HPA cpu 50 %", "VPA-style", "oatie advice", "clairvoyant", "95 %"):
        assert word in told


def test_coarse_rows_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(write(tmp_path / "x.csv", daily(0.4), step=300), as_json=True)
    assert "flatters every policy" in capsys.readouterr().err
