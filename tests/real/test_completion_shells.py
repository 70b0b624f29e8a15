"""Completion in real shells, as it is typed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.shells import Shell
from tests.real.waiting import need_program

OATIE = [sys.executable, "-m", "oatie_ops"]
LOAD = {
    "bash": ("source oatie.bash",),
    "zsh": ("autoload -Uz compinit; compinit -u", "source ./_oatie"),
    "fish": ("source oatie.fish",),
}
FILES = {"bash": "oatie.bash", "zsh": "_oatie", "fish": "oatie.fish"}
REMEMBERED = "services app warehouse\nreleases 31 12\nworkers 1 2 supervisor\nenvironments blue green\n"


def script(shell: str) -> str:
    done = subprocess.run(
        [*OATIE, "completion", "show", shell], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.fixture(params=sorted(FILES))
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    name = request.param
    need_program(name)
    (tmp_path / FILES[name]).write_text(script(name))
    (tmp_path / ".oatie").mkdir()
    (tmp_path / ".oatie" / "complete").write_text(REMEMBERED)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    running = Shell(name, tmp_path, LOAD[name])
    yield running
    running.close()


def test_commands_options_and_values_are_completed(shell: Shell) -> None:
    shell.complete("oatie depl", "oy")
    shell.clear_line()
    shell.complete("oatie deploy --no-hea", "lth-check")
    shell.clear_line()
    shell.complete("oatie deploy --target ku", "bernetes")
    shell.clear_line()
    shell.complete("oatie --color ne", "ver")
    shell.clear_line()
    shell.complete("oatie config ex", "plain")
    shell.clear_line()
    shell.complete("oatie help exit", "-codes")


def test_names_of_the_project_are_completed_from_anywhere_in_it(shell: Shell) -> None:
    shell.enter("cd deep/er")
    shell.complete("oatie health ware", "house")
    shell.clear_line()
    shell.complete("oatie deploy -e bl", "ue")
    shell.clear_line()
    shell.complete("oatie logs --worker sup", "ervisor")
    shell.clear_line()
    shell.complete("oatie --quiet rollback ", "12", tabs=2)


def test_the_script_is_valid_where_nothing_is_remembered(shell: Shell) -> None:
    shell.enter("cd /")
    shell.complete("oatie health --maint", "enance")
    assert "rror" not in shell.shown


def test_files_are_offered_where_a_file_belongs(shell: Shell) -> None:
    shell.enter("echo A=1 > some.env")
    shell.complete("oatie start --env-file som", "e.env")
