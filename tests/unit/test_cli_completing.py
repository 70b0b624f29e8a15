"""The command tree behind completion and man pages, the remembered names, and what `oatie doctor` finds."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.cli import completion, engine, findings, remembered, table
from oatie_ops.cli.completing import bash, man, powershell
from oatie_ops.cli.completing.tree import Node, tree
from oatie_ops.cli.context import Context
from oatie_ops.errors import UsageError

ROOT = tree()


def node(*path: str) -> Node:
    return next(each for each in ROOT.walk() if each.path == path)


def test_the_tree_holds_every_command() -> None:
    assert {child.path[0] for child in ROOT.children} == {*table.ENTRIES, "help"}
    assert [child.path for child in node("completion").children] == [
        ("completion", "show"),
        ("completion", "install"),
    ]


def test_values_of_options_are_known_by_kind() -> None:
    options = {name: option for option in node("deploy").options for name in option.names}
    assert options["--dry-run"].value is None
    assert options["--environment"].value and options["--environment"].value.kind == "environments"
    assert options["--target"].value and "docker" in options["--target"].value.choices
    assert node("health").arguments[0].value.kind == "services"
    assert node("health").arguments[0].many


def test_an_apostrophe_in_a_help_text_does_not_end_a_word() -> None:
    script = completion.script(completion.Shell.FISH)
    assert "supervisor's" not in script.replace("supervisor\\'s", "")


@pytest.mark.parametrize(
    ("shell", "environ", "wanted"),
    [
        ("bash", {}, ".local/share/bash-completion/completions/oatie"),
        ("bash", {"BASH_COMPLETION_USER_DIR": "/b"}, "/b/completions/oatie"),
        ("zsh", {"XDG_DATA_HOME": "/d"}, "/d/zsh/site-functions/_oatie"),
        ("fish", {"XDG_CONFIG_HOME": "/c"}, "/c/fish/completions/oatie.fish"),
        ("powershell", {}, ".config/powershell/oatie.ps1"),
    ],
)
def test_a_script_goes_where_its_shell_looks(shell: str, environ: Mapping[str, str], wanted: str) -> None:
    place = completion.place(completion.Shell(shell), environ, Path("/home/me"))
    assert place == Path("/home/me") / wanted


def test_bash_completes_without_any_program(tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text(bash.script(ROOT))
    asking = f'PATH=; source {file}; COMP_WORDS=(oatie st); COMP_CWORD=1; _oatie; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "--norc", "-c", asking], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["start", "stop", "status"]


def test_no_table_for_powershell_has_a_key_twice() -> None:
    """Its tables know no case, and one key that is there twice is an error of the whole script."""
    tables = re.findall(r"\$\w+ = @\{\n(.*?)\n    \}\n", powershell.script(ROOT), re.DOTALL)
    assert len(tables) == 3
    for rows in tables:
        keys = [row.partition(" = ")[0].strip().lower() for row in rows.splitlines()]
        assert sorted(set(keys)) == sorted(keys)


def test_powershell_offers_a_single_word_whole() -> None:
    """A pipeline that yields one pair yields its two halves, so words are handed on one by one."""
    script = powershell.script(ROOT)
    assert "foreach ($word in $offer) { Get-Match $word $word }" in script
    assert "$pair" not in script


def test_man_pages_have_every_command_and_option() -> None:
    pages = man.pages(ROOT)
    assert set(pages) == {"oatie.1", *(f"oatie-{name}.1" for name in table.ENTRIES)}
    assert r"\fB\-\-dry\-run\fR" in pages["oatie-deploy.1"]
    assert not [line for page in pages.values() for line in page.splitlines() if line.startswith("'")]


# -- remembered names ----------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Context:
    (tmp_path / "oatie.toml").write_text('[services.db]\n[services."odd name"]\n[environments.blue]\n')
    (tmp_path / ".oatie" / "releases" / "12").mkdir(parents=True)
    return Context(tmp_path)


def test_names_are_remembered_from_what_is_there(project: Context) -> None:
    remembered.refresh(project, workers=["1", "2"])
    found = remembered.read(project.paths.home / remembered.FILE_NAME)
    assert found["services"] == ["app", "system", "db"]  # a name with a space would be two
    assert found["releases"] == ["12"]
    assert found["environments"][0] == "blue" and "production" in found["environments"]
    assert found["workers"] == ["1", "2", "supervisor"]


def test_a_change_is_noticed_and_workers_are_kept(project: Context) -> None:
    remembered.refresh(project, workers=["7"])
    file = project.root / "oatie.toml"
    file.write_text("[services.cache]\n")
    later = (project.paths.home / remembered.FILE_NAME).stat().st_mtime_ns + 1
    os.utime(file, ns=(later, later))
    remembered.refresh(project)
    found = remembered.read(project.paths.home / remembered.FILE_NAME)
    assert (found["services"], found["workers"]) == (["app", "system", "cache"], ["7", "supervisor"])


def test_nothing_is_made_where_there_is_no_state_and_nothing_fails(tmp_path: Path) -> None:
    remembered.refresh(Context(tmp_path))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".oatie" / remembered.FILE_NAME).mkdir(parents=True)
    remembered.refresh(Context(tmp_path))


# -- doctor --------------------------------------------------------------------------------------------

READY = findings.World(
    python=(3, 12),
    environ={"HOME": "/home/me"},
    which=lambda name: f"/usr/bin/{name}",
    has_module=lambda _name: True,
    engine=lambda: engine.Engine("28.0", "28.0", is_manager=True),
    exists=lambda _path: True,
    writable=True,
    prefix="/venv",
)


def missing(world: findings.World) -> dict[str, str]:
    return {each.name: each.fix for each in findings.look(world) if each.state != "ok"}


def test_nothing_is_missing_where_all_is_there() -> None:
    assert missing(READY) == {}


@pytest.mark.parametrize(
    ("change", "name", "fix"),
    [
        ({"python": (3, 10)}, "python", "install Python 3.11 or newer"),
        ({"engine": lambda: engine.Engine("denied", denied=True)}, "docker engine", "group docker"),
        ({"engine": lambda: engine.Engine("28", "28")}, "swarm manager", "docker swarm init"),
        ({"exists": lambda _path: False}, "cluster access", "KUBECONFIG"),
        ({"has_module": lambda name: name != "boto3"}, "extra aws", "/venv/bin/pip install 'oatie-ops[aws]'"),
        ({"which": lambda name: None if name == "caddy" else name}, "caddy", "apt-get install caddy"),
    ],
)
def test_what_is_missing_is_told_with_the_command(change: dict[str, Any], name: str, fix: str) -> None:
    found = missing(replace(READY, **change))
    assert list(found) == [name]
    assert fix in found[name]


@pytest.mark.parametrize(
    ("prefix", "command"),
    [
        ("/home/me/.local/pipx/venvs/oatie-ops", "pipx install --force 'oatie-ops[aws]'"),
        ("/home/me/.local/share/uv/tools/oatie-ops", "uv tool install --force 'oatie-ops[aws]'"),
    ],
)
def test_an_extra_is_added_by_what_installed_oatie(prefix: str, command: str) -> None:
    assert findings.add_extra("aws", prefix) == command


def test_an_engine_that_is_none_is_told() -> None:
    with pytest.raises(ValueError):
        engine.judge(b"HTTP/1.0 404 Not Found\r\n\r\n", "/s")
    good = b'HTTP/1.0 200 OK\r\n\r\n{"ServerVersion": "20.10", "Swarm": {"ControlAvailable": true}}'
    assert engine.judge(good, "/s") == engine.Engine("20.10 on /s", "20.10", is_manager=True)
    assert "no such file" in engine.ask({"DOCKER_HOST": "unix:///nowhere"}).said.lower()


@pytest.mark.parametrize(
    ("told", "account", "found"),
    [
        ("/usr/bin/fish", "/bin/bash", "fish"),
        ("", "/usr/bin/zsh", "zsh"),
        ("/bin/dash", "/bin/bash", "$SHELL says 'dash'"),
        ("", "/usr/sbin/nologin", "$SHELL is not set, and the account's shell is 'nologin'"),
        ("", "", "$SHELL is not set, and the account has none"),
    ],
)
def test_the_shell_is_that_of_the_variable_and_else_of_the_account(
    told: str, account: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", told)
    monkeypatch.setattr(completion, "login_shell", lambda: account)
    if found in set(completion.Shell):
        assert completion.current_shell() == found
    else:
        with pytest.raises(UsageError) as refused:
            completion.current_shell()
        assert refused.value.why == found
