"""What rungs really do: to processes, to a container engine, to a webhook, to systemctl."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from oatie_ops.health.threads import CheckThreads
from oatie_ops.identity import ProcessIdentity
from oatie_ops.recovery.ladder import Kind, Rung
from oatie_ops.recovery.rungs import build
from oatie_ops.recovery.rungs.base import ActionFailed, Occasion, Refused, Tools
from oatie_ops.recovery.rungs.command import MARKER
from tests.real.receivers import Webhook
from tests.real.waiting import PATIENCE_SECONDS, wait_for

OCCASION = Occasion("db", "fail", "connection refused", rung=2, attempt=3, actor="auto")


class Bench:
    """Runs one action as the climber does, with a deadline; ends what commands left running."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kept: list[ProcessIdentity] = []
        self.pages: list[tuple[str, str, str]] = []

    def keep(self, processes: Iterable[ProcessIdentity]) -> None:
        self.kept += processes

    async def page(self, channel: str, service: str, text: str) -> None:
        self.pages.append((channel, service, text))

    def run(self, kind: Kind, *, seconds: float = PATIENCE_SECONDS, **options: Any) -> str:
        async def act() -> str:
            tools = Tools(self.root, CheckThreads(), page=self.page, kept=self.keep)
            rung = Rung(2, kind, "db", timeout_seconds=seconds, **options)
            async with asyncio.timeout(seconds):
                return await build(rung, tools).run(OCCASION)

        return asyncio.run(act())

    def command(self, *argv: str) -> str:
        return self.run(Kind.RUN, argv=argv)

    def cut_off(self, *argv: str, once: str) -> None:
        """Runs the command and cancels it, as a deadline does, as soon as the file ``once`` is written."""

        async def act() -> None:
            tools = Tools(self.root, CheckThreads())
            rung = Rung(2, Kind.RUN, "db", argv=argv)
            task = asyncio.ensure_future(build(rung, tools).run(OCCASION))
            await asyncio.to_thread(self.pid_in, once)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        asyncio.run(act())

    def pid_in(self, name: str) -> int:
        file = self.root / name
        return int(wait_for(lambda: file.exists() and file.read_text().strip(), f"a process id in {name}"))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for identity in made.kept:
        with contextlib.suppress(ProcessLookupError):
            os.kill(identity.pid, signal.SIGKILL)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# --- commands -------------------------------------------------------------------------------------------


def test_a_command_runs_in_the_project_and_knows_why(bench: Bench) -> None:
    told = "echo noise; echo $PWD $OATIE_SERVICE $OATIE_STATUS $OATIE_ATTEMPT $OATIE_OUTPUT"
    assert bench.command("sh", "-c", told) == f"{bench.root} db fail 3 connection refused"


def test_arguments_are_not_read_by_a_shell(bench: Bench) -> None:
    assert bench.command("echo", "$HOME; true", "*") == "$HOME; true *"


def test_a_command_that_fails_says_how(bench: Bench) -> None:
    with pytest.raises(ActionFailed, match="sh exited with 3: no space") as caught:
        bench.command("sh", "-c", "echo no space >&2; exit 3")
    assert not isinstance(caught.value, Refused)
    with pytest.raises(ActionFailed, match="ended by signal 9"):
        bench.command("sh", "-c", "kill -9 $$")


@pytest.mark.parametrize(
    ("program", "why"), [("./nobody", "No such file"), ("./plain.txt", "Permission denied")]
)
def test_what_cannot_be_started_is_refused(bench: Bench, program: str, why: str) -> None:
    (bench.root / "plain.txt").write_text("text")
    with pytest.raises(Refused, match=why):
        bench.command(program)


def test_at_its_deadline_a_command_ends_with_all_its_children(bench: Bench) -> None:
    bench.cut_off("sh", "-c", "sleep 600 & echo $! > child; echo $$ > parent; wait", once="parent")
    wait_for(lambda: gone(bench.pid_in("child")), "the end of the child")
    wait_for(lambda: gone(bench.pid_in("parent")), "the end of the command")


def test_a_stopped_command_ends_at_its_deadline_too(bench: Bench) -> None:
    bench.cut_off("sh", "-c", "echo $$ > stopped; kill -STOP $$", once="stopped")
    wait_for(lambda: gone(bench.pid_in("stopped")), "the end of the stopped command")


def test_what_a_command_leaves_running_goes_on_and_is_known(bench: Bench) -> None:
    """Its output is held open on purpose: the command counts as done when it has ended."""
    bench.command("sh", "-c", "(while echo alive; do sleep 0.1; done) & echo $! > daemon")
    daemon = bench.pid_in("daemon")
    assert [identity.pid for identity in bench.kept] == [daemon]
    assert not gone(daemon)
    assert psutil.Process(daemon).environ()[MARKER] == "db"


