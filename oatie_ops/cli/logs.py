"""``oatie logs``: what was captured, read from the files; it needs no supervisor."""

from __future__ import annotations

import contextlib
import json as jsonlib
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from oatie_ops.cli.closed_stdout import stdout_is_gone
from oatie_ops.cli.context import Context
from oatie_ops.cli.on_engine import serving_engine
from oatie_ops.cli.output import emit, paint, say, use_color
from oatie_ops.deployment.targets.engine import Engine, LogQuery
from oatie_ops.errors import OatieError, UsageError
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.logline import STAMP_LENGTH, parse, stamp
from oatie_ops.supervisor.logread import LogReader, Wanted
from oatie_ops.supervisor.pidfile import live_owner

DEFAULT_LINES = 100
MAX_NAMED = 10
FOLLOW_POLL_SECONDS = 0.1
COLOR = re.compile(r"\x1b\[[0-9;]*m")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
CONTROL_BUT_ESCAPE = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;]*m)")


def command(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as lines come; Ctrl-C ends it.")
    ] = False,
    worker: Annotated[
        str | None, typer.Option("--worker", "-w", metavar="ID", help="Only this worker, or `supervisor`.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long ago (10m, 2h, 1d), or an ISO-8601 time.")
    ] = None,
    lines: Annotated[
        int | None,
        typer.Option(
            "--lines", "-n", min=0, metavar="N", help="At most the last N.  [default: 100; all with --since]"
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="JSON lines with time, worker, stream and text.")
    ] = False,
) -> int | None:
    """Show what the workers and the supervisor wrote.

    Reads the log files, so it works when nothing runs, and follows across rotation. Times are UTC.
    """
    wanted = Wanted(worker, since_stamp(since, time.time()) if since else "")
    count = lines if lines is not None or since else DEFAULT_LINES
    form = as_json if json else _text_form()
    paths = Context().paths
    directory = paths.logs
    if live_owner(paths.supervisor_pid) is None and (engine := _engine(paths)) is not None:
        moment = _moment(wanted.since) if wanted.since else None
        found_lines = engine.logs(LogQuery(follow, worker, moment, count))
        return _engine_lines(found_lines, form)
    with LogReader(directory) as reader:
        found = reader.last(wanted, count)
        if found:
            emit("\n".join(map(form, found)))
        if follow:
            return _follow(reader, wanted, form)
        if not found and count != 0:
            say(_why_nothing(reader, wanted, directory))
        return None


def _engine(paths: StatePaths) -> Engine | None:
    """What cannot be told, for a damaged database or release, must not hide the lines that say why."""
    try:
        return serving_engine(paths)
    except OatieError as error:
        say(f"oatie: whether this runs in containers is not known: {error.what} ({error.why})")
        return None


def _moment(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def _engine_lines(lines: Iterator[bytes], form: Callable[[bytes], str]) -> int | None:
    """Those of containers; the engine keeps them, not we."""
    try:
        for line in lines:
            emit(form(line))
    except (KeyboardInterrupt, BrokenPipeError):
        return 0
    return None


def _why_nothing(reader: LogReader, wanted: Wanted, directory: Path) -> str:
    """Nothing was ever written, or not by this worker, or not since then."""
    newest = reader.last(Wanted(), 1)
    if not newest:
        return f"nothing has been logged yet: nothing has run here (there are no lines in {directory})"
    if wanted.worker is not None and not reader.last(Wanted(wanted.worker), 1):
        known = {line.worker for line in map(parse, reader.last(Wanted(), None)) if line is not None}
        names = ", ".join(sorted(map(str, known), key=_numbers_first)[-MAX_NAMED:])
        return f"there is no line of worker {wanted.worker} in {directory}; there are lines of {names}"
    last = newest[0][:STAMP_LENGTH].decode(errors="replace")
    return f"no line is that new; the newest of all is of {last}"


def _numbers_first(name: str) -> tuple[bool, int, str]:
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)


def _follow(reader: LogReader, wanted: Wanted, form: Callable[[bytes], str]) -> int:
    try:
        for line in reader.follow(wanted, _wait):
            emit(form(line))
    except (KeyboardInterrupt, BrokenPipeError):
        return 0  # the ways in which following is meant to end
    raise AssertionError("following has no end of its own")


def _wait() -> None:
    if stdout_is_gone():
        raise BrokenPipeError
    time.sleep(FOLLOW_POLL_SECONDS)


def since_stamp(text: str, now: float) -> str:
    """``10m`` (ago) or an ISO-8601 time (UTC unless it says otherwise) as the time stamp of a line."""
    from datetime import UTC, datetime

    from oatie_ops.config.durations import parse_duration

    with contextlib.suppress(ValueError):
        return stamp(now - parse_duration(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"--since {text!r} is neither a duration nor a time",
            fix="write `--since 10m`, or a time such as `--since 2026-11-23T16:58`",
        ) from error
    return stamp((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def as_json(line: bytes) -> str:
    found = parse(line)
    if found is None:  # torn by a full disk
        return jsonlib.dumps(
            {"time": None, "worker": None, "stream": None, "text": line.decode(errors="replace")}
        )
    return jsonlib.dumps(found.__dict__)


def _text_form() -> Callable[[bytes], str]:
    colored = use_color(sys.stdout)

    def form(line: bytes) -> str:
        text = printable(line.decode(errors="replace"), colored=colored)
        return paint(text[:STAMP_LENGTH], "dim", sys.stdout) + text[STAMP_LENGTH:]

    return form


def printable(text: str, *, colored: bool) -> str:
    """An application's line cannot move the cursor or rename the window; its colours stay where wanted."""
    pattern = CONTROL_BUT_ESCAPE if colored else CONTROL
    shown = text if colored else COLOR.sub("", text)
    return pattern.sub(lambda found: f"\\x{ord(found[0]):02x}", shown)
