"""What `oatie start` chooses to run, with a real store and real manifests."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from oatie_ops.cli.choice import choose
from oatie_ops.cli.start_run import given_overrides
from oatie_ops.config.load import Loaded, load
from oatie_ops.config.settings import AppSettings
from oatie_ops.deployment import manifest
from oatie_ops.deployment.manifest import Manifest, ReleaseUnusable
from oatie_ops.paths import StatePaths
from oatie_ops.store import Store

FILE = '[app]\nrun = "main:app"\nport = 9000\nworkers = 3\n[app.env]\nNEW = "1"\n'


@pytest.fixture
def paths(tmp_path: Path) -> StatePaths:
    paths = StatePaths(tmp_path / ".oatie")
    paths.ensure()
    return paths


@pytest.fixture
def loaded(tmp_path: Path, paths: StatePaths) -> Loaded:
    return configured(tmp_path, FILE)


def configured(root: Path, text: str, **overrides: object) -> Loaded:
    (root / "oatie.toml").write_text(text)
    return load(root, environ={}, environment="local", overrides=overrides, use_cache=False)


def release(paths: StatePaths, *, status: str = "good", serving: bool = False) -> int:
    """A release with settings of its own, as a deploy leaves it."""
    with Store.open(paths.database) as store:
        number = store.releases.create(actor="test", source={}).number
        store.releases.mark(number, status)
        if serving:
            store.releases.set_serving(number)
    directory = paths.releases / str(number)
    (directory / "app").mkdir(parents=True)
    app = AppSettings(run="old:app", port=1, workers=1, ready="/old", env={"OLD": "1"})
    sealed = replace(app, env_templates={"TOKEN": "${TOKEN}"})
    manifest.write(directory, Manifest(number, 0.0, sealed, directory / "app", None, None, {}))
    return number


def test_without_a_deploy_the_checkout_is_run(loaded: Loaded, paths: StatePaths, tmp_path: Path) -> None:
    choice = choose(loaded, paths)
    assert (choice.spec.name, choice.spec.directory) == ("checkout", tmp_path)
    assert choice.spec.app == loaded.settings.app
    assert choice.what == "this checkout (main:app)"
    assert not paths.database.exists()


def test_the_serving_release_is_run_with_its_own_settings_at_todays_address(
    loaded: Loaded, paths: StatePaths
) -> None:
    number = release(paths, serving=True)
    release(paths)
    choice = choose(loaded, paths)
    app = choice.spec.app
    assert (choice.spec.name, choice.what) == (str(number), f"release {number}")
    assert choice.spec.directory == paths.releases / str(number) / "app"
    assert (app.run, app.ready, app.port, app.workers) == ("old:app", "/old", 9000, 3)
    assert "NEW" not in app.env and app.env["OLD"] == "1"


def test_after_a_stop_the_last_good_release_is_run(loaded: Loaded, paths: StatePaths) -> None:
    good = release(paths)
    release(paths, status="bad")
    assert choose(loaded, paths).spec.name == str(good)


def test_only_bad_releases_are_as_none(loaded: Loaded, paths: StatePaths) -> None:
    release(paths, status="bad")
    assert choose(loaded, paths).spec.name == "checkout"


def test_dev_is_always_the_checkout(loaded: Loaded, paths: StatePaths) -> None:
    release(paths, serving=True)
    assert choose(loaded, paths, dev=True).spec.name == "checkout"


def test_a_log_level_that_was_asked_for_reaches_a_release(tmp_path: Path, paths: StatePaths) -> None:
    release(paths, serving=True)
    loaded = configured(tmp_path, FILE, **given_overrides(log_level="debug"))
    app = choose(loaded, paths, log_level="debug").spec.app
    assert (app.log_level, app.env["LOG_LEVEL"]) == ("debug", "DEBUG")
    assert choose(loaded, paths).spec.app.log_level == "info"


def test_a_release_gets_todays_value_of_what_came_from_outside(
    tmp_path: Path, paths: StatePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(paths, serving=True)
    (tmp_path / ".env").write_text("TOKEN=from-the-file\n")
    text = FILE.replace("[app.env]", 'env_file = ".env"\n[app.env]')
    monkeypatch.delenv("TOKEN", raising=False)
    assert choose(configured(tmp_path, text), paths).spec.app.env["TOKEN"] == "from-the-file"
    monkeypatch.setenv("TOKEN", "from-the-environment")
    assert choose(configured(tmp_path, text), paths).spec.app.env["TOKEN"] == "from-the-environment"


def test_a_damaged_release_is_explained(loaded: Loaded, paths: StatePaths) -> None:
    number = release(paths, serving=True)
    (paths.releases / str(number) / "manifest.json").write_text("{")
    with pytest.raises(ReleaseUnusable, match=f"release {number} cannot be run"):
        choose(loaded, paths)


def test_an_empty_directory_is_the_demo(tmp_path: Path, paths: StatePaths) -> None:
    loaded = load(tmp_path, environ={}, environment="local", use_cache=False)
    choice = choose(loaded, paths)
    assert choice.what.startswith("the built-in demo")
    assert choice.spec.app.run == "oatie_ops.demo.app:app"


def test_an_application_that_was_found_is_named_with_the_evidence(tmp_path: Path, paths: StatePaths) -> None:
    (tmp_path / "main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    choice = choose(load(tmp_path, environ={}, environment="local", use_cache=False), paths)
    assert choice.spec.app.run == "main:app"
    assert choice.what.startswith("this checkout (main:app, found by main.py:2")


MODULES_OF_START = """
import json, sys
from oatie_ops.supervisor import main as supervisor
def run(settings, paths, spec, options):
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
    return 0
supervisor.run = run
from oatie_ops.__main__ import main
sys.argv = ["oatie", "start"]
main()
"""


def test_a_start_imports_nothing_heavy_once_its_configuration_is_known(
    tmp_path: Path, paths: StatePaths
) -> None:
    (tmp_path / "oatie.toml").write_text(FILE)
    command = [sys.executable, "-c", MODULES_OF_START]
    for _ in range(2):  # the first one validates, and leaves a cache
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    modules = set(json.loads(done.stderr.splitlines()[-1]))
    heavy = {
        "rich",
        "pydantic",
        "psutil",
        "httpx",
        "fastapi",
        "starlette",
        "uvicorn",
        "watchfiles",
        "sqlite3",
    }
    assert not modules & heavy
