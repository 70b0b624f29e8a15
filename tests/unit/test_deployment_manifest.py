"""What is written down of a release, and where its source came from."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from oatie_ops.config.settings import AppSettings
from oatie_ops.deployment import manifest
from oatie_ops.deployment.manifest import ReleaseUnusable
from oatie_ops.deployment.source import source_facts
from oatie_ops.exit_codes import ExitCode
from tests.unit.checkout_world import example, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "checkout"
    path.mkdir()
    return path.resolve()


def test_a_manifest_survives_being_written_and_is_private(tmp_path: Path) -> None:
    written = example(tmp_path)
    manifest.write(tmp_path, written)
    assert json.dumps(manifest.read(tmp_path).to_dict()) == json.dumps(written.to_dict())
    assert [(p.name, stat.S_IMODE(p.stat().st_mode)) for p in tmp_path.iterdir()] == [
        ("manifest.json", 0o600)
    ]


def test_a_secret_of_the_environment_is_not_written_and_has_its_value_of_the_day(tmp_path: Path) -> None:
    app = AppSettings(
        env={"DSN": "db://u:hunter2@h", "PLAIN": "${kept}"}, env_templates={"DSN": "db://u:${PW}@h"}
    )
    manifest.write(tmp_path, replace(example(tmp_path), app=app))
    assert "hunter2" not in (tmp_path / "manifest.json").read_text()
    read = manifest.read(tmp_path, {"PW": "rotated"}.get)
    assert read.app.env == {"DSN": "db://u:rotated@h", "PLAIN": "${kept}"}
    assert manifest.read(tmp_path, {}.get).app.env["DSN"] == "db://u:${PW}@h"


def test_the_spec_of_a_manifest_names_the_release_and_runs_its_own_settings(tmp_path: Path) -> None:
    spec = example(tmp_path).spec()
    assert (spec.name, spec.directory, spec.python) == ("7", tmp_path / "app", "/x/python")
    assert spec.app.command == ("node", "server.js")


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"number": "x"}'])
def test_a_missing_or_damaged_manifest_makes_the_release_unusable(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        put(tmp_path, "manifest.json", content)
    with pytest.raises(ReleaseUnusable) as caught:
        manifest.read(tmp_path)
    assert caught.value.why and caught.value.fix
    assert caught.value.exit_code is ExitCode.FAILED


# -- git ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_source_is_the_commit_the_branch_and_whether_it_is_clean(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(
            ["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q", "-b", "trunk")
    assert source_facts(root) == {"commit": None, "branch": "trunk", "dirty": False}
    put(root, "main.py")
    git("add", ".")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    assert source_facts(root) == {"commit": commit, "branch": "trunk", "dirty": False}
    put(root, "new file.py")
    assert source_facts(root) == {"commit": commit, "branch": "trunk", "dirty": True}
    with monkeypatch.context() as in_a_hook:
        in_a_hook.setenv("GIT_DIR", str(root.parent / "elsewhere.git"))
        assert source_facts(root) == {"commit": commit, "branch": "trunk", "dirty": True}
    git("add", ".")
    git("commit", "-qm", "second")
    git("checkout", "-q", "--detach")
    assert source_facts(root) == {"commit": git("rev-parse", "HEAD"), "branch": None, "dirty": False}


def test_without_git_or_a_repository_the_source_is_not_known(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(root.parent))
    assert source_facts(root) == {}
    monkeypatch.setenv("PATH", "")
    assert source_facts(root) == {}
