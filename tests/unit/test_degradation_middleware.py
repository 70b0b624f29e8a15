"""`OatieMiddleware`, its reader and `degradation_manager` in one process, driven as a server drives them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.degradation import reader as readers
from oatie_ops.degradation.automatic import decision as automatic_decision
from oatie_ops.degradation.decision import Decision, Now
from oatie_ops.degradation.desk import Desk
from oatie_ops.degradation.install import install
from oatie_ops.degradation.manager import DegradationManager
from oatie_ops.degradation.middleware import OatieMiddleware
from oatie_ops.degradation.page import locked
from oatie_ops.degradation.reader import Reader
from oatie_ops.degradation.word import Owner, Word, pack
from oatie_ops.degradation.wsgi import OatieWsgiMiddleware
from oatie_ops.identity import boot_id
from oatie_ops.paths import StatePaths

BODY = {"reports": [], "message": "Report service degraded"}
RULES = {
    "reports": {
        "routes": ["/api/reports*", "/ws"],
        "responses": [{"match": "GET /api/reports", "status": 200, "body": BODY, "headers": {}}],
        "retry_after": 30.0,
    },
    "search": {"routes": ["/search"], "responses": [], "retry_after": 30.0},
}


async def application(scope: Any, _receive: Any, send: Any) -> None:
    if scope["path"] == "/raise":
        raise RuntimeError("broken")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]})
    await send({"type": "http.response.body", "body": b"application"})


def ask(app: Any, path: str = "/api/reports", method: str = "GET", **scope: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "path": path, "method": method, "headers": [], **scope}, None, send))
    return sent


def status(app: Any, path: str = "/api/reports", method: str = "GET") -> int:
    return int(ask(app, path, method)[0]["status"])


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    paths = StatePaths(tmp_path / ".oatie")
    paths.ensure()
    install(paths, RULES)
    return paths


@pytest.fixture
def reader(paths: StatePaths) -> Iterator[Reader]:
    yield Reader(paths.switches)


@pytest.fixture
def app(reader: Reader) -> OatieMiddleware:
    return OatieMiddleware(application, reader=reader)


def decide(paths: StatePaths, service: str = "reports", *, seconds: float = 60.0, level: int = 100) -> int:
    decision = Decision(
        service, "operator", level, "slow", "alice", "tty", time.time(), time.time() + seconds,
        time.monotonic() + seconds, boot_id(),
    )  # fmt: skip
    return Desk(paths).decide(decision).changes


def test_users_are_not_told_what_a_check_found(app: OatieMiddleware, paths: StatePaths) -> None:
    found = "database is failing: 10.1.2.3:5432: connection refused"
    key = ("reports", "breaker", "health:database")
    now = Now(time.monotonic(), time.time(), boot_id())
    Desk(paths).decide(automatic_decision(key, found, 100, now))
    assert json.loads(ask(app, method="POST")[1]["body"])["reason"] == "database is failing"


def test_nothing_degraded_leaves_every_request_alone(app: OatieMiddleware, reader: Reader) -> None:
    assert ask(app)[1]["body"] == b"application"
    assert reader.pulse[0] == reader.calm  # from now on a request costs one comparison


def test_the_next_request_obeys_and_says_so(app: OatieMiddleware, paths: StatePaths) -> None:
    assert status(app) == 200
    decide(paths)
    start, body = ask(app)
    headers = dict(start["headers"])
    assert json.loads(body["body"]) == BODY and headers[b"x-degraded"] == b"reports"
    refused = ask(app, method="POST")
    assert refused[0]["status"] == 503 and json.loads(refused[1]["body"])["reason"] == "slow"
    assert ask(app, "/search")[1]["body"] == b"application"
    Desk(paths).restore("reports", "bob", "tty")
    assert ask(app)[1]["body"] == b"application"


def test_head_is_answered_without_a_body(app: OatieMiddleware, paths: StatePaths) -> None:
    decide(paths)
    start, body = ask(app, method="HEAD")
    assert dict(start["headers"])[b"content-length"] == str(len(json.dumps(BODY))).encode()
    assert body["body"] == b""


def test_an_expired_word_is_not_obeyed_though_nobody_cleaned_up(
    app: OatieMiddleware, reader: Reader, paths: StatePaths
) -> None:
    decide(paths)
    assert "x-degraded" in str(ask(app)[0])
    assert reader.page is not None
    over = Word(100, Owner.OPERATOR, 7, time.monotonic() - 1.0)
    reader.page.set_word(reader.page.names()["reports"], pack(over))
    assert ask(app)[1]["body"] == b"application"


def test_a_level_degrades_its_share_of_the_requests(app: OatieMiddleware, paths: StatePaths) -> None:
    decide(paths, level=30)
    degraded = sum("x-degraded" in str(ask(app)[0]) for _ in range(600))
    assert 90 <= degraded <= 280  # 180 on average; outside less than once in a billion runs


def test_a_second_layer_does_not_shed_again(reader: Reader, paths: StatePaths) -> None:
    decide(paths, level=50)
    twice = OatieMiddleware(OatieMiddleware(application, reader=reader), reader=reader)
    degraded = sum("x-degraded" in str(ask(twice)[0]) for _ in range(600))
    assert 200 <= degraded <= 400  # 300, and with two decisions 450


def test_websockets_are_refused_with_an_answer_or_a_close(app: OatieMiddleware, paths: StatePaths) -> None:
    decide(paths)
    closed = ask(app, "/ws", type="websocket")
    assert closed == [{"type": "websocket.close", "code": 1013}]
    answered = ask(app, "/ws", type="websocket", extensions={"websocket.http.response": {}})
    assert [message["type"] for message in answered] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]


def test_lifespan_is_never_degraded(reader: Reader, paths: StatePaths) -> None:
    seen = []

    async def only_lifespan(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    decide(paths)
    ask(OatieMiddleware(only_lifespan, reader=reader), type="lifespan")
    assert seen == ["lifespan"]


def test_an_exception_of_the_application_goes_on_its_way(app: OatieMiddleware) -> None:
    with pytest.raises(RuntimeError, match="broken"):
        ask(app, "/raise")


def test_a_held_lock_and_a_removed_directory_delay_no_request(
    app: OatieMiddleware, paths: StatePaths
) -> None:
    decide(paths)
    with locked(paths.switches):
        assert "x-degraded" in str(ask(app)[0])
    for path in paths.run.iterdir():
        path.unlink()
    assert "x-degraded" in str(ask(app)[0])


def test_a_reader_tells_what_it_acted_on_and_a_forked_child_takes_a_place_of_its_own(
    reader: Reader, paths: StatePaths
) -> None:
    changes = decide(paths)
    reader.look()
    assert reader.page is not None
    assert reader.page.readers(workers=False) == {os.getpid(): changes}
    pid = os.fork()
    if pid == 0:
        try:
            reader.forked()
            reader.look()
            found = reader.page.readers(workers=False)
            os._exit(0 if len(found) == 2 and found.get(os.getpid()) == changes else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_wsgi_obeys_the_same_switches(reader: Reader, paths: StatePaths) -> None:
    def bare_wsgi(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"application"]

    app = OatieWsgiMiddleware(bare_wsgi, reader=reader)
    told: list[Any] = []

    def ask_wsgi(method: str, path: str) -> bytes:
        environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": "/api", "PATH_INFO": path}
        return b"".join(app(environ, lambda status, headers: told.append((status, dict(headers)))))

    assert ask_wsgi("GET", "/reports") == b"application"
    decide(paths)
    assert json.loads(ask_wsgi("GET", "/reports")) == BODY and told[-1][1]["x-degraded"] == "reports"
    assert ask_wsgi("HEAD", "/reports") == b""
    assert json.loads(ask_wsgi("POST", "/reports"))["status"] == 503
    assert told[-1][0] == "503 Service Unavailable"
    assert ask_wsgi("GET", "/other") == b"application"


# --- the library ------------------------------------------------------------------------------------------


def test_the_library_works_in_a_process_without_oatie() -> None:
    reader = Reader()
    manager = DegradationManager(reader)
    app = OatieMiddleware(application, reader=reader)
    manager.register_degradation_rule(
        "reports",
        {
            "degraded_responses": {
                "list": BODY,
                "generate": {"status": "queued"},
                "GET /api/reports": BODY,
            }
        },
    )
    assert not manager.is_degraded("reports") and manager.get_degraded_response("reports", "list") is None
    assert manager.activate_degradation("reports", "high_load")
    assert manager.is_degraded("reports")
    assert manager.get_degraded_response("reports", "list") == BODY
    assert manager.get_degraded_response("reports", "other") is None
    assert json.loads(ask(app)[1]["body"]) == BODY
    told = manager.get_degradation_status()
    assert told["degraded_services"] == ["reports"]
    assert told["services"]["reports"]["reason"] == "high_load"
    assert 3590 < told["services"]["reports"]["left_seconds"] <= 3600
    assert manager.deactivate_degradation("reports")
    assert not manager.deactivate_degradation("reports")
    assert ask(app)[1]["body"] == b"application"


def test_a_local_decision_ends_by_itself() -> None:
    manager = DegradationManager(Reader())
    manager.activate_degradation("reports", for_seconds=0.01)
    time.sleep(0.02)
    assert not manager.is_degraded("reports")


@pytest.mark.parametrize("wrong", [{"level": 0}, {"level": 101}, {"for_seconds": 0.0}, {"for_seconds": -1.0}])
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        DegradationManager(Reader()).activate_degradation("reports", **wrong)
    with pytest.raises(TypeError):
        DegradationManager(Reader()).register_degradation_rule("reports", {"degraded_responses": ["list"]})


def test_under_oatie_the_library_sets_the_switch_of_all_processes(paths: StatePaths, reader: Reader) -> None:
    manager = DegradationManager(reader, shared=paths.switches)
    assert manager.activate_degradation("search", "index is being rebuilt", for_seconds=30.0)
    assert manager.is_degraded("search")
    assert manager.flush()
    other = Reader(paths.switches)
    assert other.level("search") == 100 and reader.local == {}
    assert Desk(paths).read().decisions[0].owner == "application"
    assert manager.deactivate_degradation("search")
    assert manager.flush()
    assert other.level("search") == 0


def test_the_library_does_not_go_against_an_operator(paths: StatePaths, reader: Reader) -> None:
    decide(paths, level=0)
    manager = DegradationManager(reader, shared=paths.switches)
    assert not manager.activate_degradation("reports", "load")
    assert not manager.is_degraded("reports")
    decide(paths, level=100)
    assert not manager.deactivate_degradation("reports")
    assert manager.flush()
    assert manager.is_degraded("reports")


def test_a_process_writes_only_where_it_was_told_and_reads_its_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OATIE_SWITCHES", raising=False)
    monkeypatch.delenv("OATIE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert readers._usual_path() is None and readers.shared_path() is None
    StatePaths(tmp_path / ".oatie").ensure()
    assert readers._usual_path() == tmp_path / ".oatie" / "run" / "switches"
    assert readers.shared_path() is None
    monkeypatch.setenv("OATIE_SWITCHES", "/somewhere/run/switches")
    assert readers._usual_path() == readers.shared_path() == Path("/somewhere/run/switches")
