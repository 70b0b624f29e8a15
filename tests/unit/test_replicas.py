"""What is made of the answers of replicas: their own words, else the engine's, else "unreachable" and why."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from oatie_ops.cli import replicas
from oatie_ops.deployment.targets.asking import AT_ONCE, HEALTH, STATUS, Answer, ask, ask_all, gathered
from oatie_ops.deployment.targets.engine import Replica
from oatie_ops.deployment.targets.inside import NoProgram, OutOfReach, Said, ran, runs_oatie
from oatie_ops.errors import OatieError, UsageError

SERVING = Replica(id="c0ffee", name="r7-1", release="7", state="serving", node="web-1")


def status(state: str = "running") -> dict[str, Any]:
    workers = [{"state": "serving"}, {"state": "serving"}, {"state": "draining"}]
    return {
        "schema": "oatie.status/v1",
        "state": state,
        "release": "checkout",
        "detail": "why it is so",
        "supervisor": {"version": "1.0"},
        "workers": workers,
        "wanted_workers": 2,
    }


def health(word: str = "pass", cause: str = "") -> dict[str, Any]:
    services = {"db": {"status": word, "output": cause, "checks": {}}}
    return {"schema": "oatie.health/v1", "status": word, "cause": cause, "services": services}


class Inside:
    """A container that answers the two questions with these objects."""

    def __init__(self, first: Any, second: Any = None) -> None:
        self.answers = {STATUS: first, HEALTH: second if second is not None else health()}

    def __call__(self, _replica: Replica, argv: Sequence[str]) -> Said:
        answer = self.answers[tuple(argv)]
        if isinstance(answer, Exception):
            raise answer
        return Said(0, answer if isinstance(answer, str) else json.dumps(answer), "")


def asked(first: Any, second: Any = None, replica: Replica = SERVING) -> Answer:
    return ask(replica, Inside(first, second))


def test_its_own_oatie_answers() -> None:
    answer = asked(status(), health("warn", "db: slow"))
    assert (answer.source, answer.status, answer.cause) == ("ops", "warn", "db: slow")
    assert answer.inside is not None
    assert (answer.inside.workers, answer.inside.wanted_workers) == (2, 2)
    assert answer.inside.services == {"db": {"status": "warn", "output": "db: slow"}}
    assert answer.is_running


def test_what_a_container_says_is_one_line_that_no_terminal_obeys() -> None:
    answer = asked(status(), health("fail", "db: \x1b[2J gone\nand\tmore"))
    assert answer.cause == "db: [2J gone and more"
    assert asked(status(), health("marvellous")).status == "unknown"


def test_a_supervisor_that_is_not_well_says_why() -> None:
    answer = asked(status("starting"))
    assert answer.cause == "why it is so"
    assert not answer.is_running


@pytest.mark.parametrize(
    "first", [NoProgram("no oatie"), status("not running"), OutOfReach("far", argv=["python3", "app.py"])]
)
def test_without_an_oatie_inside_the_engine_answers(first: Any) -> None:
    answer = asked(first)
    assert (answer.source, answer.status) == ("engine", "pass")
    assert "no oatie" in answer.cause


@pytest.mark.parametrize(
    ("state", "healthy", "word", "finding"),
    [
        ("serving", True, "pass", "its health check passes"),
        ("serving", None, "pass", "no health check"),
        ("starting", None, "warn", "starting"),
        ("draining", True, "warn", "draining"),
        ("stopped", None, "fail", "exit code 3"),
        ("failed", False, "fail", "exit code 3"),
    ],
)
def test_the_engines_word(state: str, healthy: bool | None, word: str, finding: str) -> None:
    detail = "exit code 3" if word == "fail" else ""
    replica = Replica(id="c", name="r", release="7", state=state, healthy=healthy, detail=detail)
    answer = asked(NoProgram("no oatie"), replica=replica)
    assert (answer.source, answer.status) == ("engine", word)
    assert finding in answer.cause


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (OutOfReach("its node web-2 is another machine", why="no address"), "web-2 is another machine: no"),
        (OutOfReach("far", argv=["/sbin/tini", "--", "oatie", "start"]), "far"),
        (OatieError("paused", why="unpause it"), "paused: unpause it"),
        ("Traceback: no JSON", "Traceback: no JSON"),
        ("", "it said nothing"),
        ("[]", "cannot be understood"),
        ({"schema": "oatie.error/v1", "error": {"what": "locked", "why": "by you"}}, "locked: by you"),
    ],
)
def test_what_cannot_be_asked_is_unknown_and_says_why(first: Any, reason: str) -> None:
    answer = asked(first)
    assert (answer.source, answer.status) == ("none", "unknown")
    assert reason in answer.reason
    assert answer.cause == f"unreachable: {answer.reason}"
    assert not answer.is_running


@pytest.mark.parametrize("second", [{"schema": "x"}, {"schema": "x", "status": "pass", "services": [1]}])
def test_an_oatie_that_answers_otherwise_is_unreachable(second: Any) -> None:
    assert "cannot be understood" in asked(status(), second).reason
    assert "cannot be understood" in asked({"schema": "x"}).reason


def test_what_the_engine_knows_to_be_bad_is_not_only_unknown() -> None:
    sick = Replica(id="c", name="r", release="7", state="failed", healthy=False)
    answer = asked(OatieError("paused"), replica=sick)
    assert (answer.source, answer.status, answer.reason) == ("none", "fail", "paused")


def many(count: int) -> list[Replica]:
    return [Replica(id=str(n), name=str(n), release="7", state="serving") for n in range(count)]


def test_one_that_hangs_is_given_up_at_its_deadline() -> None:
    let_go = threading.Event()

    def run(replica: Replica, argv: Sequence[str]) -> Said:
        let_go.wait(60)
        return Inside(status())(replica, argv)

    try:
        (answer,) = ask_all([SERVING], run, seconds=0.2)
    finally:
        let_go.set()
    assert (answer.source, answer.reason) == ("none", "it did not answer in 0.2 s")


def test_one_that_hangs_holds_up_no_other_and_a_few_are_asked_at_once() -> None:
    everyone = many(AT_ONCE * 4)
    others, lock = threading.Event(), threading.Lock()
    now, most, asked_so_far = 0, 0, set()

    def run(replica: Replica, argv: Sequence[str]) -> Said:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        try:
            if replica.name == "3":
                assert others.wait(60), "the others were not asked meanwhile"
            elif tuple(argv) == HEALTH:
                asked_so_far.add(replica.name)
                if len(asked_so_far) == len(everyone) - 1:
                    others.set()
            return Inside(status())(replica, argv)
        finally:
            with lock:
                now -= 1

    answers = ask_all(everyone, run, seconds=90.0)
    assert [each.replica.name for each in answers] == [each.name for each in everyone]
    assert {each.source for each in answers} == {"ops"}
    assert most <= AT_ONCE
    assert ask_all([], run, seconds=1.0) == []


def whole(state: str, *answers: Answer) -> dict[str, Any]:
    engine = {
        "target": "docker",
        "release": "7",
        "wanted_workers": 2,
        "state": state,
        "detail": "of the engine",
    }
    return gathered(engine, answers)


def test_the_worst_of_all_is_the_verdict() -> None:
    good, slow, gone = asked(status()), asked(status(), health("warn", "db: slow")), asked(OatieError("gone"))
    found = whole("running", good, slow)
    assert (found["state"], found["status"], found["cause"]) == ("running", "warn", "r7-1: db: slow")
    found = whole("running", good, gone)
    assert (found["state"], found["status"]) == ("degraded", "unknown")
    assert found["detail"].startswith("1 of 2 replicas")
    assert found["counts"] == {"pass": 1, "unknown": 1, "warn": 0, "fail": 0}
    assert found["replicas"][1]["reason"] == "gone"


def test_what_the_engine_misses_counts_too() -> None:
    found = whole("degraded", asked(status()))
    assert (found["state"], found["status"], found["cause"]) == ("degraded", "warn", "of the engine")
    found = whole("not running")
    assert (found["state"], found["status"], found["replicas"]) == ("not running", "fail", [])
    assert whole("running", asked(status()))["cause"] == ""


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["oatie", "start"], True),
        (["/venv/bin/oatie", "start", "--host", "0.0.0.0"], True),
        (["python3", "-m", "oatie_ops", "start"], True),
        (["sh", "-c", "migrate && exec oatie start"], True),
        (["python3", "main.py"], False),
        (["node", "oatie.js"], False),
        ([], False),
    ],
)
def test_whether_a_command_line_starts_oatie(argv: list[str], expected: bool) -> None:
    assert runs_oatie(argv) is expected


def test_a_runtime_that_had_nothing_to_start() -> None:
    with pytest.raises(NoProgram, match="no oatie"):
        ran(Said(127, "", "exec: oatie: not found"), STATUS)
    assert ran(Said(1, "{}", ""), STATUS).code == 1


def test_people_get_a_headline_and_a_table_with_the_worst_first(capsys: pytest.CaptureFixture[str]) -> None:
    well, gone = asked(status()), asked(OatieError("paused", why="unpause it"))
    found = whole("running", well, replace(gone, replica=replace(SERVING, name="r7-2")))
    replicas.show(found, "degraded  " + replicas.summary(found), found["detail"], as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "degraded  release 7 on docker, 2 replicas: 1 healthy, 1 unknown",
        "  1 of 2 replicas are not known to run well",
        "",
        "REPLICA  NODE   RELEASE  STATE    WORKERS  HEALTH     FINDING",
        "r7-2     web-1  7        serving  -        ? unknown  unreachable: paused: unpause it",
        "r7-1     web-1  7        serving  2/2      ✓ healthy  -",
    ]
    assert replicas.summary(whole("not running")) == "release 7 on docker, no replica"
    assert replicas.summary(whole("running", well)) == "release 7 on docker, 1 replica: 1 healthy"


@pytest.mark.parametrize(("text", "seconds"), [(None, 15.0), ("2m", 120.0), ("0.5", 0.5)])
def test_how_long_a_replica_may_take(text: str | None, seconds: float) -> None:
    assert replicas.patience(text) == seconds


@pytest.mark.parametrize("text", ["soon", "0s", "10ms"])
def test_no_time_at_all_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        replicas.patience(text)
