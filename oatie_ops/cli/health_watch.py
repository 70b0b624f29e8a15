"""``oatie health --watch``: looks again and again; how that is shown depends on where stdout goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from oatie_ops.cli.context import Context
from oatie_ops.cli.health_look import Look, Verdict, Wanted, judge, look_once, say_unmet
from oatie_ops.cli.health_text import can_show, remark, symbol
from oatie_ops.cli.output import emit, emit_json_line, use_animation
from oatie_ops.health.words import WORDS

SCHEMA_VERSION = 1


def watch(context: Context, wanted: Wanted) -> Verdict:
    """An exit code, or the last status for the caller to judge."""
    if use_animation(sys.stdout) and not wanted.as_json:
        from oatie_ops.cli.health_live import live

        return live(context, wanted)
    return follow(context, wanted)


def follow(context: Context, wanted: Wanted) -> Verdict:
    """For pipes, logs and CI: one line a change, or with ``as_json`` one object a look."""
    began, looks, before = time.monotonic(), 0, None
    while True:
        asked = time.monotonic()
        look = look_once(context, wanted, asked - began)
        looks += 1
        if wanted.as_json:
            emit_json_line({"schema": "oatie.health.sample/v1", **sample(look)})
        else:
            for line in changes(before, look, sys.stdout):
                emit(line)
        before = look
        verdict = judge(wanted, looks, look.status, time.monotonic() - began)
        if verdict is not None:
            say_unmet(wanted, look, verdict)
            return verdict
        time.sleep(_pause(wanted, asked, began))


def _pause(wanted: Wanted, asked: float, began: float) -> float:
    now = time.monotonic()
    due = asked + wanted.interval_seconds
    if wanted.deadline_seconds is not None:
        due = min(due, began + wanted.deadline_seconds)
    return max(0.0, due - now)


def sample(look: Look) -> dict[str, Any]:
    """The object of ``--json``; where there is none, its ``status`` and the error."""
    if look.health is not None:
        return {**look.health, "error": None}
    assert look.error is not None
    return {"schema_version": SCHEMA_VERSION, "status": look.status, "error": look.error.as_dict()}


def changes(before: Look | None, now: Look, stream: Any) -> list[str]:
    """A line for everything that differs from the look before; the first look tells all."""
    stamp = datetime.fromtimestamp(now.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = []
    if now.health is None:
        if before is None or before.why != now.why:
            lines.append(f"{symbol('unknown', stream)} {now.why}")
    else:
        known = before.health if before is not None else None
        if not now.health["supervised"] and (known is None or known["supervised"]):
            lines.append("no supervisor is running: the checks are run by this command")
        elif known is not None and now.health["supervised"] and not known["supervised"]:
            lines.append("a supervisor runs now and is asked")
        services = known["services"] if known is not None else {}
        lines += [
            _change(name, services.get(name), service, stream)
            for name, service in now.health["services"].items()
            if _shown(services.get(name)) != _shown(service)
        ]
    return [f"{stamp} {line}" for line in lines]


def _shown(service: Mapping[str, Any] | None) -> tuple[str, str] | None:
    return None if service is None else (service["status"], remark(service))


def _change(name: str, before: Mapping[str, Any] | None, now: Mapping[str, Any], stream: Any) -> str:
    word = WORDS[now["status"]]
    if before is not None and before["status"] != now["status"]:
        arrow = "→" if can_show("→", stream) else "->"
        word = f"{WORDS[before['status']]} {arrow} {word}"
    return f"{symbol(now['status'], stream)} {name}: {word}: {now['output']}{remark(now)}"
