"""Real virtual environments with the real pip; nothing is fetched from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from oatie_ops.deployment.build import Build, plan_build, run_build
from oatie_ops.deployment.build_plan import BuildPlan
from oatie_ops.deployment.commands import CommandFailed, CommandTimedOut, command_environment, run_command
from oatie_ops.deployment.databases import born_in
from oatie_ops.deployment.prune import remove_leftovers
from oatie_ops.paths import StatePaths

# pip itself is in every new environment, so this installs nothing and needs no index.
INSTALL = "pip install --no-index -r requirements.txt"
WHO = "python -c \"import sys; open('who.txt', 'w').write(sys.prefix)\""

pytestmark = pytest.mark.slow


class Builder:
    def __init__(self, directory: Path) -> None:
        self.paths = StatePaths(directory / ".oatie")
        self.paths.ensure()
        self.lines: list[str] = []

    def app(self, number: int) -> Path:
        directory = self.paths.releases / str(number) / "app"
        if not directory.exists():
            directory.mkdir(parents=True)
            (directory / "requirements.txt").write_text("pip\n")
        return directory

    def plan(self, number: int, *commands: str) -> BuildPlan:
        return plan_build(self.app(number), commands, builds=self.paths.builds, release=number)

    def build(self, number: int, *commands: str, timeout_seconds: float = 300.0) -> Build:
        return run_build(
            self.plan(number, *commands),
            environment=os.environ,
            log=self.paths.logs / "build.log",
            on_line=self.lines.append,
            timeout_seconds=timeout_seconds,
        )

    def builds(self) -> set[str]:
        return {place.name for place in self.paths.builds.iterdir()}


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def wheel(directory: Path, name: str) -> None:
    """The smallest thing that pip can install (packaging.python.org, binary distribution format)."""
    info = f"{name}-1.0.dist-info"
    directory.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(directory / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", "ANSWER = 42\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def test_the_commands_run_in_the_environment_and_the_next_release_reuses_it(builder: Builder) -> None:
    first = builder.build(1, INSTALL, WHO)
    assert (first.reused, first.ran, first.skipped) == (False, (INSTALL, WHO), ())
    assert first.python is not None and first.key is not None
    venv = Path(first.python).parent.parent
    assert Path((builder.app(1) / "who.txt").read_text()).resolve() == venv.resolve()
    assert any("already satisfied" in line for line in builder.lines)

    second = builder.build(2, INSTALL, WHO)
    assert (second.reused, second.ran, second.skipped) == (True, (WHO,), (INSTALL,))
    assert second.python == first.python
    assert Path((builder.app(2) / "who.txt").read_text()).resolve() == venv.resolve()
    assert builder.builds() == {first.key}


def test_what_pip_installs_can_be_imported_by_the_interpreter_of_the_release(builder: Builder) -> None:
    wheel(builder.app(1) / "vendor", "answer")
    build = builder.build(1, "pip install --no-index vendor/answer-1.0-py3-none-any.whl")
    assert build.key is not None and build.key.endswith("-r1")
    assert build.python is not None
    done = subprocess.run(
        [build.python, "-c", "import answer; print(answer.ANSWER)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "42\n"


def test_an_environment_into_which_a_script_installed_is_not_shared(builder: Builder) -> None:
    """The next release's script would change it under the release that serves."""
    for number in (1, 2):
        wheel(builder.app(number) / "vendor", "answer")
        script = builder.app(number) / "setup.sh"
        script.write_text("pip install --no-index vendor/*.whl\n")
    first = builder.build(1, INSTALL, "sh setup.sh")
    second = builder.build(2, INSTALL, "sh setup.sh")
    assert not second.reused
    assert second.key == f"{first.key}-r2"


def test_a_failing_install_leaves_no_environment(builder: Builder) -> None:
    (builder.app(1) / "requirements.txt").write_text("no-such-package-anywhere\n")
    with pytest.raises(CommandFailed) as caught:
        builder.build(1, INSTALL)
    assert any("no-such-package-anywhere" in line for line in caught.value.details)
    assert builder.builds() == set()


def test_a_command_that_fails_after_the_install_does_not_cost_the_environment(builder: Builder) -> None:
    with pytest.raises(CommandFailed):
        builder.build(1, INSTALL, "exit 1")
    assert builder.plan(2, INSTALL, "exit 1").reused


def test_the_time_limit_is_for_the_whole_build(builder: Builder) -> None:
    with pytest.raises(CommandTimedOut):
        builder.build(1, INSTALL, timeout_seconds=0.2)
    assert builder.builds() == set()


def test_a_module_of_the_application_does_not_disturb_the_making_of_the_environment(builder: Builder) -> None:
    for name in ("venv.py", "json.py", "ensurepip.py"):
        (builder.app(1) / name).write_text("raise RuntimeError('the application was imported')\n")
    assert builder.build(1, INSTALL).python is not None


def test_a_build_without_an_installer_runs_with_the_python_of_oatie(builder: Builder) -> None:
    build = builder.build(1, WHO)
    assert (build.key, build.python) == (None, None)
    if sys.prefix != sys.base_prefix:
        assert Path((builder.app(1) / "who.txt").read_text()).resolve() == Path(sys.prefix).resolve()
    assert builder.builds() == set()


def test_a_release_command_finds_what_the_build_installed(builder: Builder) -> None:
    wheel(builder.app(1) / "vendor", "answer")
    build = builder.build(1, "pip install --no-index vendor/answer-1.0-py3-none-any.whl")
    lines: list[str] = []
    run_command(
        "python -c 'import answer; print(answer.ANSWER)'",
        role="release command",
        cwd=builder.app(1),
        environment=command_environment(os.environ, python=build.python),
        log=builder.paths.logs / "release.log",
        on_line=lines.append,
        timeout_seconds=60,
        timeout_key="[deploy] release_timeout",
    )
    assert lines == ["42"]


KILLED_BUILD = """
import os, sys
from pathlib import Path
from oatie_ops.deployment.build import plan_build, run_build
app, builds = Path(sys.argv[1]), Path(sys.argv[2])
run_build(
    plan_build(app, ["sh wait.sh", "pip install --no-index pip"], builds=builds, release=1),
    environment=os.environ, log=app / "log", timeout_seconds=300,
    on_line=lambda line: print(line, flush=True),
)
"""


def test_a_killed_build_is_not_reused_and_is_swept_up(builder: Builder) -> None:
    (builder.app(1) / "wait.sh").write_text("echo waiting; sleep 1000\n")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_BUILD, str(builder.app(1)), str(builder.paths.builds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert any(line == "waiting\n" for line in process.stdout)
    finally:
        process.kill()
        process.communicate()
    plan = builder.plan(1, "sh wait.sh", "pip install --no-index pip")
    assert plan.directory is not None and plan.directory.exists()
    assert not plan.reused
    assert remove_leftovers(builder.paths) == (plan.directory,)
    assert builder.builds() == set()


def test_a_database_that_the_build_made_is_not_taken_for_data(builder: Builder) -> None:
    make_index = (
        "python -c \"import sqlite3; sqlite3.connect('index.db').execute('CREATE TABLE words (word)')\""
    )
    builder.build(1, make_index)
    assert born_in(builder.app(1)) == ()
    assert (builder.app(1) / "index.db").is_file()
