"""Which environment a build needs and when an old one will do; real builds are in tests/real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oatie_ops.deployment.build import BuildPlan, plan_build
from oatie_ops.deployment.build_plan import BUILT
from oatie_ops.deployment.commands import LineSplitter, command_environment, explain_exit


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app"
    path.mkdir()
    (path / "requirements.txt").write_text("flask==3.0\n")
    return path


def planned(app: Path, *commands: str, release: int = 7) -> BuildPlan:
    return plan_build(app, commands, builds=app.parent / "builds", release=release)


def pretend_built(plan: BuildPlan, shareable: bool = True) -> None:
    """What a finished build leaves; the interpreter only has to be there."""
    assert plan.directory is not None and plan.python is not None
    plan.python.parent.mkdir(parents=True)
    plan.python.write_text("#!/bin/sh\n")
    plan.python.chmod(0o755)
    (plan.directory / BUILT).write_text(json.dumps({"shareable": shareable}))


INSTALL = "pip install -r requirements.txt"


@pytest.mark.parametrize(
    "command", ["npm ci", "make", "python manage.py collectstatic", "echo 'a pip-free build'", "./build.sh"]
)
def test_a_build_without_an_installer_needs_no_environment(app: Path, command: str) -> None:
    plan = planned(app, command)
    assert (plan.key, plan.directory, plan.python, plan.reused) == (None, None, None, False)
    assert [each.text for each in plan.to_run()] == [command]


@pytest.mark.parametrize(
    "command",
    [
        INSTALL,
        "pip3.11 install flask",
        "python -m pip install flask",
        "/usr/bin/python3 -m pip install flask",
        "PIP_INDEX_URL=https://example.org/simple pip install 'flask>=3,<4'",
        "uv pip install -r requirements.txt",
        "uv pip sync requirements.txt",
        "uv sync --frozen --no-install-project",
        "poetry install --no-root",
        "pdm install --no-self",
        "pipenv sync",
        "pip-sync requirements.txt",
        "pip install --quiet --index-url https://example.org/simple flask",
        "pip install git+https://example.org/team/library.git@v1",
    ],
)
def test_a_plain_install_fills_an_environment_that_releases_share(app: Path, command: str) -> None:
    plan = planned(app, command)
    assert plan.shareable and plan.key == planned(app, command, release=8).key
    assert [each.skippable for each in plan.commands] == [True]
    pretend_built(plan)
    again = planned(app, command, release=8)
    assert again.reused and again.to_run() == ()


@pytest.mark.parametrize(
    "command",
    [
        "pip install .",
        "pip install -e .",
        "pip install --editable=./library",
        "pip install ./library",
        "pip install vendor/wheel-1.0-py3-none-any.whl",
        "pip install library.tar.gz",
        "pip install 'library @ file:///srv/library'",
        "pip install --target packages flask",
        "pip install -r made-by-the-build.txt",
        "npm ci && pip install -r requirements.txt",
        "cd sub; pip install -r requirements.txt",
        "pip install flask>3",
        "pip install $(cat list)",
        "pip install `cat list`",
        "python setup.py develop",
        "pip download flask",
        "poetry install",
        "uv sync",
        "uv sync --no-install-project --directory sub",
        "pip install 'unclosed",
    ],
)
def test_an_environment_that_may_hold_the_releases_own_code_is_its_own(app: Path, command: str) -> None:
    plan = planned(app, command)
    assert not plan.shareable and not plan.reused
    assert plan.key is not None and plan.key.endswith("-r7")
    assert planned(app, command, release=8).key != plan.key


@pytest.mark.parametrize(
    "line", ["-e .", "--editable ./lib", "./lib", "lib/", "x @ file:lib", "-f ./wheels", "."]
)
def test_a_requirement_file_that_names_local_code_makes_it_its_own_too(app: Path, line: str) -> None:
    (app / "requirements.txt").write_text(f"flask\n{line}  # ours\n")
    assert not planned(app, INSTALL).shareable


@pytest.mark.parametrize(
    "text", ["[tool.uv.sources]\nlib = { path = 'lib' }", "x = {workspace = true}", "a@file:b"]
)
def test_a_project_with_local_dependencies_makes_it_its_own_too(app: Path, text: str) -> None:
    (app / "pyproject.toml").write_text(text)
    assert not planned(app, "uv sync --no-install-project").shareable


def test_only_what_the_environment_depends_on_makes_a_new_one(app: Path) -> None:
    before = planned(app, INSTALL).key
    (app / "main.py").write_text("changed")
    (app / "pyproject.toml").write_text("[tool.ruff]")
    assert planned(app, INSTALL).key == before
    (app / "requirements.txt").write_text("flask==3.1\n")
    assert planned(app, INSTALL).key != before


def test_files_that_requirement_files_name_count_too(app: Path) -> None:
    (app / "requirements.txt").write_text("-r deps/base.txt\n--constraint=deps/constraints.txt\n")
    (app / "deps").mkdir()
    (app / "deps" / "base.txt").write_text("-c constraints.txt\n-r ../requirements.txt\nflask\n")
    (app / "deps" / "constraints.txt").write_text("flask==3.0\n")
    before = planned(app, INSTALL)
    assert before.shareable
    (app / "deps" / "constraints.txt").write_text("flask==3.1\n")
    assert planned(app, INSTALL).key != before.key


def test_a_lock_file_counts_for_the_tool_that_reads_it(app: Path) -> None:
    (app / "uv.lock").write_text("1")
    before = planned(app, "uv sync --no-install-project").key
    (app / "uv.lock").write_text("2")
    assert planned(app, "uv sync --no-install-project").key != before


def test_other_commands_run_for_each_release_even_when_the_environment_is_reused(app: Path) -> None:
    commands = ("npm ci", INSTALL, "python manage.py collectstatic --noinput")
    pretend_built(planned(app, *commands))
    again = planned(app, *commands, release=8)
    assert again.reused
    assert [each.text for each in again.to_run()] == ["npm ci", "python manage.py collectstatic --noinput"]


def test_other_commands_make_another_environment(app: Path) -> None:
    """One of them might install something, so the same packages alone do not make it the same."""
    assert planned(app, INSTALL).key != planned(app, INSTALL, "make").key


def test_an_environment_into_which_another_command_installed_is_never_shared(app: Path) -> None:
    plan = planned(app, INSTALL, "make deps")
    pretend_built(plan, shareable=False)
    again = planned(app, INSTALL, "make deps", release=8)
    assert not again.reused and again.key == f"{plan.key}-r8"


def test_an_environment_whose_interpreter_is_gone_is_made_again(app: Path) -> None:
    plan = planned(app, INSTALL)
    pretend_built(plan)
    assert plan.python is not None
    plan.python.unlink()
    plan.python.symlink_to("/nowhere/python3")
    assert not planned(app, INSTALL).reused


@pytest.mark.parametrize("content", ["", "{", "[]", "3"])
def test_a_half_made_environment_is_not_reused(app: Path, content: str) -> None:
    plan = planned(app, INSTALL)
    pretend_built(plan)
    assert plan.directory is not None
    (plan.directory / BUILT).write_text(content)
    assert not planned(app, INSTALL).reused


def test_commands_find_the_python_of_their_release_first() -> None:
    base = {"PATH": "/usr/bin", "PYTHONPATH": "/x", "PYTHONHOME": "/y", "PIP_USER": "1", "HOME": "/h"}
    environment = command_environment(base, python="/b/venv/bin/python", extra={"DEBUG": "0"})
    assert environment["PATH"] == "/b/venv/bin:/usr/bin"
    assert environment["VIRTUAL_ENV"] == "/b/venv"
    assert environment["HOME"] == "/h" and environment["DEBUG"] == "0"
    assert not environment.keys() & {"PYTHONPATH", "PYTHONHOME", "PIP_USER"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "exited with code 1"),
        (126, "could not be executed"),
        (127, "`npm`"),
        (137, "SIGKILL (often: the machine ran out of memory)"),
        (143, "SIGTERM"),
        (255, "exited with code 255"),
    ],
)
def test_an_exit_code_is_put_into_words(code: int, words: str) -> None:
    assert words in explain_exit(code, "npm ci")


def split(*chunks: bytes) -> list[str]:
    lines: list[str] = []
    splitter = LineSplitter(lines.append)
    for chunk in chunks:
        splitter.feed(chunk)
    splitter.close()
    return lines


def test_lines_come_whole_however_the_bytes_arrive() -> None:
    assert split(b"one\ntw", b"o\r", b"\nthree") == ["one", "two", "three"]
    assert split("café\n".encode()[:4], "café\n".encode()[4:]) == ["café"]
    assert split(b"\xff\n") == ["\ufffd"]
    assert split() == []


def test_a_progress_bar_becomes_lines() -> None:
    assert split(b"10%\r50%\r", b"100%\n") == ["10%", "50%", "100%"]


def test_colours_and_titles_are_dropped() -> None:
    assert split(b"\x1b[1;31merror\x1b[0m: \x1b]0;title\x07no\n") == ["error: no"]


def test_an_endless_line_is_cut() -> None:
    assert [len(line) for line in split(b"x" * 10_000)] == [4096, 4096, 1808]
