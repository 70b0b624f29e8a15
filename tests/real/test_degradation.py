"""Switches of a running application: obeyed by every worker, ended by themselves, kept across restarts."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from oatie_ops.degradation.page import Page
from tests.real.degrading import degrade
from tests.real.harness import Project
from tests.real.waiting import free_port, wait_for

CANNED = {"reports": [], "message": "Report service degraded"}
SERVICES: dict[str, Any] = {
    "services.database": {
        "check": {"type": "tcp", "port": 1, "interval": "200ms", "timeout": "200ms", "rise": 1, "fall": 1}
    },
    "services.reports": {
        "routes": ["/work*"],
        "degrade": {"responses": [{"match": "GET /work", "body": CANNED}], "retry_after": "20s"},
    },
}


@pytest.fixture
def running(project: Project) -> Project:
    project.configure(app={"workers": 4}, **{"services.reports": SERVICES["services.reports"]})
    project.start()
    return project


def degraded(project: Project, port: int | None = None) -> bool:
    answer = project.ask("/work", port=port)
    return answer is not None and "x-degraded" in answer[1]


def test_every_worker_obeys_a_decision_and_its_end(running: Project) -> None:
    assert not degraded(running)
    done = degrade(running, "reports", "--reason", "slow database", "--json").json
    assert (done["workers"], done["obeying"]) == (4, 4) and done["seconds"] is not None
    assert (done["degraded"], done["owner"], done["reason"]) == (True, "operator", "slow database")
    assert 3500 < done["left_seconds"] <= 3600
    for _ in range(12):
        answer = running.ask("/work")
        assert answer is not None and json.loads(answer[2]) == CANNED
        assert answer[1]["x-degraded"] == "reports"
        assert running.get("/") == 200
    refused = running.ask("/work/deeper")
    assert refused is not None and refused[0] == 503
    assert refused[1]["retry-after"] == "20" and refused[1]["content-type"] == "application/problem+json"
    # The application's own check may fail for a moment on a busy machine, which would be worse than degraded.
    wait_for(lambda: running.oatie("health", "reports").code == 3, "health to say degraded")
    health = running.oatie("health", "reports", "--json").json
    assert health["services"]["reports"]["degraded"]["reason"] == "slow database"
    said = degrade(running, "reports", "--restore").stdout
    assert re.search(r"4/4 workers obey, [\d.]+ ms", said)
    assert not degraded(running)


def test_the_command_explains_itself(running: Project) -> None:
    assert "did you mean reports?" in running.oatie("degrade", "report", "--reason", "x").expect(2).stderr
    nobody = running.oatie("degrade", "report").expect(2).stderr
    assert "did you mean reports?" in nobody and "reason" not in nobody
    assert "a reason is missing" in running.oatie("degrade", "reports").expect(2).stderr
    assert "nothing is degraded" in running.oatie("degrade", "--restore").expect(2).stderr
    assert "there are: reports" in running.oatie("degrade").expect(2).stderr
    both = running.oatie("degrade", "reports", "--reason", "x", "--for", "1h", "--permanent").expect(2)
    assert "exclude each other" in both.stderr
    assert "could be: reports" in degrade(running, "--list").stdout
    degrade(running, "reports", "--reason", "try", "--permanent", "--level", "40")
    listed = degrade(running, "--list").stdout
    assert re.search(r"reports +40% +operator +no end .* try", listed)
    assert "oatie degrade reports --restore" in running.oatie("degrade", "--restore").expect(2).stderr


def call(project: Project, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{project.ops_port}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"}
        | ({"Authorization": f"Bearer {token}"} if token else {}),
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_http_degrades_with_a_token_and_restores(running: Project) -> None:
    errors = "/api/performance/errors"
    token = "t" * 32
    secret = running.state.run / "ops-tokens"
    secret.write_text(token)
    secret.chmod(0o600)
    wait_for(lambda: call(running, "GET", "/health/live")[0] == 200, "the ops API")
    assert call(running, "POST", f"{errors}/services/reports/degrade?reason=high_load")[0] == 401
    assert not degraded(running)
    code, done = call(running, "POST", f"{errors}/services/reports/degrade?reason=high_load", token=token)
    assert (code, done["workers"], done["reason"]) == (200, 4, "high_load")
    assert done["actor"].startswith("token ")
    assert degraded(running)
    code, status = call(running, "GET", f"{errors}/degradation/status")
    assert (code, status["degraded_services"]) == (200, ["reports"])
    body = {"reason": "half", "level": 50, "duration": "10m", "actor": "somebody else"}
    code, done = call(running, "POST", f"{errors}/services/reports/degrade", body, token)
    assert (done["level"], done["reason"]) == (50, "half") and done["actor"].startswith("token ")
    assert 590 < done["left_seconds"] <= 600
    assert call(running, "POST", f"{errors}/services/nothing/degrade", token=token)[0] == 404
    assert call(running, "POST", f"{errors}/services/reports/degrade?duration=soon", token=token)[0] == 422
    code, done = call(running, "POST", f"{errors}/services/reports/restore", token=token)
    assert (code, done["degraded"]) == (200, False)
    assert not degraded(running)
    with urllib.request.urlopen(f"http://127.0.0.1:{running.ops_port}/health/metrics", timeout=60) as page:
        assert b'oatie_service_degraded{service="reports"} 0' in page.read()


@pytest.mark.slow
def test_a_decision_outlives_the_supervisor_and_a_cold_start_obeys_it(project: Project) -> None:
    project.configure(**{"services.reports": SERVICES["services.reports"]})
    first = project.start()
    degrade(project, "reports", "--reason", "kept", "--for", "1h")
    project.kill(first.pid)
    wait_for(lambda: not project.processes(), "the workers to end with their supervisor")
    listed = degrade(project, "--list", "--json").json
    assert listed["degraded_services"] == ["reports"] and listed["supervised"] is False
    project.background("start")
    # Whatever answers first, answers degraded.
    answer = wait_for(lambda: project.ask("/work"), "an answer of the new workers")
    assert answer[1].get("x-degraded") == "reports"
    wait_for(lambda: project.status()["state"] == "running", "the application to run")
    project.oatie("reload").expect(0)
    assert degraded(project)
    wait_for(lambda: project.oatie("health", "reports", "--json").code == 3, "health to show it")
    degrade(project, "reports", "--restore")
    assert not degraded(project)


@pytest.mark.slow
def test_an_operator_gets_through_to_the_workers_of_a_supervisor_that_hangs(running: Project) -> None:
    supervisor = running.status()["supervisor"]["pid"]
    os.kill(supervisor, signal.SIGSTOP)
    try:
        done = degrade(running, "reports", "--reason", "now", "--for", "10s", "--json").json
        assert (done["supervised"], done["workers"], done["obeying"]) == (False, 4, 4)
        assert "did not answer" in done["remark"]
        assert degraded(running)
        # Nobody but the workers is there to end it.
        wait_for(lambda: not degraded(running), "the decision to end by itself")
    finally:
        os.kill(supervisor, signal.SIGCONT)
    wait_for(
        lambda: running.oatie("degrade", "--list", "--json").json["supervised"], "the supervisor to be back"
    )
    assert running.oatie("degrade", "--list", "--json").json["degraded_services"] == []


def test_without_a_supervisor_the_command_says_what_happens(project: Project) -> None:
    project.configure(**{"services.reports": SERVICES["services.reports"]})
    done = degrade(project, "reports", "--reason", "before the start")
    assert "no supervisor is running" in done.stdout
    assert project.oatie("degrade", "--list", "--json").json["degraded_services"] == ["reports"]
    assert "did you mean reports?" in project.oatie("degrade", "rports", "--reason", "x").expect(2).stderr
    assert "did you mean reports?" in project.oatie("degrade", "rports").expect(2).stderr
    project.start()
    assert degraded(project)


# --- servers that oatie did not start ---------------------------------------------------------------------

BY_HAND = """
from oatie_ops import OatieMiddleware
from service import app as bare
app = OatieMiddleware(bare)
"""


@pytest.fixture
def by_hand(project: Project) -> Iterator[tuple[Project, int]]:
    """uvicorn with two pre-forked workers and one line in the application; no supervisor."""
    project.configure(**{"services.reports": SERVICES["services.reports"]})
    (project.root / "byhand.py").write_text(BY_HAND)
    port = free_port()
    project.state.ensure()
    with (project.outputs / "byhand").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "byhand:app", "--port", str(port), "--workers", "2"],
            cwd=project.root,
            env=project.environ({"OATIE_SWITCHES": str(project.state.switches)}),
            stdout=log,
            stderr=log,
        )
    wait_for(lambda: project.get("/work", port=port) == 200, "the server that was started by hand")
    yield project, port
    for process in [*psutil.Process(server.pid).children(recursive=True), psutil.Process(server.pid)]:
        process.kill()
    server.wait()


@pytest.mark.slow
def test_a_server_started_by_hand_obeys_and_ends_it_after_the_supervisor_was_killed(
    by_hand: tuple[Project, int],
) -> None:
    project, port = by_hand
    supervisor = project.start()
    degrade(project, "reports", "--reason", "short", "--for", "10s")
    assert degraded(project, port)
    project.kill(supervisor.pid)
    wait_for(lambda: not degraded(project, port), "the decision to end without any supervisor")
    # A decision of a wall clock in another zone ends by the same clock.
    degrade(project, "reports", "--reason", "tz", "--for", "10s", env={"TZ": "Asia/Tokyo"})
    assert degraded(project, port)
    wait_for(lambda: not degraded(project, port), "the decision to end")


HAMMER = """
import sys, time
from pathlib import Path
from oatie_ops.degradation.page import Page
from oatie_ops.degradation.word import Owner, Word, pack
page = Page.open(Path(sys.argv[1]))
number = page.number_of("torn")
words = [pack(Word(level, Owner.OPERATOR, 257 * level, 1000.0 * level)) for level in (1, 50, 100)]
print("ready", flush=True)
until = time.monotonic() + 1.5
while time.monotonic() < until:
    for word in words:
        page.set_word(number, word)
