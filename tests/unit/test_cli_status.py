"""`oatie status`, `stop` and `reload`: what they show and how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.cli import reload, stop
from oatie_ops.cli import status_report as status
from oatie_ops.cli.start_run import given_overrides
from oatie_ops.exit_codes import ExitCode
from oatie_ops.identity import ProcessIdentity
from oatie_ops.paths import StatePaths

NOW = 1_700_000_000.0


def worker(**changes: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "pid": 4711,
        "state": "serving",
        "release": "7",
        "started_at": NOW - 90,
        "rss_bytes": 50 * 2**20,
        "requests": 12,
        "errors": 0,
        "in_flight": 1,
        "connections": 3,
        **changes,
    }


def running(**changes: Any) -> dict[str, Any]:
    return {
        "supervisor": {"pid": 4710, "started_at": NOW - 7384, "version": "0.1.0", "rss_bytes": 40 * 2**20},
        "release": "7",
        "state": "running",
        "detail": "",
        "workers": [worker(), worker(id=2, pid=4712)],
        "wanted_workers": 2,
        "restarts": 0,
        "last_reload": {"successful": True, "success_at": 1_700_000_000.0},
        "last_end": None,
        "switch": None,
        "app": {"url": "http://localhost:8080", "name": "reports"},
        "ops": {"url": "http://127.0.0.1:8000"},
        **changes,
    }


def test_status_is_a_headline_addresses_and_a_table() -> None:
    assert status.render(running(), NOW) == [
        "running  release 7  up 2h3m  pid 4710",
        "app  http://localhost:8080",
        "ops  http://127.0.0.1:8000",
        "",
        "ID  PID   STATE    RELEASE  UP     MEMORY  REQS  ERRORS  ACTIVE  CONNS",
        "1   4711  serving  7        1m30s  50 MiB  12    0       1       3",
        "2   4712  serving  7        1m30s  50 MiB  12    0       1       3",
    ]


def test_status_fits_a_terminal_of_80_columns() -> None:
    busy = worker(
        id=128, pid=4194304, state="draining", release="checkout", started_at=NOW - 364 * 86400 - 40000
    )
    counts = {"requests": 123456789, "errors": 123456, "in_flight": 9999, "connections": 99999}
    lines = status.render(running(workers=[{**busy, "rss_bytes": 900 * 2**20, **counts}]), NOW)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("release", "stage", "headline", "line"),
    [
        ("7", "spawned", "release 7", "  deploying release 8: its workers are being gated"),
        (
            "7",
            "promoted",
            "release 8",
            "  deploying release 8: it serves and is being watched (drain, bake); release 7 stands by",
        ),
        (
            None,
            "promoted",
            "release 8",
            "  deploying release 8: it serves and is being watched (drain, bake)",
        ),
    ],
)
def test_status_during_a_deploy_says_which_release_serves(
    release: str | None, stage: str, headline: str, line: str
) -> None:
    lines = status.render(running(release=release, switch={"release": "8", "stage": stage}), NOW)
    assert headline in lines[0]
    assert line in lines


def test_a_reload_is_no_deploy() -> None:
    lines = status.render(running(switch={"release": "7", "stage": "gated"}), NOW)
    assert any(line.startswith("  reloading release 7") for line in lines)


def test_status_shows_what_is_not_known_as_a_dash() -> None:
    lines = status.render(running(workers=[{"id": 3}], ops={"url": None}), NOW)
    assert lines[-1].split() == ["3"] + ["-"] * 9
    assert not any(line.startswith("ops") for line in lines)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("running", ExitCode.OK),
        ("degraded", ExitCode.DEGRADED),
        ("starting", ExitCode.DEGRADED),
        ("stopping", ExitCode.DEGRADED),
        ("failed", ExitCode.FAILED),
        ("not running", ExitCode.FAILED),
    ],
)
def test_the_exit_code_of_status_follows_the_state(state: str, code: ExitCode) -> None:
    assert status.exit_code(running(state=state)) == code


def test_a_bad_state_says_why() -> None:
    lines = status.render(running(state="degraded", detail="1 of 2 workers serve"), NOW)
    assert lines[:2] == ["degraded  release 7  up 2h3m  pid 4710", "  1 of 2 workers serve"]


# -- the program, where nothing runs -------------------------------------------------------------------


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatePaths:
    monkeypatch.setenv("OATIE_HOME", str(tmp_path / "state"))
    paths = StatePaths(tmp_path / "state")
    paths.ensure()
    return paths


def oatie(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "oatie_ops", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_status_where_nothing_runs_has_the_same_shape_and_exits_1(paths: StatePaths) -> None:
    done = oatie("status", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert answer.pop("schema") == "oatie.status/v1"
    assert answer.keys() == running().keys()
    assert (answer["state"], answer["workers"], answer["app"]) == (
        "not running",
        [],
        {"url": None, "port": None, "host": None, "name": None, "ready": None, "ready_host": None},
    )
    assert answer["supervisor"].keys() == running()["supervisor"].keys()
    assert oatie("status").stdout.startswith("not running\n  ")


def test_stop_where_nothing_runs_is_no_error(paths: StatePaths) -> None:
    done = oatie("stop")
    assert (done.returncode, done.stdout) == (0, "not running: there is nothing to stop\n")
    assert json.loads(oatie("stop", "--json").stdout)["status"] == "not running"


def test_reload_where_nothing_runs_fails_and_says_what_to_do(paths: StatePaths) -> None:
    done = oatie("reload")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "  fix: start it with `oatie start` or `oatie deploy`"


# -- a supervisor that takes no orders -----------------------------------------------------------------

HANGING = """
import signal, sys
from pathlib import Path
from oatie_ops.supervisor.pidfile import PidFile
if sys.argv[2] == "deaf": signal.signal(signal.SIGTERM, signal.SIG_IGN)
with PidFile(Path(sys.argv[1])):
    print("up", flush=True)
    signal.pause()
