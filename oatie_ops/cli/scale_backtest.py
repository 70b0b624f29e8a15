"""``oatie scale --backtest``: a recorded load against the usual autoscalers and our advice."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oatie_ops.cli.human import age, table
from oatie_ops.cli.output import emit_json, emit_report, is_terminal, paint, say
from oatie_ops.errors import OatieError, UsageError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.scaling.backtest import (
    OURS,
    REPLICAS_AT_P99,
    Backtest,
    Replay,
    backtest,
    default_capacity,
    default_warmup_seconds,
)
from oatie_ops.scaling.setup import Setup
from oatie_ops.scaling.trace import Trace, read_trace, steps_of


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line; None: the default."""

    trace: Path
    setup: Setup
    column: str | None = None
    capacity_per_replica: float | None = None
    warmup_seconds: float | None = None
    plot: Path | None = None
    decisions: Path | None = None
    as_json: bool = False


def run(wanted: Wanted) -> ExitCode:
    """0 where our advice kept the budget, 3 where it could not (and says why)."""
    trace = read_trace(wanted.trace, wanted.column)
    load = steps_of(trace, wanted.setup.step_seconds)
    _tell_what_was_read(trace, load, wanted.setup)
    capacity = wanted.capacity_per_replica or default_capacity(load)
    if capacity <= 0:
        raise OatieError(
            "the load is nought nearly all the time",
            why="its 99th percentile is 0, which says nothing about the size of a replica",
            fix="give --capacity-per-replica",
            exit_code=ExitCode.DEGRADED,
        )
    demand = [None if value is None else value / capacity for value in load]
    seconds = len(load) * wanted.setup.step_seconds
    warmup = default_warmup_seconds(seconds) if wanted.warmup_seconds is None else wanted.warmup_seconds
    warmup_steps = int(warmup / wanted.setup.step_seconds)
    result = backtest(demand, wanted.setup, warmup_steps, _progress(wanted.as_json))
    if wanted.decisions is not None:
        _write(wanted.decisions, _decisions(trace, result))
    if wanted.plot is not None:
        from oatie_ops.scaling.plot import svg

        _write(wanted.plot, svg(result, f"{wanted.trace.name} {trace.column}"))
    document = _document(wanted, trace, result, capacity)
    if wanted.as_json:
        emit_json({"schema": "oatie.scale.backtest/v1", **document})
    else:
        _show(document, result, chosen_capacity=wanted.capacity_per_replica is None)
    return ExitCode.OK if result.ours.score.within_budget else ExitCode.DEGRADED


def _progress(quiet: bool) -> Any:
    if quiet or not is_terminal(sys.stderr):
        return lambda _policy: None
    return lambda policy: say(paint(f"replaying {policy} ...", "dim"))


def _tell_what_was_read(trace: Trace, load: Sequence[float | None], setup: Setup) -> None:
    if trace.missing:
        count, first = len(trace.missing), trace.missing[0]
        say(f"note: {count} {'row has' if count == 1 else 'rows have'} no value (first: line {first})")
    gaps = sum(value is None for value in load)
    if gaps:
        say(
            f"note: {gaps} of {len(load)} steps lie in gaps of more than an hour: the policies hold there, "
            "and nothing is scored"
        )
    if trace.interval_seconds > setup.step_seconds * 1.001:
        say(
            f"note: rows are {trace.interval_seconds:g} s apart; the steps between lie on straight lines, "
            "which flatters every policy"
        )


def _decisions(trace: Trace, result: Backtest) -> str:
    begin, step = trace.begin, result.setup.step_seconds
    rows = [f"{begin + index * step:.12g},{replicas}" for index, replicas in enumerate(result.ours.decisions)]
    return "\n".join(["t_s,replicas", *rows, ""])


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}", why=str(error.strerror)) from error