"""


def test_no_read_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "run" / "switches"
    page = Page.open(path)
    writer = subprocess.Popen([sys.executable, "-c", HAMMER, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
    number = page.names()["torn"]
    seen: set[int] = set()
    while writer.poll() is None:
        seen |= {page.word(number) for _ in range(1000)}
    writer.stdout.close()
    assert writer.returncode == 0
    seen.discard(0)
    assert 2 <= len(seen) <= 3  # the writer's words, and nothing in between
    assert {value & 0xFF for value in seen} <= {1, 50, 100}


ON_A_FULL_DISK = """
import sys
from contextlib import suppress
from pathlib import Path
from oatie_ops import CircuitBreaker
from oatie_ops.degradation.desk import Desk
from oatie_ops.degradation.install import install
from oatie_ops.degradation.reader import Reader
from oatie_ops.paths import StatePaths
from tests.unit.test_degradation_desk import RULES, wanted

paths = StatePaths(Path(sys.argv[1]) / ".oatie")
paths.ensure()
install(paths, RULES)
desk, reader = Desk(paths), Reader(paths.switches)
breaker = CircuitBreaker("db", shared=paths.run / "db.breaker")
with suppress(OSError), open(Path(sys.argv[1]) / "filler", "wb", buffering=0) as filler:
    while filler.write(bytes(4096)):
        pass
desk.decide(wanted())
breaker.trip()
print(reader.level("reports"), reader.raised())
print(len(desk.read().decisions), bool(desk.read().problem), breaker.state)
desk.restore("reports", "bob", "tty")
print(reader.level("reports"), len(desk.read().decisions))
"""


def test_a_full_disk_keeps_nobody_from_degrading(tmp_path: Path) -> None:
    """In a process of its own: a mapped page without a place on the disk ends its writer by SIGBUS."""
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "oatie", str(tmp_path)]
    if os.getuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only on machines where a test may mount a tmpfs (as root)")
    try:
        done = subprocess.run(
            [sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path)],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["100 {'reports': 100}", "1 True open", "0 0"]
