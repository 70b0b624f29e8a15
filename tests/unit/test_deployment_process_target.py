"""The process target against a scripted supervisor on a Unix socket: lease, lost answers, verdicts."""

from __future__ import annotations

import json
import os
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.settings import AppSettings, Settings
from oatie_ops.deployment.targets.process import ProcessTarget, running_from, sentence
from oatie_ops.errors import Locked, OatieError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.identity import ProcessIdentity
from oatie_ops.paths import StatePaths
from oatie_ops.supervisor.spec import ReleaseSpec

SPEC = ReleaseSpec("7", Path("/srv/releases/7/app"), AppSettings(run="main:app"))
PATIENCE_SECONDS = 90.0


class Supervisor(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """``answers`` maps a path to a body, a list of streamed events, or an error to send."""

    daemon_threads = True

    def __init__(self, socket_path: Path) -> None:
        super().__init__(os.fspath(socket_path), Handler)
        self.asked: list[str] = []
        self.answers: dict[str, Any] = {}
        self.release: str | None = "6"
        self.candidate: str | None = None
        self.state = "running"
        self.lease_ended = threading.Event()
        self.bodies: list[dict[str, Any]] = []

    def status(self) -> dict[str, Any]:
        return {
            "supervisor": {"pid": os.getpid()},
            "release": self.release,
            "state": self.state,
            "switch": {"release": self.candidate} if self.candidate else None,
            "workers": [
                {"pid": 11, "state": "serving", "release": self.release, "rss_bytes": 5},
                {"pid": 12, "state": "draining", "release": self.release, "rss_bytes": None},
            ],
            "app": {"url": "http://127.0.0.1:8080"},
            "ops": {"url": None},
        }


class Handler(BaseHTTPRequestHandler):
    server: Supervisor

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        self._send(200, self.server.status())

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.server.bodies.append(json.loads(self.rfile.read(length) or b"{}"))
        verb = self.path.rpartition("/")[2]
        self.server.asked.append(verb)
        answer = self.server.answers.get(verb, {})
        if callable(answer):
            answer = answer()
        if isinstance(answer, OatieError):
            self._send(409, {"error": answer.as_dict()})
        elif verb == "switch":
            self._lease()
        elif isinstance(answer, list):
            self._stream(answer)
        else:
            self._send(200, answer)

    def _lease(self) -> None:
        self.server.candidate = "7"
        self._stream([{"event": "opened", "switch": "s1"}])
        try:
            while not self.server.lease_ended.wait(0.02):
                self.wfile.write(b'{"event": "tick"}\n')
                self.wfile.flush()
        except OSError:
            self.server.lease_ended.set()

    def _stream(self, events: list[dict[str, Any]]) -> None:
        self.send_response(200)
        self.end_headers()
        for event in events:
            self.wfile.write(json.dumps(event).encode() + b"\n")
        self.wfile.flush()

    def _send(self, status: int, body: dict[str, Any]) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    made = StatePaths(tmp_path / ".oatie")
    made.ensure()
    return made


@pytest.fixture
def supervisor(paths: StatePaths) -> Iterator[Supervisor]:
    server = Supervisor(paths.control_socket)
    # What tells a supervisor that is gone from one that is busy.
    identity = ProcessIdentity.current()
    paths.supervisor_pid.write_text(f"{identity.pid}\n{json.dumps(identity.to_dict())}\n")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.lease_ended.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def target(paths: StatePaths) -> ProcessTarget:
    return ProcessTarget(Settings(root=paths.home.parent), paths, "ada", None)


def ignore(_message: str) -> None:
    return


def spawn(target: ProcessTarget, tell: Callable[[str], None] = ignore) -> tuple[int, ...]:
    return target.spawn(SPEC, health_check=True, tell=tell)


def test_nothing_runs_where_nothing_listens(target: ProcessTarget) -> None:
    assert target.running() is None


def test_the_status_is_reduced_to_what_a_deploy_decides_on(supervisor: Supervisor) -> None:
    running = running_from({**supervisor.status(), "switch": {"release": "7"}})
    assert (running.release, running.candidate, running.port) == ("6", "7", 8080)
    assert (running.serving_workers, running.worker_pids, running.worker_rss_bytes) == (1, (11, 12), (5,))
    assert running.serves
    assert running.has_candidate("7")
    assert not running.has_candidate("6")


def test_until_its_commit_a_promoted_candidate_is_what_users_get(supervisor: Supervisor) -> None:
    first = {"release": None, "switch": {"release": "1", "stage": "promoted"}}
    workers = [{"pid": 11, "state": "serving", "release": "1"}]
    baking = running_from({**supervisor.status(), **first, "workers": workers})
    assert (baking.answering, baking.serves, baking.stage) == ("1", False, "promoted")


def test_workers_that_wait_for_their_last_connection_are_no_candidate(supervisor: Supervisor) -> None:
    back = [
        {"pid": 11, "state": "serving", "release": "6"},
        {"pid": 12, "state": "draining", "release": "7"},
    ]
    running = running_from({**supervisor.status(), "workers": back})
    assert not running.has_candidate("7")
    assert running.leaves("7")
    on_the_way = running_from({**supervisor.status(), "workers": back[1:]})
    assert on_the_way.has_candidate("7")


def test_a_forwarded_address_says_nothing_about_the_port(supervisor: Supervisor) -> None:
    forwarded = {**supervisor.status(), "app": {"url": "https://name-8080.app.github.dev"}}
    assert running_from(forwarded).port is None


def test_spawn_opens_the_lease_first_and_sends_the_release(
    supervisor: Supervisor, target: ProcessTarget
) -> None:
    supervisor.answers["spawn"] = {"workers": [{"pid": 21}, {"pid": 22}]}
    assert spawn(target) == (21, 22)
    assert supervisor.asked == ["switch", "spawn"]
    assert ReleaseSpec.from_dict(supervisor.bodies[0]["release"]) == SPEC
    assert not supervisor.lease_ended.is_set()


def test_a_switch_that_goes_on_is_waited_for_and_told(supervisor: Supervisor, target: ProcessTarget) -> None:
    refusals = [Locked("busy", why="a reload goes on"), Locked("busy", why="a reload goes on")]
    supervisor.answers["switch"] = lambda: refusals.pop() if refusals else {}
    told: list[str] = []
    spawn(target, told.append)
    assert told == ["a reload goes on"] * 2
    assert supervisor.asked == ["switch", "switch", "switch", "spawn"]


def test_a_refused_switch_is_no_open_switch(supervisor: Supervisor, target: ProcessTarget) -> None:
    supervisor.answers["switch"] = OatieError("the supervisor is stopping")
    with pytest.raises(OatieError, match="stopping"):
        spawn(target)
    target.abort()
    assert supervisor.asked == ["switch"]


def test_a_failed_gate_comes_back_as_the_error_that_explains_it(
    supervisor: Supervisor, target: ProcessTarget
) -> None:
    spawn(target)
    failure = OatieError("not ready", why="GET /ready answered 503", fix="mend it", details=["  | log"])
    waiting = {"event": "waiting", "worker": 3, "why": "GET /ready: status 503"}
    supervisor.answers["gate"] = [waiting, {"event": "failed", "error": failure.as_dict()}]
    told: list[str] = []
    with pytest.raises(OatieError) as raised:
        target.gate(told.append)
    assert told == ["worker 3: GET /ready: status 503"]
    assert raised.value.as_dict() == {**failure.as_dict(), "code": "gate-failed"}


def test_a_supervisor_that_somebody_stopped_is_said_to_be_stopped(
    supervisor: Supervisor, target: ProcessTarget
) -> None:
    spawn(target)
    supervisor.answers["bake"] = [{"event": "baking", "left_seconds": 3}]
    supervisor.state = "stopping"
    with pytest.raises(OatieError, match="the supervisor was stopped") as raised:
        target.bake(5.0, 0.05, ignore)
    assert raised.value.code == "supervisor-stopped"
    assert "during the bake of release 7" in raised.value.why


def test_a_stream_without_a_verdict_is_a_failure(supervisor: Supervisor, target: ProcessTarget) -> None:
    spawn(target)
    supervisor.answers["bake"] = [{"event": "baking", "left_seconds": 3}]
    with pytest.raises(OatieError, match="broke off during bake"):
        target.bake(5.0, 0.05, ignore)


def test_a_commit_whose_answer_was_lost_is_judged_by_what_serves(
    supervisor: Supervisor, target: ProcessTarget
) -> None:
    spawn(target)

    def commit_then_fail() -> OatieError:
        supervisor.release, supervisor.candidate = "7", None
        return OatieError("the answer was lost")

    supervisor.answers["commit"] = commit_then_fail
    target.commit()


def test_a_commit_that_was_refused_is_refused(supervisor: Supervisor, target: ProcessTarget) -> None:
    spawn(target)
    supervisor.answers["commit"] = OatieError("it did not survive its bake", exit_code=ExitCode.FAILED)
    with pytest.raises(OatieError, match="survive"):
        target.commit()


def test_an_abort_of_what_the_supervisor_has_ended_itself_is_done(
    supervisor: Supervisor, target: ProcessTarget
) -> None:
    spawn(target)
    supervisor.candidate = None
    supervisor.answers["abort"] = OatieError("there is no switch s1 under way")
    target.abort()
    target.abort()
    assert supervisor.asked.count("abort") == 1


def test_an_abort_that_fails_while_the_candidate_lives_is_told_and_can_be_repeated(
    supervisor: Supervisor, target: ProcessTarget
) -> None:
    spawn(target)
    supervisor.answers["abort"] = OatieError("no answer")
    with pytest.raises(OatieError, match="no answer"):
        target.abort()
    supervisor.answers["abort"] = {"serving": "6"}
    target.abort()
    assert supervisor.asked.count("abort") == 2


def test_the_lease_ends_with_the_process_however_it_dies(
    supervisor: Supervisor, paths: StatePaths, target: ProcessTarget
) -> None:
    child = os.fork()
    if child == 0:
        spawn(target)
        os.kill(os.getpid(), 9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    assert supervisor.lease_ended.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"event": "draining", "connections": 3, "in_flight": 1}, "3 connections open, 1 request in flight"),
        ({"event": "draining", "connections": None}, "? connections open, ? requests in flight"),
        ({"event": "baking", "left_seconds": 4.2}, "4 s left"),
        ({"event": "tick"}, ""),
    ],
)
def test_what_is_waited_for_is_said_in_words(event: dict[str, Any], said: str) -> None:
    assert sentence(event) == said
