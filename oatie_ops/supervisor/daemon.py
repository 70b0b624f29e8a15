"""The supervisor in the background, and a parent that returns only when it knows how it went."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oatie_ops.config.settings import Settings
from oatie_ops.errors import OatieError
from oatie_ops.paths import StatePaths
from oatie_ops.redaction import known_values, learn
from oatie_ops.supervisor.client import error_from_dict
from oatie_ops.supervisor.main import run
from oatie_ops.supervisor.options import RunOptions
from oatie_ops.supervisor.prestart import borrowed_path, entry_argv
from oatie_ops.supervisor.spec import ReleaseSpec

STDERR_NAME = "supervisor.log"
SLACK_SECONDS = 15.0
# A CI's runner ends every process that still carries its job's mark when the job is over.
_JOB_MARKS = ("RUNNER_TRACKING_ID", "JENKINS_NODE_COOKIE", "JENKINS_SERVER_COOKIE", "HUDSON_COOKIE")


@dataclass(frozen=True)
class _Launch:
    """What the child is told, through its standard input: nothing of it may stand in argv."""

    settings: Settings
    paths: StatePaths
    spec: ReleaseSpec | None
    pid_file: Path | None
    ops_factory: str | None
    report_fd: int
    secrets: tuple[bytes, ...]  # what its outputs hide


def start(
    settings: Settings,
    paths: StatePaths,
    spec: ReleaseSpec | None,
    *,
    pid_file: Path | None = None,
    ops_factory: str | None = None,
    on_trying: Callable[[str], None] = lambda _why: None,
) -> dict[str, Any]:
    """The status of a daemon whose workers serve, or of an empty one where ``spec`` is None.

    ``ops_factory`` is an import string ``module:function`` (see `oatie_ops.supervisor.main.OpsFactory`).
    ``on_trying`` hears why a boot failed that is tried again. Raises `OatieError` with the reason and the
    last log lines; nothing is left running then.
    """
    paths.ensure()
    read_end, write_end = os.pipe()
    launch = _Launch(settings, paths, spec, pid_file, ops_factory, write_end, known_values())
    with (paths.logs / STDERR_NAME).open("ab") as log:
        child = subprocess.Popen(
            entry_argv(sys.executable, "supervisor"),
            env={**_environment(), **borrowed_path()},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[write_end],
            start_new_session=True,
            cwd="/",
        )
    os.close(write_end)
    assert child.stdin is not None
    with child.stdin:
        child.stdin.write(pickle.dumps(launch))
    wait_seconds = (spec.app.ready_timeout_seconds if spec else 0.0) + SLACK_SECONDS
    try:
        verdict = _read_verdict(read_end, wait_seconds, on_trying)
    except BaseException:  # Ctrl-C while waiting: nothing may be left that nobody asked for any more
        child.terminate()
        raise
    if verdict is None:
        code = child.poll()
        child.kill()
        child.wait()
        raise OatieError(
            "the supervisor did not come up",
            why=f"it ended with exit code {code}"
            if code is not None
            else f"no word from it in {wait_seconds:g} s",
            fix=f"see {paths.logs / STDERR_NAME}",
            details=_tail(paths.logs / STDERR_NAME),
        )
    if verdict["event"] == "failed":
        child.wait()
        raise error_from_dict(verdict["error"])
    child.returncode = 0  # it outlives us on purpose; no warning about a running child
    return dict(verdict.get("status", {}))


def _environment() -> dict[str, str]:
    """Ours without what ties a process to the job that started it: a daemon is there to outlive that."""
    return {name: value for name, value in os.environ.items() if name not in _JOB_MARKS}


def _read_verdict(fd: int, wait_seconds: float, on_trying: Callable[[str], None]) -> dict[str, Any] | None:
    """The last word of the child; what it says before that goes to ``on_trying``."""
    deadline = time.monotonic() + wait_seconds
    with os.fdopen(fd, "rb", buffering=0) as pipe:
        while (left := deadline - time.monotonic()) > 0 and select.select([pipe], [], [], left)[0]:
            line = pipe.readline()
            event: dict[str, Any] | None = json.loads(line) if line else None
            if event is None or event["event"] != "trying":
                return event
            on_trying(event["why"])
    return None


def _tail(path: Path, lines: int = 20) -> list[str]:
    return [f"  | {line}" for line in path.read_text(errors="replace").splitlines()[-lines:]]


def child() -> None:
    """The daemon's first function. Reads its `_Launch` from the parent, then supervises."""
    launch = pickle.loads(sys.stdin.buffer.read())
    assert isinstance(launch, _Launch)
    learn(launch.secrets)
    os.set_inheritable(launch.report_fd, False)
    with open(os.devnull, "rb") as null:  # noqa: PTH123
        os.dup2(null.fileno(), 0)
    options = RunOptions(
        pid_file=launch.pid_file,
        echo=False,
        report_fd=launch.report_fd,
        ops=resolve(launch.ops_factory) if launch.ops_factory else None,
    )
    try:
        run(launch.settings, launch.paths, launch.spec, options)
    except OatieError as error:
        sys.stderr.write(f"oatie: {error.what}: {error.why}\n")
        sys.exit(int(error.exit_code))


def resolve(import_string: str) -> Any:
    """The function behind ``module:function``, imported when it is called."""

    def late(*args: Any) -> Any:
        module, _, name = import_string.partition(":")
        return getattr(importlib.import_module(module), name)(*args)

    return late
