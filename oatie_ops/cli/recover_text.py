"""The words of ``oatie recover``: each rung as it happens, ladders with their figures, what happened."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from oatie_ops.cli.human import age, table
from oatie_ops.cli.output import paint, say

Event = Mapping[str, Any]

STATES = {"well": "well", "failing": "failing", "gave_up": "given up"}
OUTCOMES = {
    None: "under way",
    "proven": "recovered",
    "gave_up": "not recovered",
    "by_itself": "well again by itself",
    "interrupted": "cut off",
    "replaced": "taken over by an operator",
}


def live(*, quiet: bool) -> Callable[[dict[str, Any]], None]:
    """Shows each event as it comes, on stderr."""

    def show(event: dict[str, Any]) -> None:
        for line in _lines(event):
            say(line)

    return (lambda _event: None) if quiet else show


def _lines(event: Event) -> Iterator[str]:
    kind = event["event"]
    if kind == "waiting":
        yield f"waiting: {event['for']} is being recovered, and one thing is repaired at a time"
    elif kind == "acting":
        again = f" (try {event['attempt']} of {event['max']})" if event["max"] > 1 else ""
        yield f"{paint(str(event['rung']), 'bold')}  {event['name']}{again}"
        if event["rung"] and event["attempt"] == 1 and event["before"]:
            yield f"   before: {event['before']}"
    elif kind == "acted":
        settle = f"; settling for {event['settle_seconds']:g} s" if event["settle_seconds"] else ""
        yield f"   {'done' if event['ok'] else 'failed'}: {event['output']}{settle}"
    elif kind == "proven":
        yield f"   {paint('✓', 'green')} proven after {event['seconds']:.1f} s: {_by(event)}{event['proof']}"
    elif kind == "refuted":
        took = f"{event['seconds']:.1f} s"
        yield f"   {paint('✗', 'red')} not proven after {took}: {_by(event)}{event['proof']}"


def _by(event: Event) -> str:
    return "" if event["verify"] == event["service"] else f"{event['verify']}: "


def conclusion(result: Event) -> str:
    tries = result["tries"]
    took = f"{result['seconds']:.1f} s"
    if result["status"] == "proven":
        last = tries[-1]
        text = f"{result['service']} is well again after rung {last['rung']} ({last['name']}), {took}"
        return f"{paint('✓', 'green', sys.stdout)} {text}"
    many = f"{len(tries)} tries" if len(tries) > 1 else "one try"
    text = f"{result['service']} was not recovered by {many} in {took}: {result['proof']}"
    return f"{paint('✗', 'red', sys.stdout)} {text}"


def planned(ladder: Mapping[str, Any]) -> list[str]:
    """A ladder that is not climbed."""
    lines = [f"would climb the ladder of {ladder['service']} until one rung is proven:"]
    for rung in ladder["rungs"]:
        repairs = rung["action"] in ("restart", "run", "webhook")
        often = f"up to {rung['max']} times, " if rung["max"] > 1 else ""
        settle = f"settle {rung['settle_seconds']:g} s, " if repairs else ""
        lines.append(f"  {rung['rung']}  {rung['name']}")
        limit = f"at most {rung['timeout_seconds']:g} s"
        lines.append(f"     {often}{limit}, {settle}proven by the checks of {rung['verify']}")
    if not ladder["declared"]:
        lines.append("  (not declared: every application has this one, and it is climbed only when asked)")
    return lines


def listed(ladders: Mapping[str, Any]) -> list[str]:
    rows: list[Sequence[str]] = []
    for name, ladder in ladders.items():
        mean = ladder["mean_seconds_to_repair"]
        state = STATES[ladder["state"]] if ladder["declared"] else "by hand only"
        for rung in ladder["rungs"]:
            first = rung["rung"] == 1
            rate = "" if rung["success_rate"] is None else f"{rung['proven']} of {rung['tries']}"
            took = "" if rung["mean_seconds"] is None else f"{rung['mean_seconds']:.1f}s"
            repair = "" if mean is None or not first else age(mean) if mean >= 60 else f"{mean:.1f}s"
            rows.append(
                [
                    name if first else " ",
                    state if first else " ",
                    repair if first else " ",
                    str(rung["rung"]),
                    rate,
                    took,
                    _short(rung["name"]),
                ]
            )
    return table(["SERVICE", "STATE", "MTTR", "RUNG", "PROVEN", "TOOK", "ACTION"], rows)


def told(recoveries: Sequence[Mapping[str, Any]]) -> list[str]:
    if not recoveries:
        return ["nothing was recovered here yet"]
    lines: list[str] = []
    for entry in recoveries:
        took = "" if entry["seconds"] is None else f" after {entry['seconds']:.1f} s"
        by = "by itself" if entry["trigger"] == "auto" else f"by {entry['actor']}"
        why = f" ({entry['reason']})" if entry["reason"] else ""
        began = entry["began_at"].replace("T", " ")[:19]
        lines.append(f"{began}  {entry['service']}: {OUTCOMES[entry['outcome']]}{took}; tried {by}{why}")
        lines += [_told_try(attempt) for attempt in entry["tries"]]
    return lines


def _told_try(attempt: Mapping[str, Any]) -> str:
    mark = {"proven": "✓", "refuted": "✗"}.get(attempt["state"], "…")
    took = "" if attempt["seconds"] is None else f", {attempt['seconds']:.1f} s"
    found = attempt["proof"] or attempt["output"] or attempt["state"]
    return f"  {mark} {attempt['rung']}  {_short(attempt['name'])}{took}: {found}"


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:39]}…"
