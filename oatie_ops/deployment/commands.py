"""Runs the operator's own commands (build, release): live output, a log, a deadline, and no process left.

The commands are shell text, as in a Makefile. A guard process (`command_guard`) sits between, so that the
command and its children end when oatie does: by an error, a signal, a time-out, or a SIGKILL.
"""

from __future__ import annotations

import codecs
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from oatie_ops.deployment.releases import explained_disk_errors
from oatie_ops.errors import OatieError
from oatie_ops.redaction import redact, stream_redactor

TAIL_LINES = 30
GRACE_SECONDS = 5.0
_MAX_LINE_CHARACTERS = 4096
_POLL_SECONDS = 0.1
_GUARD = Path(__file__).with_name("command_guard.py")
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# They would send what a build installs, or what Python imports, somewhere else than to the release.
_DIVERTING_VARIABLES = frozenset(
    {"PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"}
)

LineListener = Callable[[str], None]


class CommandFailed(OatieError):
    """It exited with another code than 0; ``details`` are its last lines."""


class CommandTimedOut(CommandFailed):
    """It was still running at its deadline and has been ended, with its children."""


def run_command(
    command: str,
    *,
    role: str,
    cwd: Path,
    environment: Mapping[str, str],
    log: Path,
    on_line: LineListener,
    timeout_seconds: float,
    timeout_key: str,
) -> float:
    """Runs `command` with ``/bin/sh`` in `cwd` and returns the seconds that it took.

    Standard output and error go line by line to `on_line` and, appended, to the file `log` (mode 0600);
    standard input is empty. `role` ("build command") and `timeout_key` ("deploy.build_timeout") are for the
    messages. Raises `CommandFailed` or `CommandTimedOut`; no process of the command is left in any case.
    """
    started = time.monotonic()
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    with _opened_log(log) as file:
        file.write(redact(f"$ {command}\n"))

        def take(line: str) -> None:
            tail.append(line)
            file.write(line + "\n")
            on_line(line)

        code = _run_guarded(command, cwd, environment, take, started + timeout_seconds)
    seconds = time.monotonic() - started
    if code is None:
        raise CommandTimedOut(
            f"the {role} `{command}` took too long",
            why=f"it was still running after {timeout_seconds:g} s; its last lines are below",
            fix=f"raise {timeout_key} if it needs that long; all of its output is in {log}",
            details=tuple(tail),
        )
    if code != 0:
        raise CommandFailed(
            f"the {role} `{command}` failed",
            why=f"{explain_exit(code, command)} after {seconds:.1f} s"
            + ("; its last lines are below" if tail else "; it printed nothing"),
            fix=f"run it by hand in {cwd}; all of its output is in {log}",
            details=tuple(tail),
            data={"exit_code": code},
        )
    return seconds


def command_environment(
    base: Mapping[str, str], *, python: str | None = None, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """`base`, changed so that ``python`` and ``pip`` are those of the virtual environment of `python`.

    None stands for the one that oatie itself runs in, if any. `extra` is laid on top.
    """
    environment = {name: value for name, value in base.items() if name not in _DIVERTING_VARIABLES}
    own = sys.executable if sys.prefix != sys.base_prefix else None
    executable = python or own
    if executable is not None:
        venv = Path(executable).parent.parent
        environment["PATH"] = f"{venv / 'bin'}{os.pathsep}{base.get('PATH', os.defpath)}"
        environment["VIRTUAL_ENV"] = environment["UV_PROJECT_ENVIRONMENT"] = os.fspath(venv)
    environment |= {"PYTHONUNBUFFERED": "1", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment.setdefault("PIP_PROGRESS_BAR", "off")  # to a pipe it is one more line a download
    return {**environment, **(extra or {})}


def explain_exit(code: int, command: str) -> str:
    """Exit codes as a shell gives them (POSIX.1, 2.8.2)."""
    if code == 127:
        return f"a program in it was not found (exit code 127; `{command.split(maxsplit=1)[0]}`?)"
    if code == 126:
        return "a program in it could not be executed (exit code 126)"
    if code > 128:
        with suppress(ValueError):
            number = signal.Signals(code - 128)
            hint = " (often: the machine ran out of memory)" if number is signal.SIGKILL else ""
            return f"it was ended by {number.name}{hint}"
    return f"it exited with code {code}"


def _run_guarded(
    command: str, cwd: Path, environment: Mapping[str, str], take: LineListener, deadline: float
) -> int | None:
    """The exit code; None at the deadline."""
    read_end, lifeline = os.pipe()
    process: subprocess.Popen[bytes] | None = None
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", os.fspath(_GUARD), str(GRACE_SECONDS), command],
            stdin=read_end,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(environment),
            start_new_session=True,
        )
        return process.wait() if _pump(process, take, deadline) else None
    finally:
        # An exception can come between the start of the process and its assignment. Closing the lifeline
        # ends it all the same.
        os.close(read_end)
        os.close(lifeline)
        if process is not None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(GRACE_SECONDS * 2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.stdout is not None:
            process.stdout.close()


def _pump(process: subprocess.Popen[bytes], take: LineListener, deadline: float) -> bool:
    """Hands on the lines until the command has ended; False when the deadline came first."""
    assert process.stdout is not None
    lines = LineSplitter(take)
    hidden = stream_redactor()
    in_time = True
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            if selector.select(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic()))):
                chunk = os.read(process.stdout.fileno(), 65536)
                if not chunk:
                    break
                lines.feed(chunk if hidden is None else hidden.feed(chunk))
            elif process.poll() is not None:
                break  # something that escaped the process group still holds the pipe
        else:
            in_time = False
    lines.feed(b"" if hidden is None else hidden.flush())
    lines.close()
    return in_time


class LineSplitter:
    """Bytes in, clean lines out: a carriage return ends a line too (progress bars), escapes are dropped."""

    def __init__(self, take: LineListener) -> None:
        self._take = take
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, chunk: bytes) -> None:
        self._rest += self._decoder.decode(chunk)
        *lines, self._rest = re.split(r"\r\n|\n|\r(?!$)", self._rest)
        for line in lines:
            self._hand_on(line)
        while len(self._rest) > _MAX_LINE_CHARACTERS:
            line, self._rest = self._rest[:_MAX_LINE_CHARACTERS], self._rest[_MAX_LINE_CHARACTERS:]
            self._hand_on(line)

    def close(self) -> None:
        self._rest += self._decoder.decode(b"", final=True)
        if self._rest:
            self._hand_on(self._rest)
            self._rest = ""

    def _hand_on(self, line: str) -> None:
        self._take(_ESCAPES.sub("", line).rstrip())


@contextmanager
def _opened_log(path: Path) -> Iterator[IO[str]]:
    with explained_disk_errors(path.parent):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", buffering=1) as file:
            yield file
