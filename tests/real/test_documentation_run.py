"""Every command that README and guide show in a block is run, in the order in which its page shows it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documented import Shown, in_blocks
from tests.real.cluster import fake_cluster
from tests.real.harness import COMMAND_TIMEOUT_SECONDS, Project
from tests.real.waiting import wait_for

BY_PAGE: dict[str, list[Shown]] = {}
for _shown in in_blocks():
    BY_PAGE.setdefault(_shown.page, []).append(_shown)
# They go on until somebody ends them.
ENDLESS = ({"-f"}, {"--follow"}, {"--watch"})
ENDED = {0, 130}
# Failed checks, degraded, or a prerequisite that this machine lacks; never a wrong command line, or a crash.
ORDINARY = {0, 1, 3, 5}


@pytest.fixture
def stage(project: Project) -> Iterator[Project]:
    """An application with what the pages speak of: services, environments, a recorded load."""
    with socket.socket() as database:
        database.bind(("127.0.0.1", 0))
        database.listen()
        project.configure(
            app={"workers": 1, "ready_timeout": "60s"},
            **{
                "services.database": {
                    "check": {"type": "tcp", "port": database.getsockname()[1], "interval": "1s"},
                    "recover": [{"run": [sys.executable, "-c", ""], "settle": "100ms"}],
                },
                "services.reports": {"routes": ["/api/reports*"], "needs": ["database"]},
                "alerts.ops": {"command": ["true"]},
                "environments.production": {"app.log_level": "warning"},
            },
        )
        load = "\n".join(f"{60 * n},{20 + n % 60}" for n in range(600))
        (project.root / "load.csv").write_text(f"t_s,load\n{load}\n")
        for version in ("1", "2"):
            project.deployed(version)
        yield project


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", sorted(BY_PAGE))
def test_what_a_page_shows_works(stage: Project, page: str, tmp_path: Path) -> None:
    if page != "kubernetes.md":
        play(stage, BY_PAGE[page], {})
        return
    with fake_cluster() as cluster:
        stage.configure(app={"run": None, "command": ["serve"], "workers": None}, image={"use": "shop:1"})
        play(stage, BY_PAGE[page], {"KUBECONFIG": str(cluster.kubeconfig(tmp_path / "kubeconfig"))})


def play(stage: Project, shown: list[Shown], variables: dict[str, str]) -> None:
    for each in shown:
        argv, env = each.argv, {**variables, **each.variables}
        place = stage.root
        if argv[0] == "init" or each.text.startswith(".."):
            place = stage.root / "empty"
            place.mkdir(exist_ok=True)
            argv = [*argv, "--force"] if argv[0] == "init" else argv
        if argv[:1] == ["start"]:
            stage.oatie("stop")
        code, said = run(stage, argv, env, place)
        where = f"{each.page}:{each.line}: oatie {' '.join(argv)}\n{said}"
        assert "unexpectedly" not in said and "Traceback" not in said, where
        assert code in (ENDED if endless(argv) else ORDINARY), f"exit {code}: {where}"


def endless(argv: list[str]) -> bool:
    in_front = argv[:1] == ["start"] and not {"--daemon", "-d"} & set(argv)
    return in_front or any(flags <= set(argv) for flags in ENDLESS)


def run(stage: Project, argv: list[str], env: dict[str, str], place: Path) -> tuple[int, str]:
    # Some install something for the user; two pages may do so at the same time.
    own = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(stage.outputs))
    # A terminal's user has one; a CI's job often has none.
    env = {**own, "SHELL": "/bin/bash", **env}
    if not endless(argv):
        done = stage.oatie(*argv, env=env, cwd=place, timeout_seconds=COMMAND_TIMEOUT_SECONDS)
        return done.code, done.said
    process = subprocess.Popen(
        [*stage.program, *argv],
        cwd=place,
        env=stage.environ(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if argv[0] == "start":
        wait_for(lambda: process.poll() is not None or _serves(stage), "the application to serve")
    else:
        assert process.stdout is not None
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=COMMAND_TIMEOUT_SECONDS)
    return process.returncode, said


def _serves(stage: Project) -> bool:
    status = stage.oatie("status", "--json")
    return bool(json.loads(status.stdout)["state"] == "running")
