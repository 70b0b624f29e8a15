"""Files beside oatie.toml that `oatie init` writes on request: a systemd unit, CI pipelines."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.cli.init_write import write_new

UNIT = """\
# Written by `oatie init --systemd`. To use it:
#   sudo cp {name}.service /etc/systemd/system/ && sudo systemctl daemon-reload
#   sudo systemctl enable --now {name}
# Then `oatie deploy` goes on as before: it talks to the supervisor that this unit runs.
[Unit]
Description={name}, supervised by oatie
After=network-online.target
Wants=network-online.target

[Service]
# READY=1 comes when a worker has passed its health gate, and WATCHDOG=1 while the supervisor's loop turns.
Type=notify
NotifyAccess=main
WatchdogSec=30
User={user}
WorkingDirectory={directory}
# What oatie.toml takes from the environment, such as ${{DATABASE_URL}} (KEY=value lines, mode 0600):
# EnvironmentFile=/etc/{name}.env
ExecStart={oatie} start
ExecReload={oatie} reload
# The supervisor drains its workers itself; only what is left after TimeoutStopSec is killed.
KillMode=mixed
# Every connection is an open file, and the usual limit is 1024 of them for each worker.
LimitNOFILE=65536
TimeoutStopSec=60
Restart=on-failure
RestartSec=2
# An exit with one of these would only repeat itself: usage, configuration, prerequisite.
RestartPreventExitStatus=2 4 5
NoNewPrivileges=true
PrivateTmp=true
ProtectSystem=full

[Install]
WantedBy=multi-user.target
"""

GITHUB = """\
# Written by `oatie init --github`. The runner has to be the host that serves (self-hosted), or has to reach
# the engine of the target (docker, swarm, kubernetes).
name: deploy
on:
  push:
    branches: [main]
concurrency: deploy-production
jobs:
  deploy:
    runs-on: self-hosted
    environment: production
    steps:
      - uses: actions/checkout@v4
        with:
          clean: false # keeps .oatie/, where the releases are
      - run: |
          python3 -m venv ~/oatie-venv
          ~/oatie-venv/bin/pip install oatie-ops
          echo ~/oatie-venv/bin >> "$GITHUB_PATH"
      - run: oatie --ci github config check --environment production --strict
      - run: oatie --ci github deploy --environment production --yes --wait-lock 300
      - run: oatie --ci github health --until pass --deadline 60s
"""

GITLAB = """\
# Written by `oatie init --gitlab`. The runner (shell executor) is the host that serves, or reaches the engine
# of the target. Exit code 7 means: refused or undone, the release before still serves.
stages: [check, deploy]
default:
  before_script:
    - python3 -m venv ~/oatie-venv
    - ~/oatie-venv/bin/pip install oatie-ops
    - export PATH="$HOME/oatie-venv/bin:$PATH"
check:
  stage: check
  script:
    - oatie config check --environment production --strict
deploy:
  stage: deploy
  resource_group: production
  environment: production
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  variables:
    GIT_CLEAN_FLAGS: -ffdx -e .oatie/ # keeps .oatie/, where the releases are
  script:
    - oatie deploy --environment production --yes --wait-lock 300
    - oatie health --until pass --deadline 60s
"""


@dataclass(frozen=True)
class Place:
    """Where an application lives, and who runs it: what the templates need to know."""

    name: str
    directory: Path
    user: str
    oatie: str


def here(root: Path, name: str) -> Place:
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user id without an account, as in some containers; systemd takes the number
        user = str(os.getuid())
    beside = Path(sys.prefix) / "bin" / "oatie"
    found = str(beside) if beside.exists() else shutil.which("oatie") or str(beside)
    return Place(name, root, user, found)


def systemd(place: Place) -> tuple[str, str]:
    text = UNIT.format(
        name=_literal(place.name),
        user=place.user,
        directory=_literal(str(place.directory)),
        oatie=_program(place.oatie),
    )
    return f"{place.name}.service", text


def _literal(text: str) -> str:
    """Without specifiers: in a unit ``%h`` would be a home directory."""
    return text.replace("%", "%%")


def _program(path: str) -> str:
    """A program's path as ExecStart= takes it: quoted where it holds a space or a quote."""
    literal = _literal(path)
    if not any(character in literal for character in " \t\"'\\"):
        return literal
    return '"' + literal.replace("\\", "\\\\").replace('"', '\\"') + '"'


def github(_place: Place) -> tuple[str, str]:
    return ".github/workflows/deploy.yml", GITHUB


def gitlab(_place: Place) -> tuple[str, str]:
    return ".gitlab-ci.yml", GITLAB


KINDS: Mapping[str, Callable[[Place], tuple[str, str]]] = {
    "systemd": systemd,
    "github": github,
    "gitlab": gitlab,
}


def write(kinds: list[str], place: Place, *, force: bool) -> list[Path]:
    """The files, written. Raises `AlreadyThere` where one is there, before any is written."""
    wanted = [KINDS[kind](place) for kind in kinds]
    return write_new(place.directory, wanted, force=force)
