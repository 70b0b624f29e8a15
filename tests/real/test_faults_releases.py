"""A bad release is refused and explained; what served before serves on, and nothing is left of the try."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.real.harness import Completed, Project, ProjectMaker
from tests.real.waiting import wait_for

# Knobs of the ASGI service, and words that the explanation must hold.
BAD_SERVICES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "import error": (
        {"import_error": "a_module_that_is_not_there", "say_at_boot": "boot line of the log"},
        ("ModuleNotFoundError", "a_module_that_is_not_there", "service.py", "boot line of the log"),
    ),
    "exception in startup": ({"startup_error": "the database is away"}, ("the database is away",)),
    "exits at import": ({"exit_at_import": 9, "say_at_boot": "last words"}, ("exit code 9", "last words")),
    "exits 0 at import": ({"exit_at_import": 0}, ("exit code 0",)),
    "ready path answers 503": ({"ready_status": 503}, ("/ready", "503", "not ready")),
    "ready path redirects": ({"ready_status": 301}, ("/ready", "301", "https://example.invalid/ready")),
    "ready path is missing": ({"ready_status": 404}, ("/ready", "404")),
    "ready path hangs": ({"ready_hangs": True}, ("/ready",)),
    "never ends its import": ({"import_seconds": 3600}, ("still starting", "at service.py:")),
    "never ends its startup": ({"startup_seconds": 3600}, ("starting",)),
}
# The same for a program that listens by itself.
BAD_PROGRAMS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "exits 1": ({"exit_at_boot": 1, "say_at_boot": "last words"}, ("exit code 1", "last words")),
    "exits 0": ({"exit_at_boot": 0}, ("exit code 0", "foreground")),
    "listens on no port": ({"listens": False}, ("$PORT", "listens on no port")),
    "listens on another port": ({"elsewhere": True}, ("$PORT", "listens on port")),
    "accepts and never answers": ({"accepts": False}, ("/ready",)),
    "ready path answers 503": ({"ready_status": 503}, ("/ready", "503")),
    "ready path redirects": ({"ready_status": 302}, ("/ready", "302")),
}


# How long a gate waits for what never comes. Also a busy machine boots a worker by then, and what
# ends by itself is not waited for.
PATIENT = {"ready_timeout": "60s"}
SOON = {"ready_timeout": "6s"}
ENDS = ("error", "exception", "exits")

USUAL_SERVICES = ("import error", "ready path answers 503")
USUAL_PROGRAMS = ("listens on another port",)


def cases(table: Iterable[str], usual: tuple[str, ...]) -> list[Any]:
    """All of them; the default run has the usual ones."""
    return [pytest.param(case, marks=() if case in usual else pytest.mark.slow) for case in table]


def explained(failed: Completed, *words: str) -> None:
    """What, why and fix are there, and the words too."""
    error = next(event["error"] for event in failed.events if event["event"] == "error")
    assert error["what"], failed
    assert error["why"], failed
    assert error["fix"], failed
    text = " ".join([error["what"], error["why"], error["fix"], *error["details"]])
    missing = [word for word in words if word not in text]
    assert not missing, f"{missing} missing in the explanation\n{failed}"


@pytest.mark.parametrize("case", cases(BAD_SERVICES, USUAL_SERVICES))
def test_a_bad_release_is_refused_explained_and_gone(project: Project, case: str) -> None:
    knobs, words = BAD_SERVICES[case]
    project.deployed("1")
    project.configure(app=PATIENT if any(word in case for word in ENDS) else SOON)
    project.version("2", **knobs)
    refused = project.deploy().expect(7)
    assert refused.result["status"] == "rolled_back"
    explained(refused, *words)
    assert project.serving() == "1"
    assert {worker["release"] for worker in project.workers()} == {"1"}
    project.assert_settled()
    # The next command works.
    project.configure(app=PATIENT)
    project.deployed("3")
    assert project.serving() == "3"


@pytest.mark.slow
@pytest.mark.parametrize("case", ["import error", "ready path answers 503"])
def test_a_bad_first_release_fails_and_leaves_nothing_running(project: Project, case: str) -> None:
    knobs, words = BAD_SERVICES[case]
    project.configure(app=PATIENT if any(word in case for word in ENDS) else SOON)
    project.version("1", **knobs)
    failed = project.deploy().expect(1)
    assert failed.result["status"] == "failed"
    explained(failed, *words)
    project.assert_gone()
    project.configure(app=PATIENT)
    project.deployed("2")
    assert project.serving() == "2"


@pytest.mark.parametrize("case", cases(BAD_PROGRAMS, USUAL_PROGRAMS))
def test_a_bad_program_never_costs_the_one_that_serves(make_project: ProjectMaker, case: str) -> None:
    """Without a hand-over a good switch has a gap; a bad release is found on a private port before it."""
    knobs, words = BAD_PROGRAMS[case]
    project = make_project("program.py")
    project.configure(app={"run": None, "command": ["python3", "program.py"], "workers": 1})
    project.deployed("1")
    project.configure(app=PATIENT if any(word in case for word in ENDS) else SOON)
    project.version("2", **knobs)
    with project.load("/", new=2, keep=0, rate=50) as load:
        refused = project.deploy().expect(7)
        load.wait_for_more(10)
        result = load.finish()
    explained(refused, *words)
    assert result["failed"] == 0
    assert set(result["releases"]) == {"1"}
    project.assert_settled()


@pytest.mark.slow
def test_no_such_module_or_attribute_is_named(project: Project) -> None:
    project.version("1")
    project.configure(app={"run": "service:no_such_app"})
    explained(project.deploy().expect(1), "no_such_app")
    project.configure(app={"run": "no_such_module:app"})
    explained(project.deploy().expect(1), "no_such_module")
    project.assert_gone()


@pytest.mark.slow
def test_a_release_that_crashes_during_its_bake_goes_back_to_the_one_before(project: Project) -> None:
    project.deployed("1")
    project.configure(deploy={"bake": "20s"})
    project.version("2", exit_after_ready_seconds=0.5)
    turned_back = project.deploy().expect(7)
    assert turned_back.step("bake", "failed") or turned_back.step("drain", "failed"), turned_back
    explained(turned_back, "exit code 3", "release 2 crashes now")
    assert project.serving() == "1"
    assert project.status()["release"] == str(turned_back.result["previous"])
    project.assert_settled()


@pytest.mark.slow
def test_a_release_that_answers_with_errors_is_turned_back_by_its_bake(project: Project) -> None:
    project.deployed("1")
    project.configure(deploy={"bake": "20s"})
    project.version("2", fail_every=2)
    with project.load(new=4, keep=4):
        turned_back = project.deploy().expect(7)
    explained(turned_back, "server errors")
    assert project.serving() == "1"


@pytest.mark.slow
def test_a_failing_build_shows_its_output_and_starts_nothing(project: Project) -> None:
    project.deployed("1")
    project.configure(deploy={"build": ["echo a line of the build", "python -c 'raise SystemExit(4)'"]})
    project.version("2")
    failed = project.deploy().expect(7)
    assert failed.step("spawn", "started") is None
    explained(failed, "a line of the build", "4")
    assert project.serving() == "1"
    project.assert_settled()


def test_a_failing_release_command_stops_the_deploy(project: Project) -> None:
    project.deployed("1")
    command = "python -c \"print('migrating'); raise SystemExit(5)\""
    project.configure(deploy={"release": command})
    project.version("2")
    failed = project.deploy().expect(7)
    assert failed.step("spawn", "started") is None
    explained(failed, "migrating", "5")
    assert project.serving() == "1"
    project.assert_settled()


@pytest.mark.slow
def test_without_the_health_check_a_release_that_is_not_ready_is_let_in(project: Project) -> None:
    project.deployed("1")
    project.version("2", ready_status=503)
    project.deploy("--no-health-check").expect(0)
    assert project.serving() == "2"


@pytest.mark.slow
def test_rollback_to_a_release_that_no_longer_starts_keeps_what_serves(project: Project) -> None:
    """The way back passes the same gate."""
    flag = project.outputs / "flag"
    flag.touch()
    project.configure(app=SOON)  # each release keeps its own
    project.deployed("1", ready_file=str(flag))
    project.deployed("2")
    flag.unlink()
    project.oatie("rollback", "1", "--yes", "--json").expect(7)
    assert project.serving() == "2"
    flag.touch()
    project.oatie("rollback", "1", "--yes", "--json").expect(0)
    assert project.serving() == "1"


@pytest.mark.slow
def test_rollback_to_an_unknown_release_fails_with_the_list(project: Project) -> None:
    project.deployed("1")
    project.deployed("2")
    refused = project.oatie("rollback", "99", "--yes").expect(1)
    assert "99" in refused.said
    assert project.serving() == "2"


@pytest.mark.slow
def test_rollback_with_nothing_to_return_to_fails(project: Project) -> None:
    refused = project.oatie("rollback", "--yes").expect(1)
    assert "release" in refused.said
    project.deployed("1")
    project.oatie("rollback", "--yes").expect(1)
    assert project.serving() == "1"


@pytest.mark.slow
def test_an_old_worker_that_cannot_come_back_does_not_take_the_others_with_it(project: Project) -> None:
    """While release 2 bakes, a worker of release 1 dies and what it needs to boot is away; then 2 fails."""
    flag = project.outputs / "flag"
    flag.touch()
    project.configure(app=SOON)
    project.deployed("1", ready_file=str(flag))
    project.configure(app=PATIENT, deploy={"bake": "30s"})
    old = {worker["pid"] for worker in project.workers()}
    project.version("2", exit_after_ready_seconds=3)
    run = project.background("deploy", "--yes", "--json")
    run.wait_for_step("bake")
    flag.unlink()
    dead, survivor = old
    project.kill(dead)
    run.wait().expect(7)
    assert project.serving() == "1"
    assert survivor in {worker["pid"] for worker in project.workers() if worker["state"] == "serving"}
    flag.touch()
    wait_for(lambda: project.status()["state"] == "running", "both again", evidence=project.status)


@pytest.mark.slow
def test_a_variable_that_keeps_the_interpreter_from_starting_is_named(project: Project) -> None:
    project.deployed("1")
    project.configure(app={"env": {"PYTHONHASHSEED": "none"}})
    project.version("2")
    explained(project.deploy().expect(7), "PYTHONHASHSEED", "[app.env]")
    assert project.serving() == "1"
    project.configure(app={"env": None})
    project.deployed("3")