def test_a_killed_caller_takes_its_command_along(bench: Bench) -> None:
    caller = (
        "import asyncio\n"
        "from pathlib import Path\n"
        "from oatie_ops.health.threads import CheckThreads\n"
        "from oatie_ops.recovery.rungs.base import Occasion, Tools\n"
        "from oatie_ops.recovery.rungs.command import Command\n"
        "command = ('sh', '-c', 'trap \"\" TERM; echo $$ > pid; while :; do sleep 1; done')\n"
        "async def main():\n"
        "    tools = Tools(Path.cwd(), CheckThreads())\n"
        "    await Command(command, tools).run(Occasion('db', 'fail', '', 1, 1, 'auto'))\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", caller], cwd=bench.root)
    command = bench.pid_in("pid")
    process.kill()
    process.wait()
    wait_for(lambda: gone(command), "the end of the command of a killed caller")


# --- a container engine -----------------------------------------------------------------------------------


class Engine:
    """The Docker Engine API as documented, on a Unix socket; remembers what it was asked."""

    def __init__(self, path: Path, **paused: bool) -> None:
        self.asked: list[str] = []
        self.paused = dict(paused)
        engine = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                target = self.rfile.readline().split()[1].decode()
                while self.rfile.readline().strip():
                    continue
                engine.asked.append(target)
                status, message = engine.answer(target)
                body = json.dumps({"message": message}).encode() if message else b""
                head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n"
                self.wfile.write(head.encode() + body)

        self._server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def answer(self, target: str) -> tuple[int, str]:
        _, _, name, verb = target.split("/")
        if name not in self.paused:
            return 404, f"No such container: {name}"
        if verb == "unpause":
            self.paused[name] = False
        elif self.paused[name]:
            return 409, f"cannot stop container {name}: container is paused"
        return 204, ""

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    made = Engine(path, db=False, cache=True)
    yield made
    made.close()


def test_a_container_is_restarted(bench: Bench, engine: Engine) -> None:
    assert bench.run(Kind.RESTART, target="docker:db") == "the container db was restarted"
    assert engine.asked == ["/containers/db/restart?t=10"]


def test_a_paused_container_is_woken_first(bench: Bench, engine: Engine) -> None:
    assert bench.run(Kind.RESTART, target="docker:cache") == "the container cache was restarted"
    verbs = [target.split("/")[-1].partition("?")[0] for target in engine.asked]
    assert verbs == ["restart", "unpause", "restart"]


def test_a_container_that_is_not_there_is_refused(bench: Bench, engine: Engine) -> None:
    with pytest.raises(Refused, match="no container queue"):
        bench.run(Kind.RESTART, target="docker:queue")


def test_an_engine_that_is_not_there_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{bench.root}/nobody.sock")
    with pytest.raises(Refused, match=r"nobody\.sock"):
        bench.run(Kind.RESTART, target="docker:db")


# --- systemctl, webhook, page, workers --------------------------------------------------------------------


def test_a_unit_is_forgiven_and_restarted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd does not run where tests do; what counts is what its own program is told."""
    program = bench.root / "systemctl"
    program.write_text('#!/bin/sh\necho "$@" >> calls\n[ "$2" = restart ]\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bench.root}:{os.environ['PATH']}")
    assert bench.run(Kind.RESTART, target="systemd:db.service") == "systemd restarted db.service"
    calls = (bench.root / "calls").read_text().splitlines()
    assert calls == [f"--no-ask-password {verb} -- db.service" for verb in ("reset-failed", "restart")]


def test_a_host_without_systemd_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bench.root))
    with pytest.raises(Refused, match="systemctl is not installed"):
        bench.run(Kind.RESTART, target="systemd:db")


def test_a_webhook_is_told_what_fails(bench: Bench) -> None:
    receiver = Webhook()
    try:
        assert bench.run(Kind.WEBHOOK, target=receiver.url) == "the webhook answered 200"
        assert receiver.bodies == [
            {
                "service": "db",
                "status": "fail",
                "output": "connection refused",
                "rung": 2,
                "attempt": 3,
                "actor": "auto",
            }
        ]
        receiver.answer = 500
        with pytest.raises(ActionFailed, match="answered 500"):
            bench.run(Kind.WEBHOOK, target=receiver.url)
    finally:
        receiver.close()
    with pytest.raises(ActionFailed, match="not reached") as caught:
        bench.run(Kind.WEBHOOK, target=receiver.url)
    assert "hook" not in str(caught.value).replace("webhook", "")


def test_a_page_goes_to_its_channel(bench: Bench) -> None:
    assert bench.run(Kind.PAGE, target="ops") == "ops was told"
    assert bench.pages == [("ops", "db", "needs a human: connection refused")]


@pytest.mark.parametrize("target", ["worker", "process", "app", "rollout"])
def test_what_this_process_does_not_have_is_refused(bench: Bench, target: str) -> None:
    with pytest.raises(Refused):
        bench.run(Kind.RESTART, target=target)
