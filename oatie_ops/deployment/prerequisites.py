"""What must hold before a run may change anything. Pure: facts in, problems out, all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oatie_ops.deployment.address import address
from oatie_ops.deployment.facts import Facts
from oatie_ops.deployment.host import Port
from oatie_ops.deployment.problem import Problem
from oatie_ops.errors import PrerequisiteMissing

MIN_PYTHON = (3, 11)
# What a fresh venv with pip and a handful of wheels takes; only an estimate, so the text says so.
BUILD_ESTIMATE_BYTES = 200 * 1024**2
DISK_MARGIN_BYTES = 32 * 1024**2
# Fewer were seen to fail in the middle of a start; this leaves room for some connections.
MIN_OPEN_FILES = 128
WORKER_ESTIMATE_BYTES = 64 * 1024**2


def problems(facts: Facts) -> list[Problem]:
    if facts.engine is not None:
        return [*_state(facts), *facts.engine.problems]
    return [
        *_python(facts),
        *_program(facts),
        *_state(facts),
        *_disk(facts),
        *_memory(facts),
        *_open_files(facts),
        *_ports(facts),
        *_data(facts),
    ]


def error_for(found: Sequence[Problem]) -> PrerequisiteMissing:
    """One problem speaks for itself; several are listed, each with its own why and fix."""
    data = {"problems": [problem.as_dict() for problem in found]}
    if len(found) == 1:
        return PrerequisiteMissing(found[0].what, why=found[0].why, fix=found[0].fix, data=data)
    lines = []
    for problem in found:
        lines += [f"- {problem.what}", f"    why: {problem.why}", f"    fix: {problem.fix}"]
    return PrerequisiteMissing(
        f"{len(found)} things are missing",
        why="nothing has been changed yet",
        details=lines,
        fix="mend them and run the same command again",
        data=data,
    )


def summary(facts: Facts) -> str:
    """What was found, for the line of the step that passed."""
    if facts.engine is not None:
        return facts.engine.found
    host = facts.host
    held = facts.running is not None and (facts.move is None or facts.move.same_port)
    port = "held by our supervisor" if held else "free"
    return (
        f"Python {host.python[0]}.{host.python[1]}, disk {size(host.disk_free_bytes)} free, "
        f"memory {size(host.memory_available_bytes)} available, port {host.app_port.port} {port}"
    )


def disk_needed_bytes(facts: Facts) -> int:
    build = BUILD_ESTIMATE_BYTES if facts.builds else 0
    return facts.source_bytes + build + DISK_MARGIN_BYTES


def memory_needed_bytes(facts: Facts) -> int:
    return facts.app.workers * _worker_bytes(facts)


def _worker_bytes(facts: Facts) -> int:
    measured = facts.running.worker_rss_bytes if facts.running else ()
    return max(measured, default=WORKER_ESTIMATE_BYTES)


def _python(facts: Facts) -> Iterator[Problem]:
    host = facts.host
    if host.python < MIN_PYTHON:
        yield Problem(
            f"Python {host.python[0]}.{host.python[1]} is too old",
            f"oatie needs {MIN_PYTHON[0]}.{MIN_PYTHON[1]} or newer",
            "install a newer Python and install oatie with it",
        )
    if facts.builds and host.venv_problem:
        yield Problem(
            "this Python cannot make a virtual environment for the build",
            host.venv_problem,
            "install its venv and ensurepip modules (Debian, Ubuntu: the python3-venv package)",
        )


def _program(facts: Facts) -> Iterator[Problem]:
    if facts.program_problem:
        yield Problem(
            "the program to run was not found" if facts.kind == "deploy" else "the release cannot be run",
            facts.program_problem,
            "install it, correct [app] command, or build it in [deploy] build"
            if facts.kind == "deploy"
            else "choose another release: `oatie rollback --list`",
        )


def _state(facts: Facts) -> Iterator[Problem]:
    if facts.host.state_problem:
        yield Problem(
            f"cannot write the state directory {facts.host.state_home}",
            facts.host.state_problem,
            "make it writable, or set OATIE_HOME to a directory that is",
        )


def _disk(facts: Facts) -> Iterator[Problem]:
    needed, free = disk_needed_bytes(facts), facts.host.disk_free_bytes
    if needed > free:
        estimate = f", about {size(BUILD_ESTIMATE_BYTES)} for the build" if facts.builds else ""
        yield Problem(
            "not enough disk space for the release",
            f"{size(free)} free at {facts.host.state_home}, {size(needed)} needed: "
            f"{size(facts.source_bytes)} for the copy{estimate}, {size(DISK_MARGIN_BYTES)} margin",
            "free some space, lower [deploy] keep, or exclude large files with [deploy] exclude",
        )


def _memory(facts: Facts) -> Iterator[Problem]:
    needed, available = memory_needed_bytes(facts), facts.host.memory_available_bytes
    if needed <= available:
        return
    measured = bool(facts.running and facts.running.worker_rss_bytes)
    each = f"{size(_worker_bytes(facts))} each, {'as measured now' if measured else 'estimated'}"
    yield Problem(
        "not enough memory for old and new workers at the same time",
        f"{facts.app.workers} new workers need {size(needed)} ({each}), {size(available)} is available",
        "lower [app] workers, or free some memory; `oatie stop` first if a gap is acceptable",
    )


def _open_files(facts: Facts) -> Iterator[Problem]:
    limit = facts.host.open_files_limit
    if facts.running is not None or limit is None or limit >= MIN_OPEN_FILES:
        return  # a supervisor that runs has a limit of its own
    yield Problem(
        f"a process may open only {limit} files here",
        f"the supervisor and its workers need {MIN_OPEN_FILES} at least, and every connection is one more",
        "`ulimit -n 1024` in this shell; LimitNOFILE= in a systemd unit; --ulimit nofile= of a container",
    )


def _ports(facts: Facts) -> Iterator[Problem]:
    app, ops, running = facts.host.app_port, facts.host.ops_port, facts.running
    if app.problem and app.own:
        yield Problem(
            f"cannot listen on {address(app.host, app.port)}",
            f"this project itself listens there: {_held(app)}",
            "choose another port: [app] port or --port"
            if running is not None
            else "a supervisor of it is starting or leaving: wait a moment, then try again",
        )
    elif app.problem:
        yield Problem(
            f"cannot listen on {address(app.host, app.port)}",
            _held(app),
            f"{_out_of_the_way(app)}, or choose another port: [app] port or --port",
        )
    if ops and ops.problem:
        yield Problem(
            f"cannot listen on {ops.host}:{ops.port} for the ops API",
            _held(ops),
            f'{_out_of_the_way(ops)}, or choose another address: [ops] listen, "off" for none',
        )


def _data(facts: Facts) -> Iterator[Problem]:
    """A database must not be moved while it is open."""
    if facts.to_move and facts.running is not None:
        named = ", ".join(str(link.target) for link in facts.to_move)
        yield Problem(
            "data has to move to the checkout, and is in use",
            f"[deploy] shared names it, and it lives in {named}",
            "`oatie stop`, then `oatie deploy`; or take it out of [deploy] shared again",
        )


def _held(port: Port) -> str:
    if not port.holders:
        return port.problem
    first = port.holders[0]
    if first.rival is not None:
        return f"{port.problem}: the oatie of {first.rival.directory} holds it (process {first.rival.pid})"
    return f"{port.problem}: process {first.pid} holds it ({first.command})"


def _out_of_the_way(port: Port) -> str:
    if not port.holders:
        return "stop what holds it"
    first = port.holders[0]
    return f"`oatie stop` in {first.rival.directory}" if first.rival else f"stop process {first.pid}"


def size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1024 or unit == "GB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
