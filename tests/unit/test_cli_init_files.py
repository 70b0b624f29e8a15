"""The files that `oatie init` writes on request, held against the programs and schemas that read them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from oatie_ops.cli.init_files import Place, github, gitlab, systemd


def place(directory: Path, oatie: str) -> Place:
    return Place("reports", directory, "root", oatie)


def test_what_would_be_a_specifier_or_two_words_stays_itself() -> None:
    name, text = systemd(place(Path("/srv/100%h app"), '/opt/my "tools"/oatie'))
    assert name == "reports.service"
    lines = text.splitlines()
    assert "WorkingDirectory=/srv/100%%h app" in lines
    assert r'ExecStart="/opt/my \"tools\"/oatie" start' in lines
    assert "ExecStart=/usr/bin/oatie start" in systemd(place(Path("/srv"), "/usr/bin/oatie"))[1].splitlines()


def complaints(unit: Path) -> list[str]:
    """What systemd says about this unit; about those of the machine it may say something, too."""
    verify = shutil.which("systemd-analyze")
    assert verify, "systemd-analyze is missing (Debian: systemd)"
    done = subprocess.run([verify, "verify", unit], capture_output=True, text=True, timeout=100, check=False)
    return [line for line in done.stderr.splitlines() if unit.name in line]


@pytest.mark.parametrize("directory", ["plain", "with space", "100%"])
def test_systemd_finds_nothing_wrong_with_the_unit(directory: str, tmp_path: Path) -> None:
    here = tmp_path / directory
    here.mkdir()
    program = here / "oatie"
    program.symlink_to("/bin/true")
    unit = tmp_path / "reports.service"
    text = systemd(place(here, str(program)))[1]
    unit.write_text(text)
    assert complaints(unit) == []
    program.unlink()
    assert complaints(unit) != []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "schema", "more"),
    [
        (github, "vendor.github-workflows", ()),
        (gitlab, "vendor.gitlab-ci", ("--data-transform", "gitlab-ci")),
    ],
    ids=["github", "gitlab"],
)
def test_pipelines_follow_the_published_schemas(
    made: Callable[[Place], tuple[str, str]], schema: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    name, text = made(place(tmp_path, "oatie"))
    file = tmp_path / Path(name).name
    file.write_text(text)
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *more, file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    file.write_text(text.replace("script:", "scripts:").replace("steps:", "step:"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1, done.stdout
