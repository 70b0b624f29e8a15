"""Carries out a build plan: makes the virtual environment where one is needed and runs the commands."""

from __future__ import annotations

import json
import platform
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.deployment.build_plan import BUILT, BuildPlan, plan_build
from oatie_ops.deployment.commands import LineListener, command_environment, run_command
from oatie_ops.deployment.databases import record_generated
from oatie_ops.deployment.releases import explained_disk_errors, remove_tree

__all__ = ["Build", "BuildPlan", "plan_build", "run_build"]

TIMEOUT_KEY = "[deploy] build_timeout"


@dataclass(frozen=True)
class Build:
    """``key`` and ``python`` are None without a virtual environment; ``skipped``: what it held already."""

    key: str | None
    python: str | None
    reused: bool
    ran: tuple[str, ...]
    skipped: tuple[str, ...]


def run_build(
    plan: BuildPlan,
    *,
    environment: Mapping[str, str],
    log: Path,
    on_line: LineListener,
    timeout_seconds: float,
) -> Build:
    """Runs what `plan` says in the release's directory; `timeout_seconds` is for all of it together.

    `environment`: what the commands get, before it is pointed at the virtual environment. Raises
    `CommandFailed`, `CommandTimedOut` or `DiskFull`; a half-filled environment is removed then, while one
    that was filled stays for the next attempt.
    """
    deadline = time.monotonic() + timeout_seconds

    def run(command: str, python: str | None) -> None:
        run_command(
            command,
            role="build command",
            cwd=plan.app_directory,
            environment=command_environment(environment, python=python),
            log=log,
            on_line=on_line,
            timeout_seconds=max(0.0, deadline - time.monotonic()),
            timeout_key=TIMEOUT_KEY,
        )

    if plan.directory is None:
        for command in plan.commands:
            run(command.text, None)
    else:
        _run_in_venv(plan, run, on_line)
    with explained_disk_errors(plan.app_directory.parent):
        record_generated(plan.app_directory)
    to_run = plan.to_run()
    return Build(
        key=plan.key,
        python=str(plan.python) if plan.python else None,
        reused=plan.reused,
        ran=tuple(command.text for command in to_run),
        skipped=tuple(command.text for command in plan.commands if command not in to_run),
    )


def _run_in_venv(
    plan: BuildPlan, run: Callable[[str, str | None], None], on_line: Callable[[str], None]
) -> None:
    assert plan.directory is not None and plan.python is not None
    if plan.reused:
        for command in plan.to_run():
            run(command.text, str(plan.python))
        return
    venv = plan.directory / "venv"
    missing = {command.text for command in plan.commands if command.skippable}
    shareable, complete = plan.shareable, False
    try:
        with explained_disk_errors(plan.directory.parent):
            remove_tree(plan.directory)
            plan.directory.mkdir(mode=0o700, parents=True)
        on_line("making a virtual environment")  # which prints nothing itself, and takes seconds
        # Isolated: a module of the application must not shadow one that venv imports.
        run(shlex.join([sys.executable, "-I", "-m", "venv", str(venv)]), None)
        for command in plan.commands:
            before = _installed(venv)
            try:
                run(command.text, str(plan.python))
            finally:
                shareable = shareable and (command.installs or _installed(venv) == before)
            missing.discard(command.text)
        complete = True
    finally:
        if complete or (shareable and not missing):
            _record(plan, shareable)
        else:
            remove_tree(plan.directory)


def _installed(venv: Path) -> frozenset[tuple[str, int]]:
    """What is installed, and when: tells whether a command that is no plain install installs all the same."""
    return frozenset(
        (place.name, place.stat().st_mtime_ns)
        for place in venv.glob("lib/python*/site-packages/*")
        if place.suffix in (".dist-info", ".egg-info", ".egg-link", ".pth")
    )


def _record(plan: BuildPlan, shareable: bool) -> None:
    """Last: an environment without its record is a half one, and is removed."""
    assert plan.directory is not None
    content = {
        "key": plan.key,
        "shareable": shareable,
        "created_at": time.time(),
        "python": platform.python_version(),
        "commands": [command.text for command in plan.commands],
    }
    temporary = plan.directory / f".{BUILT}.tmp"
    with explained_disk_errors(plan.directory):
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        temporary.replace(plan.directory / BUILT)
