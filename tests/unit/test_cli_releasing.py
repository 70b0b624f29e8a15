"""The last words of a deploy or a rollback: what serves where, and nothing that is not so."""

from __future__ import annotations

import pytest

from oatie_ops.cli.releasing import verdict_lines
from oatie_ops.deployment.events import Result, Serving
from oatie_ops.errors import Locked, OatieError, PrerequisiteMissing
from oatie_ops.exit_codes import ExitCode

URL = "http://127.0.0.1:8080"
NOTHING = Serving(None, None, None)


@pytest.fixture(autouse=True)
def no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def failed(code: ExitCode = ExitCode.FAILED, previous: int | None = 2) -> Result:
    return Result("failed", 3, previous, code)


def test_a_deploy_tells_what_serves_and_where() -> None:
    lines = verdict_lines("deploy", Result("deployed", 3, 2, ExitCode.OK), Serving("3", URL, None))
    assert lines == [f"deployed: release 3 serves on {URL}"]


def test_a_rollback_says_that_it_was_one() -> None:
    done = Result("deployed", 2, 3, ExitCode.OK)
    assert verdict_lines("rollback", done, Serving("2", URL, None)) == [
        f"rolled back to release 2: it serves on {URL}"
    ]
    same = Result("deployed", 2, 2, ExitCode.OK)
    assert verdict_lines("rollback", same, Serving("2", URL, None)) == [f"release 2: it serves on {URL}"]
    refused = Result("rolled_back", 2, 3, ExitCode.ROLLED_BACK)
    assert verdict_lines("rollback", refused, Serving("3", URL, None)) == [
        f"not rolled back: release 3 still serves on {URL}"
    ]


def test_a_release_that_another_process_is_deploying_is_named_with_that_process() -> None:
    locked = Locked("another run holds the deploy lock")
    baking = Serving("4", URL, None, deploying="4", deploying_pid=77)
    assert verdict_lines("deploy", failed(ExitCode.LOCKED), baking, locked) == [
        f"failed: release 4 is being deployed by process 77 and serves on {URL}"
    ]
    gated = Serving("2", URL, None, deploying="4", deploying_pid=77)
    assert verdict_lines("deploy", failed(ExitCode.LOCKED), gated, locked) == [
        f"failed: release 2 serves on {URL}; release 4 is being deployed by process 77"
    ]
    first = Serving(None, None, None, deploying="4", deploying_pid=77)
    assert verdict_lines("deploy", failed(ExitCode.LOCKED), first, locked) == [
        "failed: nothing serves yet; release 4 is being deployed by process 77"
    ]


def test_a_start_is_recommended_only_where_it_can_work() -> None:
    broken = OatieError("release 3 did not become ready")
    assert "`oatie start` serves release 2 again" in verdict_lines("deploy", failed(), NOTHING, broken)[0]
    for hopeless in (PrerequisiteMissing("port 8080 is taken"), Locked("another run")):
        assert verdict_lines("deploy", failed(), NOTHING, hopeless) == ["failed: nothing serves"]
    assert verdict_lines("deploy", failed(previous=None), NOTHING, broken) == ["failed: nothing serves"]
