"""What is picked where nobody said what runs: never by a guess that a mended file could prove wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from oatie_ops.cli.choice import choose
from oatie_ops.cli.exit import run
from oatie_ops.config.candidates import Discovery
from oatie_ops.config.discover import look
from oatie_ops.config.found import DemoInPlace, Undecided, choice_notes, found_note, require_decided
from oatie_ops.config.load import Loaded, examine, load
from oatie_ops.deployment.facts import gather_deploy
from oatie_ops.paths import StatePaths
from tests.unit.deployment_world import World

FLASK = "from flask import Flask\napp = Flask('x')\n"
BROKEN = "from flask import Flask\napp = Flask('x'\n"
PROJECT = "[project]\nname = 'shop'\nversion = '1'\n"


def make(root: Path, files: dict[str, str]) -> Discovery:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return look(root)


def loaded(root: Path) -> Loaded:
    return load(root, environ={}, environment="local", use_cache=False)


# -- files that do not parse -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"main.py": BROKEN}, "main.py:2 SyntaxError: '(' was never closed"),
        ({"main.py": "def f(:\n"}, "main.py:1 SyntaxError"),
        ({"main.py": BROKEN, "worker.py": FLASK}, "main.py:2 SyntaxError"),
        ({"main.py": BROKEN, "package.json": '{"scripts": {"start": "vite"}}'}, "main.py:2 SyntaxError"),
        ({"shop/api.py": BROKEN}, "shop/api.py:2 SyntaxError"),
        ({"pyproject.toml": PROJECT, "src/shop/main.py": BROKEN}, "src/shop/main.py:2 SyntaxError"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_file_that_may_hold_the_application_and_does_not_parse_is_no_reason_to_guess(
    files: dict[str, str], named: str, tmp_path: Path
) -> None:
    seen = make(tmp_path, files)
    assert seen.chosen is None
    with pytest.raises(Undecided) as refused:
        require_decided(seen)
    assert refused.value.exit_code == 4
    assert refused.value.why.startswith(named)
    assert refused.value.why.endswith("so it cannot be told whether it holds the application")
    assert "correct " in refused.value.fix
    assert "run = " in refused.value.fix


@pytest.mark.parametrize(
    "files",
    [
        {"Procfile": "web: uvicorn main:app\n", "main.py": BROKEN},
        {"main.py": FLASK, "old/tool.py": BROKEN},
        {"main.py": FLASK, "notes.py": "this is no code\n"},
    ],
    ids=" ".join,
)
def test_what_is_written_down_or_more_likely_is_picked_all_the_same(
    files: dict[str, str], tmp_path: Path
) -> None:
    seen = make(tmp_path, files)
    assert seen.chosen is not None
    assert seen.chosen.run == "main:app"
    require_decided(seen)


def test_a_file_that_was_passed_over_is_told(tmp_path: Path) -> None:
    seen = make(tmp_path, {"main.py": FLASK, "old/tool.py": BROKEN})
    assert [note.split(", so")[0] for note in choice_notes(seen)] == [
        "not looked into: old/tool.py:2 SyntaxError: '(' was never closed"
    ]


def test_a_file_that_cannot_be_read_is_no_absent_file(tmp_path: Path) -> None:
    (tmp_path / "main.py").symlink_to(tmp_path / "gone.py")
    assert look(tmp_path).chosen is None


def test_python_without_an_application_is_still_the_demo(tmp_path: Path) -> None:
    seen = make(tmp_path, {"tool.py": "print('hi')\n", "lib/deep.py": "no code\n"})
    assert seen.chosen is not None
    assert seen.chosen.kind == "demo"
    assert found_note(seen) == ["no application was found here: the built-in demo runs"]


def test_other_commands_go_on_where_it_is_undecided_and_config_check_tells(tmp_path: Path) -> None:
    make(tmp_path, {"main.py": BROKEN})
    assert loaded(tmp_path).settings.app.run is None
    [issue] = [i for i in examine(tmp_path, environ={}, environment="local").issues if i.severity == "error"]
    assert (issue.where, issue.code) == ("main.py:2", "app-undecided")


def test_a_start_of_the_checkout_refuses_and_one_of_a_release_does_not_look(tmp_path: Path) -> None:
    make(tmp_path, {"main.py": BROKEN})
    with pytest.raises(Undecided):
        choose(loaded(tmp_path), StatePaths(tmp_path / ".oatie"))


@pytest.mark.parametrize("command", ["deploy", "start", "init"])
def test_each_command_that_would_have_to_choose_says_the_same(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, {"main.py": BROKEN})
    monkeypatch.chdir(tmp_path)
    assert run([command]) == 4
    said = capsys.readouterr()
    assert "main.py:2 SyntaxError: '(' was never closed, so it cannot be told" in said.err
    assert "demo" not in said.err + said.out
    assert not (tmp_path / "oatie.toml").exists()


def test_detect_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, {"main.py": BROKEN})
    monkeypatch.chdir(tmp_path)
    assert run(["detect"]) == 0
    assert "main.py:2 SyntaxError" in capsys.readouterr().out


# -- the demo ---------------------------------------------------------------------------------------


def test_the_demo_nobody_asked_for_does_not_replace_an_application(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deploy()
    (world.root / "main.py").unlink()
    for supervised in (True, False):
        world.target.supervised = supervised
        with pytest.raises(DemoInPlace, match="release 1") as refused:
            gather_deploy(world.settings, world.paths, world.target.running(), demo_by_default=True)
        assert refused.value.exit_code == 4


def test_the_demo_replaces_the_demo_and_what_was_asked_for_replaces_anything(tmp_path: Path) -> None:
    from dataclasses import replace

    from oatie_ops.config.candidates import DEMO_RUN

    world = World(tmp_path)
    demo = replace(world.settings, app=replace(world.settings.app, run=DEMO_RUN))
    gather_deploy(demo, world.paths, None, demo_by_default=True)
    world.deploy()
    gather_deploy(demo, world.paths, world.target.running())
    world.settings = demo
    world.deploy()
    gather_deploy(demo, world.paths, world.target.running(), demo_by_default=True)


# -- several applications ---------------------------------------------------------------------------


def test_a_choice_between_applications_is_told_with_how_to_choose(tmp_path: Path) -> None:
    [note] = choice_notes(make(tmp_path, {"a/main.py": FLASK, "b/main.py": FLASK}))
    assert "2 applications were found here and a.main:app was picked" in note
    assert "the other is b.main:app (b/main.py:2 app = Flask('x'))" in note
    assert 'run = "b.main:app"' in note
    assert choose(loaded(tmp_path), StatePaths(tmp_path / ".oatie")).notes == (note,)


@pytest.mark.parametrize(
    "files",
    [
        {"main.py": FLASK},
        {
            "main.py": FLASK.replace("app =", "def create_app():\n    return") + "app = create_app()\n",
        },
        {"Procfile": "web: uvicorn a.main:app\n", "a/main.py": FLASK, "b/main.py": FLASK},
    ],
    ids=["one", "its factory", "declared"],
)
def test_where_there_was_no_choice_nothing_is_told(files: dict[str, str], tmp_path: Path) -> None:
    assert choice_notes(make(tmp_path, files)) == []


# -- src/ and what is to be installed ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "build"),
    [
        ({"pyproject.toml": PROJECT}, ("pip install .",)),
        ({"setup.py": ""}, ("pip install .",)),
        (
            {"pyproject.toml": PROJECT, "requirements.txt": ""},
            ("pip install -r requirements.txt", "pip install ."),
        ),
    ],
)
def test_what_is_in_src_is_installed_by_the_build(
    files: dict[str, str], build: tuple[str, ...], tmp_path: Path
) -> None:
    best = make(tmp_path, {"src/shop/main.py": FLASK, **files}).chosen
    assert best is not None
    assert (best.run, best.build) == ("shop.main:app", build)


def test_src_that_nothing_installs_is_named_from_the_root_where_that_works(tmp_path: Path) -> None:
    best = make(tmp_path, {"src/shop/main.py": FLASK + "from . import db\n", "src/shop/db.py": ""}).chosen
    assert best is not None
    assert (best.run, best.build) == ("src.shop.main:app", ())


def test_src_that_nothing_installs_and_that_imports_itself_is_not_proposed(tmp_path: Path) -> None:
    seen = make(tmp_path, {"src/shop/main.py": FLASK + "from shop import db\n", "src/shop/db.py": ""})
    assert seen.chosen is None
    [obstacle] = seen.obstacles
    assert obstacle.text.startswith("src/shop/main.py:2 app = Flask('x'): it is imported as shop")
    assert "pyproject.toml" in obstacle.fix


@pytest.mark.parametrize(
    ("files", "build"),
    [
        ({"pyproject.toml": PROJECT + "dependencies = ['flask']\n"}, ("pip install .",)),
        ({"pyproject.toml": PROJECT}, ()),
        ({"pyproject.toml": PROJECT + "dependencies = ['flask']\n", "web/x.py": "", "alembic/y.py": ""}, ()),
        (
            {"pyproject.toml": PROJECT + "dependencies = ['flask']\n", "requirements.txt": ""},
            ("pip install -r requirements.txt",),
        ),
    ],
    ids=["dependencies", "none", "setuptools would refuse", "requirements.txt"],
)
def test_a_project_without_src_is_installed_for_its_dependencies(
    files: dict[str, str], build: tuple[str, ...], tmp_path: Path
) -> None:
    best = make(tmp_path, {"main.py": FLASK, **files}).chosen
    assert best is not None
    assert best.build == build


def test_what_only_src_has_is_told_before_it_fails(tmp_path: Path) -> None:
    make(tmp_path, {"src/shop_qzx/main.py": FLASK, "pyproject.toml": PROJECT})
    [note] = choose(loaded(tmp_path), StatePaths(tmp_path / ".oatie")).notes
    assert "pip install -e ." in note
    (tmp_path / "oatie.toml").write_text('[app]\nrun = "shop_qzx.main:app"\n')
    [issue] = examine(tmp_path, environ={}, environment="local").issues
    assert (issue.code, issue.hint) == ("not-installed", 'in [deploy], build = ["pip install ."] installs it')


@pytest.mark.parametrize(
    ("files", "absent"),
    [
        ({"main.py": FLASK}, "requirements.txt"),
        ({"package.json": '{"scripts": {"start": "node x"}}'}, "python"),
    ],
)
def test_init_gives_no_example_that_cannot_work_here(
    files: dict[str, str], absent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    assert run(["init"]) == 0
    assert absent not in (tmp_path / "oatie.toml").read_text()


# -- the name ----------------------------------------------------------------------------------------


def test_an_application_without_a_name_has_that_of_its_directory(tmp_path: Path) -> None:
    root = tmp_path / "My Shop"
    make(root, {"main.py": FLASK})
    assert loaded(root).settings.app.name == "my-shop"
    (root / "oatie.toml").write_text('[app]\nrun = "main:app"\n')
    assert loaded(root).settings.app.name == "my-shop"
    assert loaded(root).origin("app.name").describe() == "found: the name of the directory"
    (root / "oatie.toml").write_text('[app]\nname = "else"\nrun = "main:app"\n')
    assert loaded(root).settings.app.name == "else"
