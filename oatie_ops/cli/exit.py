"""How a command line ends: runs it, and turns whatever comes out into one exit code and one message."""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from oatie_ops._version import __version__
from oatie_ops.cli import quick
from oatie_ops.cli.closed_stdout import leave_quietly, stdout_is_gone
from oatie_ops.cli.wishes import current, take
from oatie_ops.errors import OatieError, PrerequisiteMissing, UsageError
from oatie_ops.exit_codes import ExitCode

NOT_ON_WINDOWS = PrerequisiteMissing(
    "oatie does not run on Windows itself",
    why="it hands sockets from process to process, which needs POSIX",
    fix="install WSL (`wsl --install`) and run oatie there",
)

# Commands after which names may be new to completion; `status` knows the workers too, and sees to it itself.
LOOKED_AROUND = {"deploy", "rollback", "start", "health", "config", "reload"}


def run(argv: Sequence[str]) -> int:
    """Runs ``oatie ARGV`` and returns the exit code; prints errors, never raises one."""
    _prepare_streams()
    as_json = wants_json(argv)
    if sys.platform == "win32":
        return _report(NOT_ON_WINDOWS, as_json)
    _raise_on_terminate()
    began = time.monotonic()
    try:
        words, current.wishes = take(argv)
        code = quick.answer(words)
        if code is None:
            code = _invoke([*words[1:], "--help"] if words[:1] == ["help"] else words)
        if sys.stdout is not None:
            sys.stdout.flush()
        if words and words[0] in LOOKED_AROUND and "--dry-run" not in words:
            _remember()
        return _ended(code, began)
    except OatieError as error:
        return _ended(_report(error, as_json), began)
    except KeyboardInterrupt:
        _say("interrupted")
        return ExitCode.INTERRUPTED
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else ExitCode.FAILED
    except Exception as error:  # noqa: BLE001 - the last resort: reported, with a crash file
        if isinstance(error, BrokenPipeError) and stdout_is_gone():
            return leave_quietly()
        if unwritable := _unwritable(error):
            leave_quietly()
            return _report(unwritable, as_json=False)
        return _report(_crash(error, argv), as_json)


def leave(code: int) -> NoReturn:
    """Ends the process. Taking the interpreter apart would cost a tenth of a quick command's time.

    What cannot be written any more, to a terminal that is gone, must not change the exit code: the
    interpreter would make it 120.
    """
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            leave_quietly(descriptor)
        except (ValueError, AttributeError):
            continue  # closed, or never there
    if threading.active_count() > 1:
        sys.exit(code)
    os._exit(code)


def wants_json(argv: Sequence[str]) -> bool:
    """Read from the bare words, because a usage error has to be rendered before anything is parsed."""
    options = argv[: argv.index("--")] if "--" in argv else argv
    return "--json" in options


def _invoke(argv: list[str]) -> int:
    gc.disable()  # until the command is loaded (`oatie_ops.cli.app.load`): imports make no garbage
    from typer import _click as click
    from typer.exceptions import Abort, Exit

    from oatie_ops.cli.app import build

    # Not `main()`: it takes any EPIPE, a socket's too, for a closed stdout.
    try:
        group = build()
        with group.make_context("oatie", argv) as context:
            result = group.invoke(context)
    except Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as bare:
        print(bare.format_message())
        return ExitCode.USAGE
    except click.exceptions.ClickException as error:
        raise usage_error(error, argv) from error
    except Abort as error:
        raise KeyboardInterrupt from error
    return result if isinstance(result, int) else ExitCode.OK


def usage_error(error: Exception, argv: Sequence[str]) -> UsageError:
    """A parser's complaint as what / fix, with the nearest option and the help to read."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else " ".join(["oatie", *argv[:1]])
    hint = f"`{path} --help` lists the options"
    near = getattr(error, "possibilities", None)
    if near:
        hint = f"did you mean {' or '.join(sorted(near))}? {hint}"
    what = str(getattr(error, "message", "") or error)
    if near is None and hasattr(error, "format_message"):
        what = error.format_message()
    return UsageError(_in_words(what.rstrip(".")), fix=hint)


def _in_words(what: str) -> str:
    """The parser speaks of types and comparisons: `not a valid int range`, `not in the range x>=1`."""
    for kind, words in (("int", "a whole number"), ("integer", "a whole number"), ("float", "a number")):
        what = re.sub(rf"is not a valid {kind}( range)?$", f"is not {words}", what)
    what = re.sub(r"is not in the range ([\d.]+)<=x<=([\d.]+)$", r"is not between \1 and \2", what)
    what = re.sub(r"is not in the range x>=([\d.]+)$", r"is less than \1", what)
    return re.sub(r"is not in the range x<=([\d.]+)$", r"is more than \1", what)


def _remember() -> None:
    """After the answer: what completion offers next."""
    from oatie_ops.cli import remembered
    from oatie_ops.cli.context import Context

    remembered.refresh(Context())


def _ended(code: int, began: float) -> int:
    if current.wishes.verbose:
        from oatie_ops.cli.output import say_more

        say_more(f"oatie {__version__}: exit {int(code)} after {time.monotonic() - began:.2f} s")
    return code


def _report(error: OatieError, as_json: bool) -> int:
    from oatie_ops.cli.output import report_error

    if current.wishes.ci is not None:
        from oatie_ops.cli import github

        github.annotate(error)
    try:
        report_error(error, as_json=as_json)
    except BrokenPipeError:
        leave_quietly()
    return error.exit_code


def _unwritable(error: Exception) -> OatieError | None:
    """What was asked for could not be printed; whatever else the command did is done."""
    from oatie_ops.cli.output import UnwritableOutput

    if not isinstance(error, UnwritableOutput):
        return None
    return OatieError(
        "the result could not be written to standard output",
        why=error.strerror or str(error),
        fix="make room on the disk that it goes to, or send it elsewhere",
    )


def _say(text: str) -> None:
    from oatie_ops.cli.output import say

    say(text)


def _crash(error: Exception, argv: Sequence[str]) -> OatieError:
    from oatie_ops.cli.crash import crash_error

    if current.wishes.verbose:
        import traceback

        from oatie_ops.cli.output import say_more

        say_more("".join(traceback.format_exception(error)))
    return crash_error(error, argv)


def _prepare_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        # A locale that cannot show a character is no reason to fail half-way through a deploy.
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _raise_on_terminate() -> None:
    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(ExitCode.TERMINATED)

    signal.signal(signal.SIGTERM, terminate)