def _document(wanted: Wanted, trace: Trace, result: Backtest, capacity: float) -> dict[str, Any]:
    setup = result.setup
    return {
        "trace": str(wanted.trace),
        "column": trace.column,
        "steps": len(result.demand),
        "scored_steps": sum(value is not None for value in result.demand[result.warmup_steps :]),
        "gap_steps": result.gap_steps,
        "warmup_steps": result.warmup_steps,
        "step_seconds": setup.step_seconds,
        "startup_seconds": setup.startup_seconds,
        "budget": setup.budget,
        "capacity_per_replica": capacity,
        "capacity_from": "option" if wanted.capacity_per_replica else f"p99 = {REPLICAS_AT_P99} replicas",
        "clairvoyant_replica_steps": result.clairvoyant_replica_steps,
        "policies": [_policy(replay) for replay in result.replays],
        "advice": _policy(result.ours),
        "worst": [
            {"t_s": trace.begin + step * setup.step_seconds, "short_by_replicas": round(short, 2)}
            for step, short in result.worst
        ],
        "jumps_within_startup": round(result.surprises, 4),
    }


def _policy(replay: Replay) -> dict[str, Any]:
    score = replay.score
    return {
        "policy": score.policy,
        "cost": round(score.cost, 4),
        "violations": round(score.violations, 6),
        "violations_interval": [round(bound, 6) for bound in score.interval],
        "violated_steps": score.violated_steps,
        "lost_demand": round(score.lost, 6),
        "actions_per_day": round(score.actions_per_day, 1),
        "mean_replicas": round(score.mean_replicas, 2),
        "within_budget": score.within_budget,
        "note": replay.note,
    }


def _show(document: dict[str, Any], result: Backtest, *, chosen_capacity: bool) -> None:
    setup = result.setup
    scored = document["scored_steps"] * setup.step_seconds
    emit_report(
        f"{document['trace']}, {document['column']}: {age(scored)} scored after a warm-up of "
        f"{age(result.warmup_steps * setup.step_seconds)}; steps of {setup.step_seconds:g} s, "
        f"start-up {setup.startup_seconds:g} s, budget {setup.budget:.2%}"
    )
    why = " (so that the 99th percentile of the whole trace is 12 replicas)" if chosen_capacity else ""
    emit_report(f"one replica serves {document['capacity_per_replica']:.6g} per step at full load{why}\n")
    head = ("POLICY", "COST", "VIOLATED", "LOST", "ACTIONS/DAY", "REPLICAS", "BUDGET")
    rows = [_row(replay) for replay in result.replays]
    for line, replay in zip(table(head, rows), [None, *result.replays], strict=True):
        ours = replay is not None and replay.score.policy == OURS
        emit_report(paint(line, "bold", sys.stdout) if ours or replay is None else line)
    emit_report("\ncost: replica-steps against a clairvoyant that has exactly what each step needs")
    _show_ours(document, result)


def _row(replay: Replay) -> tuple[str, ...]:
    score = replay.score
    return (
        score.policy,
        f"{score.cost:.2f}",
        f"{score.violations:.2%}",
        f"{score.lost:.2%}",
        f"{score.actions_per_day:.0f}",
        f"{score.mean_replicas:.1f}",
        "kept" if score.within_budget else "missed",
    )


def _show_ours(document: dict[str, Any], result: Backtest) -> None:
    score, budget = result.ours.score, result.setup.budget
    low, high = score.interval
    emit_report(
        f"our advice: {score.violated_steps} steps violated, {score.violations:.2%} (95 %: {low:.2%} to "
        f"{high:.2%}); {result.ours.note}"
    )
    if not score.within_budget:
        emit_report(
            f"the budget of {budget:.2%} was not met: {result.surprises:.0%} of the violations are jumps "
            f"above 1.5 x the hour before, faster than the start-up of {result.setup.startup_seconds:g} s"
        )
    for worst in document["worst"]:
        emit_report(f"  worst: t_s {worst['t_s']:.12g}, {worst['short_by_replicas']:.1f} replicas short")
