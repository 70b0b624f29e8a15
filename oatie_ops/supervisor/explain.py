"""Why a release was refused: from what was seen at the gate to what / why / fix. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from typing import Any

from oatie_ops.errors import OatieError
from oatie_ops.records import dataclass
from oatie_ops.supervisor.probe import ProbeResult
from oatie_ops.supervisor.spec import ReleaseSpec
from oatie_ops.supervisor.workers import Ended

STACK_MARK = "(most recent call first)"  # heads each thread in what faulthandler writes
_STACK_FRAME = re.compile(r'^ *File "(.+)", line (\d+) in ')
_MACHINERY = re.compile(r'^ *File "(<frozen importlib|.*/oatie_ops/supervisor/)')
_PAGE = re.compile(r"\s*<(!doctype|html|head|title|body|h1)\b", re.IGNORECASE)
_TAG = re.compile(r"<(style|script)\b.*?(</\1>|$)|<[^>]*(>|$)", re.IGNORECASE | re.DOTALL)
_MISSING_MODULE = re.compile(r"^ModuleNotFoundError: No module named '([^']+)'")


@dataclass(frozen=True)
class GateEvidence:
    """Everything seen of one worker that did not become ready. ``waited_seconds`` is the time given."""

    spec: ReleaseSpec
    waited_seconds: float
    booted: bool = False
    timed_out: bool = False
    ended: Ended | None = None
    boot_error: dict[str, Any] | None = None
    last_probe: ProbeResult | None = None
    private_port: int = 0
    listening_ports: Sequence[int] = ()
    log_tail: Sequence[str] = ()


def explain_gate(seen: GateEvidence) -> OatieError:
    """One error per kind of failure; the last log lines are always its details."""
    why, fix = _reason(seen)
    data = {
        "release": seen.spec.name,
        "exit_code": seen.ended.code if seen.ended else None,
        "signal": seen.ended.signal if seen.ended else None,
        "probe": None if seen.last_probe is None else _probe_data(seen.last_probe),
        "listening_ports": list(seen.listening_ports),
        "deterministic": bool(seen.boot_error and seen.boot_error.get("deterministic")),
    }
    return OatieError(
        f"{_shown(seen.spec)} did not become ready",
        why=why,
        fix=fix,
        details=[f"  | {line}" for line in _worth_reading(seen.log_tail)],
        data=data,
    )


def _shown(spec: ReleaseSpec) -> str:
    return "the application" if spec.name == "checkout" else f"release {spec.name}"


def _reason(seen: GateEvidence) -> tuple[str, str]:
    app = seen.spec.app
    program = " ".join(app.command) if app.command else app.run
    if seen.boot_error is not None:
        where = f" at {_relative(seen)}" if seen.boot_error.get("where") else ""
        what = "cannot be imported" if seen.boot_error.get("deterministic") else "failed while starting"
        return (
            f"{program} {what}: {seen.boot_error['error']}{where}",
            _import_fix(str(seen.boot_error["error"]), app.run or "")
            if seen.boot_error.get("deterministic")
            else "see the traceback in the log lines above; what it needs at start must be there",
        )
    if seen.ended is not None:
        hint = "see its last log lines above"
        if seen.ended.code == 0:
            hint = "it must stay in the foreground"
        elif not seen.log_tail:
            hint = "it printed nothing: run it by hand to see more"
        return (f"{program} {seen.ended} after {seen.waited_seconds:.1f} s, before it was ready", hint)
    if not seen.booted:
        return (
            f"{program} was still starting after {round(seen.waited_seconds, 1):g} s{_stuck_at(seen)}",
            "raise app.ready_timeout in oatie.toml if it really needs that long",
        )
    return _probe_reason(seen)


def _worth_reading(log_tail: Sequence[str]) -> list[str]:
    """Of a stack that ends the log, the thread that did something, down to where its import began."""
    heads = [index for index, line in enumerate(log_tail) if STACK_MARK in line]
    current = next((index for index in heads if log_tail[index].startswith("Current thread")), None)
    if current is None:
        return list(log_tail)
    stack = log_tail[current:]
    machinery = (index for index, line in enumerate(stack) if _MACHINERY.match(line))
    return [*log_tail[: heads[0]], *stack[: next(machinery, len(stack))]]


def _stuck_at(seen: GateEvidence) -> str:
    """The application's own innermost line in the stack that the worker wrote last, if it did."""
    heads = [index for index, line in enumerate(seen.log_tail) if STACK_MARK in line]
    own = f"{seen.spec.directory}/"
    for line in seen.log_tail[heads[0] :] if heads else ():
        frame = _STACK_FRAME.match(line)
        if frame is not None and frame[1].startswith(own) and "site-packages" not in frame[1]:
            return f", at {frame[1].removeprefix(own)}:{frame[2]}"
    return ""


