"""``oatie scale workers=N``, ``replicas=N`` and ``--auto``: changes what runs."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from oatie_ops.cli.context import Context
from oatie_ops.cli.output import emit_json, emit_json_line, emit_report, warn
from oatie_ops.cli.waiting import Waiting
from oatie_ops.config import defaults
from oatie_ops.errors import OatieError, UsageError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.supervisor.client import ControlClient, error_from_dict

# A worker may take its whole boot and ready time, or its drain, without an event in between.
SILENCE_SECONDS = 600.0
KINDS = ("workers", "replicas")
AS_DECLARED = "config"


def change_to(words: Sequence[str], *, as_json: bool) -> int:
    kind, number = _parsed(words)
    context = Context()
    from oatie_ops.cli.on_engine import serving_engine

    engine = serving_engine(context.paths)
    if engine is None and kind == "replicas":
        raise UsageError(
            "what serves here are processes of this host, which have no replicas",
            fix=f"oatie scale workers={number}",
        )
    if engine is None:
        return resize(context, number, as_json=as_json)
    if kind == "workers":
        raise UsageError(
            "the release runs on an engine, which counts replicas",
            fix=f"oatie scale replicas={number}" if number else "oatie scale replicas=N",
        )
    if number is None:
        raise UsageError("replicas=config means nothing", fix="say a number: oatie scale replicas=3")
    from oatie_ops.supervisor.scaling import require_in_bounds

    require_in_bounds("replicas", number, context.loaded.settings.scale)
    from oatie_ops.cli.on_engine import scale_on_engine

    said = scale_on_engine(context, number, quiet=as_json)
    if as_json:
        emit_json({"schema": "oatie.scale.replicas/v1", "replicas": number, "message": said})
    else:
        emit_report(said)
    return ExitCode.OK


def resize(context: Context, workers: int | None, *, as_json: bool) -> int:
    """The workers of the running supervisor; None: as declared."""
    client = ControlClient(context.paths.control_socket)
    result: Mapping[str, Any] | None = None
    unkept = ""
    client.call("GET", "/control/status")  # a supervisor that hangs is told from workers that boot for long
    body = {"workers": workers, "actor": f"{_user()} (oatie scale)"}
    with Waiting(quiet=as_json) as waiting:
        for event in client.stream("POST", "/control/scale", body, timeout_seconds=SILENCE_SECONDS):
            if as_json:
                emit_json_line({**event, "schema": "oatie.scale.change/v1"})
            if event["event"] == "result":
                result = event
                break
            message = str(event.get("message", ""))
            if event.get("name") == "unkept":
                unkept = message
            waiting.update(message)
    if result is None:
        raise OatieError(
            "the resize was cut off",
            why="the supervisor closed the connection before it reported a result",
            fix="see `oatie status` and `oatie logs`",
        )
    if result["status"] != "scaled":
        error = error_from_dict(result.get("error") or {"what": "the resize failed"})
        if as_json:
            return error.exit_code
        raise error
    if not as_json:
        emit_report(
            f"{result['workers']} workers serve (before: {result['before']}), {result['seconds']:.1f}s"
        )
    if unkept:
        warn(unkept)
    return ExitCode.OK


def follow_load(auto: bool, least: int | None, most: int | None, *, as_json: bool) -> int:
    context = Context()
    scale = context.loaded.settings.scale
    low, high = least or scale.min, most or scale.max
    if auto and high >= defaults.SCALE_MAX:
        raise UsageError(
            "--auto needs a bound",
            why="nothing says how many workers there may be at the most",
            fix="oatie scale --auto --max 8, or max = 8 in [scale] of oatie.toml",
        )
    if low > high:
        raise UsageError(f"--min {low} is above --max {high}")
    body = {"auto": auto, "min": low, "max": high, "actor": f"{_user()} (oatie scale)"}
    status = ControlClient(context.paths.control_socket).call("POST", "/control/autoscale", body)
    if as_json:
        emit_json({"schema": "oatie.scale.auto/v1", **status})
    elif auto:
        emit_report(f"the supervisor follows the load with {low} to {high} workers; it looks once a minute")
    else:
        emit_report("the number of workers stays as it is")
    return ExitCode.OK


def _parsed(words: Sequence[str]) -> tuple[str, int | None]:
    """Raises `UsageError`."""
    if len(words) != 1:
        raise UsageError("one change at a time", fix="oatie scale workers=4")
    kind, equals, text = words[0].partition("=")
    if words[0].isdecimal():
        kind, equals, text = "replicas", "=", words[0]
    if not equals or kind not in KINDS:
        near = get_close_matches(kind, KINDS, 1)
        raise UsageError(
            f"{words[0]!r} is no change",
            fix=f"did you mean {near[0]}={text or 'N'}?" if near else "oatie scale workers=4, or replicas=4",
        )
    if kind == "workers" and text == AS_DECLARED:
        return kind, None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"{kind}={text}: that is not a whole number above 0", fix=f"oatie scale {kind}=4")
    return kind, int(text)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