"""


@pytest.fixture(params=["polite", "deaf"])
def hanging(paths: StatePaths, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """It holds the pid file, but nobody listens on its control socket."""
    command = [sys.executable, "-c", HANGING, str(paths.supervisor_pid), request.param]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "up\n"
    yield process
    process.kill()
    process.communicate()


def test_status_sees_it_and_stop_ends_it(
    hanging: subprocess.Popen[str], paths: StatePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = json.loads(oatie("status", "--json").stdout)
    assert (seen["state"], seen["supervisor"]["pid"]) == ("starting", hanging.pid)
    monkeypatch.setattr(stop, "GRACE_SECONDS", 0.3)
    assert stop.stop(paths, 0.0, lambda text: None) == hanging.pid
    assert hanging.wait(60) in (-15, -9)


def test_what_has_to_go_is_found_by_more_than_its_pid() -> None:
    found = stop.running(
        running(supervisor={"pid": os.getpid()}, workers=[worker(pid=None), worker(id=2, pid=2**22)])
    )
    assert found == {"supervisor": ProcessIdentity.current()}


# -- reload --------------------------------------------------------------------------------------------


def test_a_failed_reload_carries_the_supervisors_reason() -> None:
    error = {"what": "not ready", "why": "GET /ready answers 503", "fix": "mend it", "exit_code": 7}
    failure = reload.failure({"event": "result", "status": "failed", "error": error})
    assert (failure.what, failure.why, failure.exit_code) == ("not ready", "GET /ready answers 503", 7)


def test_events_are_described_in_one_line() -> None:
    step = {"event": "step", "name": "gate", "message": "every new worker is ready", "seconds": 0.2}
    assert reload.describe(step) == "gate: every new worker is ready"


# -- start ---------------------------------------------------------------------------------------------


def test_only_flags_that_were_given_override_the_configuration() -> None:
    assert given_overrides() == {}
    assert given_overrides(port=0, host="0.0.0.0") == {"app.port": 0, "app.host": "0.0.0.0"}
    assert given_overrides(dev=True) == {"app.workers": 1, "app.log_level": "debug", "app.debug": True}
    assert given_overrides(dev=True, workers=3, log_level="info") == {
        "app.workers": 3,
        "app.log_level": "info",
        "app.debug": True,
    }
