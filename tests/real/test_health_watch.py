"""`oatie health --watch` on a real terminal (tmux), in a pipe, with and without a supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.test_health_command import (
    View,
    application,
    check_of,
    configured,
    free_port,
    oatie,
    run,
    settled,
    supervised,
)
from tests.real.tmux import Terminal

WATCH = ("health", "--watch", "--interval", "0.2")


@contextlib.contextmanager
def watching(directory: Path, *more: str, **options: Any) -> Iterator[Terminal]:
    terminal = Terminal(directory, *WATCH, *more, **options)
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.mark.slow
def test_live_view_follows_the_services_and_obeys_keys(tmp_path: Path) -> None:
    def use() -> None:
        with watching(tmp_path) as terminal:
            shown = terminal.wait_for("✗ FAILING")
            assert terminal.on_alternate_screen
            assert "connection refused" in shown
            assert "app" in shown
            terminal.press("?")
            terminal.wait_for("failures only: hide what is healthy")
            terminal.press("?", "f")
            terminal.wait_until_gone("✓ healthy")
            terminal.press("f", "/", "a", "p", "p", "Enter")
            terminal.wait_until_gone("✗ failing    mail")
            terminal.press("Escape")
            terminal.wait_for("✗ failing    mail")
            terminal.press("p")
            terminal.wait_for("PAUSED")
            terminal.press("p", "s", "j", "r")
            terminal.wait_for("restart app? y/N")
            terminal.press("y")
            terminal.wait_for("app is being restarted")
            terminal.resize(50, 8)
            terminal.press("k")
            terminal.wait_for("q ? / s f p r")
            terminal.press("q")
            shown = terminal.wait_for("exit 1")
            assert not terminal.on_alternate_screen
            assert terminal.wait_for(" icanon")  # keys are lines again
            terminal.resize(110, 30)
            assert "✗ FAILING" in terminal.shown

    async def work() -> None:
        app, port = await application()
        configured(tmp_path, port)
        async with supervised(View(tmp_path, port, mail=check_of(free_port()))):
            await settled(tmp_path, "mail")
            await asyncio.to_thread(use)
        app.close()

    run(work)


@pytest.mark.slow
def test_live_view_fits_the_terminal_and_not_an_exported_size(tmp_path: Path) -> None:
    """CI runners export COLUMNS and LINES: the view obeyed them, and no resize was seen."""
    configured(tmp_path, free_port())
    with watching(tmp_path, environ={"COLUMNS": "80", "LINES": "25"}) as terminal:
        terminal.wait_for("LATENCY")  # left out below 90 columns
        terminal.resize(50, 8)
        terminal.wait_for("q ? / s f p r")
        assert "FAILING" in terminal.shown.splitlines()[0]
        terminal.press("q")
        terminal.wait_for("exit 1")


@pytest.mark.slow
def test_interrupted_live_view_gives_the_terminal_back(tmp_path: Path) -> None:
    configured(tmp_path, free_port())
    with watching(tmp_path) as terminal:
        terminal.wait_for("no supervisor: checked here")
        terminal.press("C-c")
        shown = terminal.wait_for("exit 130")
        assert not terminal.on_alternate_screen
        assert "✗ FAILING" in shown
        terminal.wait_for(" icanon")


@pytest.mark.slow
def test_live_view_survives_its_supervisor(tmp_path: Path) -> None:
    """It ends and comes back while somebody watches: told, never a crash."""

    async def work() -> None:
        app, port = await application()
        configured(tmp_path, port)
        view = View(tmp_path, port)
        async with supervised(view):
            await settled(tmp_path, "app")
            with contextlib.ExitStack() as stack:
                terminal = await asyncio.to_thread(
                    lambda: stack.enter_context(watching(tmp_path, columns=80))
                )
                await asyncio.to_thread(terminal.wait_for, "release 7")
                stack_kept = stack.pop_all()
        with stack_kept:
            await asyncio.to_thread(terminal.wait_for, "no supervisor: checked here")
            async with supervised(view):
                await asyncio.to_thread(terminal.wait_for, "release 7")
        app.close()

    run(work)


def test_in_a_pipe_each_change_is_a_line(tmp_path: Path) -> None:
    async def work() -> None:
        app, port = await application()
        configured(tmp_path, port)
        async with supervised(View(tmp_path, port, mail=check_of(free_port()))):
            await settled(tmp_path, "mail")
            done = await oatie(tmp_path, "mail", "--watch", "--count", "3", "--interval", "0.1")
            assert (done.code, done.stderr) == (1, "")
            (line,) = done.stdout.splitlines()
            assert "✗ mail: failing: " in line
            assert "\x1b" not in done.stdout
            done = await oatie(tmp_path, "app", "--watch", "--json", "--count", "2", "--interval", "0.1")
            samples = [json.loads(line) for line in done.stdout.splitlines()]
            assert [sample["status"] for sample in samples] == ["pass", "pass"]
            assert samples[0]["supervised"]
        app.close()

    run(work)


def test_waiting_until_it_is_healthy(tmp_path: Path) -> None:
    async def work() -> None:
        port = free_port()
        app, app_port = await application()
        configured(tmp_path, app_port)
        services: dict[str, Any] = {"db": check_of(port)}
        async with supervised(View(tmp_path, app_port, **services)):
            await settled(tmp_path, "db")
            late = await oatie(tmp_path, "db", "--until", "pass", "--deadline", "0.5s")
            assert late.code == 1
            waiting = asyncio.ensure_future(
                oatie(tmp_path, "db", "--until", "pass", "--deadline", "30s", "--interval", "0.1")
            )
            await asyncio.sleep(0)
            server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", port)
            assert (await waiting).code == 0
            server.close()
        app.close()

    run(work)


def test_what_fails_is_for_the_caller_to_say(tmp_path: Path) -> None:
    async def work() -> None:
        app, port = await application()
        check = 'check = { type = "disk", warn = 0.0001, fail = 100 }'
        configured(tmp_path, port, f"[services.disk]\n{check}\n")
        codes = [(await oatie(tmp_path, "disk", *more)).code for more in ((), FAIL_ON_FAIL, FAIL_ON_WARN)]
        assert codes == [3, 0, 1]
        nagios = await oatie(tmp_path, "disk", "--format", "nagios")
        assert (nagios.code, nagios.stdout.split(" - ")[0]) == (1, "OATIE WARNING")
        assert "'disk.disk'=" in nagios.stdout
        assert len(nagios.stdout.splitlines()) == 1
        app.close()

    run(work)


FAIL_ON_FAIL = ("--fail-on", "fail")
FAIL_ON_WARN = ("--fail-on", "warn")


def test_nagios_gets_unknown_where_nobody_answers(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text("[app]\nworkers = 'many'\n")

    async def work() -> None:
        done = await oatie(tmp_path, "--format", "nagios")
        assert (done.code, done.stdout.split(" - ")[0]) == (3, "OATIE UNKNOWN")

    run(work)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--watch", "--group", "ready"], "leave out"),
        (["--watch", "--format", "nagios"], "leave out"),
        (["--deadline", "3s"], "--until pass"),
        (["--watch", "--interval", "soon"], "duration"),
        (["--json", "--format", "jsonl"], "two formats"),
    ],
)
def test_watch_options_that_make_no_sense(tmp_path: Path, arguments: list[str], says: str) -> None:
    async def work() -> None:
        configured(tmp_path, free_port())
        done = await oatie(tmp_path, *arguments)
        assert done.code == 2
        assert says in done.stdout + done.stderr

    run(work)