def _import_fix(error: str, run: str) -> str:
    """A module that is missing and is not the application's own is most often one that nothing installs."""
    missing = _MISSING_MODULE.search(error)
    package = missing.group(1).partition(".")[0] if missing else ""
    if package in ("", run.partition(":")[0].partition(".")[0]):
        return "mend the code, or app.run in oatie.toml if the name is wrong"
    return (
        f"if {package} is to be installed, name it in requirements.txt or pyproject.toml, and `oatie deploy` "
        "does it ([deploy] build says how); else mend the import"
    )


def _probe_reason(seen: GateEvidence) -> tuple[str, str]:
    app = seen.spec.app
    last = seen.last_probe
    path = app.ready or "/"
    if last is None:
        return (
            f"{path} was never asked within {round(seen.waited_seconds, 1):g} s",
            "raise app.ready_timeout",
        )
    after = f" for {seen.waited_seconds:.1f} s"
    if last.status is None:
        if "refused" in last.error and app.command:
            if seen.private_port in seen.listening_ports:
                return (
                    f"nothing answered on port {seen.private_port}, which it was given in $PORT{after}: "
                    "it opened that port only when the time was over",
                    "raise app.ready_timeout in oatie.toml if it really needs that long",
                )
            others = [port for port in seen.listening_ports if port != seen.private_port]
            heard = f"it listens on port {', '.join(map(str, others))}" if others else "it listens on no port"
            return (
                f"nothing answers on port {seen.private_port}, which it was given in $PORT{after}: {heard}",
                "make the program listen on $PORT of 127.0.0.1"
                + (
                    "" if others else ", or raise app.ready_timeout in oatie.toml if it needs longer to start"
                ),
            )
        return (
            f"GET {path}: {last.error} (asked{after})",
            "look at what the ready path waits for; it must answer within its time-out",
        )
    answer = f"GET {path} answered {last.status}"
    if last.location:
        return (
            f"{answer} (redirect to {last.location}){after}; a redirect is not ready",
            "set app.ready to a path that answers 200 itself, exempt from redirects to https or a login",
        )
    said = f": {_text_of(last.body)}" if last.body else ""
    if last.status == 404:
        return (
            f"{answer}{said}",
            f"add the route {path} to the application, or change app.ready in oatie.toml",
        )
    if last.status == 400:
        return (
            f"{answer}{said}",
            "if it refuses the Host header (allowed hosts), set app.ready_host to a name that it serves",
        )
    return (
        f"{answer}{said} (asked{after})",
        "the application says itself that it is not ready: see its answer and its log lines above",
    )


def _text_of(body: str) -> str:
    """The words of an answer; a page of HTML without its tags, of which the last may be cut off."""
    if not _PAGE.match(body):
        return body
    return " ".join(unescape(_TAG.sub(" ", body)).split()) or "a page without words"


def _relative(seen: GateEvidence) -> str:
    assert seen.boot_error is not None
    return str(seen.boot_error["where"]).removeprefix(f"{seen.spec.directory}/")


def _probe_data(result: ProbeResult) -> dict[str, Any]:
    return {
        "path": result.path,
        "status": result.status,
        "error": result.error,
        "location": result.location,
        "body": result.body,
    }
