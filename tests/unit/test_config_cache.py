"""The cache gives the same answer without pydantic, and never an old one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.load import Loaded, load

TEXT = """
[app]
run = "main:app"
workers = "${N:-2}"
env_file = ".env"
env = { A = "${A}" }
[deploy]
build = ["x"]
[services.db]
check = { type = "tcp", port = 1, timeout = "500ms" }
recover = [{ restart = "app" }]
degrade = { responses = [{ match = "/x", body = { a = [1, { b = true }] } }] }
[environments.production]
app.port = 9
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "oatie.toml").write_text(TEXT)
    (tmp_path / ".env").write_text("E=1\n")
    (tmp_path / ".oatie" / "run").mkdir(parents=True)
    return tmp_path


def read(root: Path, **arguments: Any) -> Loaded:
    return load(root, **{"environ": {"A": "1"}, "environment": "local", **arguments})


def cache_of(root: Path) -> Path:
    return root / ".oatie" / "run" / "config.json"


def poison(root: Path) -> None:
    """Marks the cached declaration, so that an answer from it shows."""
    stored = json.loads(cache_of(root).read_text())
    stored["declared"]["data"]["deploy"]["keep"] = 77
    cache_of(root).write_text(json.dumps(stored))


def is_cached(root: Path, **arguments: Any) -> bool:
    return read(root, **arguments).settings.deploy.keep == 77


def test_the_cached_answer_is_equal_to_the_first(root: Path) -> None:
    assert read(root) == read(root) == read(root, use_cache=False)


def test_an_unchanged_configuration_comes_from_the_cache(root: Path) -> None:
    read(root)
    poison(root)
    assert is_cached(root)
    assert not is_cached(root, use_cache=False)


def _change_file(root: Path) -> dict[str, Any]:
    (root / "oatie.toml").write_text(TEXT + "# a comment\n")
    return {}


def _change_env_file(root: Path) -> dict[str, Any]:
    (root / ".env").write_text("E=2\n")
    return {}


CHANGES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "file": _change_file,
    "env file": _change_env_file,
    "variable of a reference": lambda _: {"environ": {"A": "2"}},
    "variable with a default": lambda _: {"environ": {"A": "1", "N": "5"}},
    "variable of a key": lambda _: {"environ": {"A": "1", "OATIE_APP__PORT": "5"}},
    "plain variable": lambda _: {"environ": {"A": "1", "PORT": "5"}},
    "environment": lambda _: {"environment": "production"},
    "flag": lambda _: {"overrides": {"app.port": 7}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_the_answer_depends_on_makes_it_stale(change: str, root: Path) -> None:
    read(root)
    poison(root)
    assert not is_cached(root, **CHANGES[change](root))


def test_a_variable_without_meaning_does_not(root: Path) -> None:
    read(root)
    poison(root)
    assert is_cached(root, environ={"A": "1", "TERM": "x", "OATIE_HOME": str(root / ".oatie")})


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"salt": 5}', "[" * 100_000, '{"salt": "zz"}'])
def test_a_damaged_cache_is_as_good_as_none(content: str, root: Path) -> None:
    cache_of(root).write_text(content)
    assert read(root).settings.app.run == "main:app"


def test_a_cache_that_others_may_write_to_is_not_trusted(root: Path) -> None:
    read(root)
    poison(root)
    cache_of(root).chmod(0o666)
    assert not is_cached(root)


def test_a_cache_behind_a_symbolic_link_is_not_trusted(root: Path) -> None:
    read(root)
    poison(root)
    elsewhere = root / "elsewhere.json"
    cache_of(root).rename(elsewhere)
    cache_of(root).symlink_to(elsewhere)
    assert not is_cached(root)


def test_it_is_readable_by_its_owner_alone_and_leaves_no_other_file(root: Path) -> None:
    before = os.umask(0)
    try:
        read(root)
    finally:
        os.umask(before)
    assert cache_of(root).stat().st_mode & 0o777 == 0o600
    assert list((root / ".oatie" / "run").iterdir()) == [cache_of(root)]


def test_without_a_state_directory_nothing_is_written(tmp_path: Path) -> None:
    load(tmp_path, environ={}, environment="local")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_costs_nothing_but_the_cache(root: Path) -> None:
    cache_of(root).mkdir()
    (cache_of(root) / "x").touch()
    assert read(root).settings.app.run == "main:app"
    assert list((root / ".oatie" / "run").iterdir()) == [cache_of(root)]


def test_neither_pydantic_nor_any_other_package_is_imported_for_a_cached_answer(root: Path) -> None:
    """In a process of its own, which has imported nothing else."""
    # A service is nothing that is judged without pydantic.
    text = '[app]\nrun = "main:app"\n[services.db]\ncheck = { type = "tcp", port = 1 }\n'
    (root / "oatie.toml").write_text(text)
    code = """
import sys
from pathlib import Path
from oatie_ops.config.load import load
load(Path(sys.argv[1]), environ={}, environment="local")
foreign = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - set(sys.argv[2:])
print(sorted(name for name in foreign if not name.startswith("_")))
"""
    ours = ["oatie_ops", "__main__", "sitecustomize", "usercustomize"]
    runs = [
        subprocess.run(
            [
                sys.executable,
                "-I",
                "-c",
                f"import sys; sys.path.insert(0, {_checkout()!r})\n{code}",
                str(root),
                *ours,
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert "pydantic" in runs[0]
    assert "pydantic" not in runs[1]
    assert "dotenv" not in runs[1]
    assert "tomllib" not in runs[1]


def _checkout() -> str:
    import oatie_ops

    return str(Path(oatie_ops.__file__).parent.parent)


def test_the_first_load_is_remembered_once_there_is_a_place_for_it(root: Path) -> None:
    (root / ".oatie" / "run").rmdir()
    loaded = read(root)
    assert not cache_of(root).exists()
    (root / ".oatie" / "run").mkdir()
    loaded.remember()
    poison(root)
    assert is_cached(root)
