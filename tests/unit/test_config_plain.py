"""What is judged without pydantic is judged as the schema does, or left to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.config import plain
from oatie_ops.config.convert import settings_to_dict, to_settings
from oatie_ops.config.declare import declare, declare_plainly
from oatie_ops.config.inputs import Inputs, find_environment
from oatie_ops.config.locate import locate
from oatie_ops.config.schema_core import App, Deploy, Logs, Ops
from oatie_ops.config.validate import validate

USUAL = """\
[app]
name = "shop"
run = "shop.asgi:application"
port = 8080
workers = 2
ready = "/ready"
ready_timeout = "10s"
drain = 5
max_rss = "512MB"
log_level = "info"
debug = false
cors_origins = ["https://shop.example"]

[app.env]
GREETING = "hello"

[deploy]
build = ["pip install -r requirements.txt"]
bake = "300ms"
keep = 3

[ops]
listen = "127.0.0.1:9000"

[logs]
max_size = "10MB"
"""
VALUES = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                "app",
                "main:app",
                "my.pyx:app",
                "a/b:c",
                "main:app()",
                "/ready",
                "/a b",
                "é",
                "a\0b",
                "a b",
            ),
            *("30s", "0s", "-1s", "soon", "512MB", "1.5", "127.0.0.1", "::1", "[::1]", "0.0.0.0"),
            *("localhost:80", "127.0.0.1:8000", "off", "warn", "INFO", "info", "uvloop", "process", "docker"),
            *("activation", "${A}", "$${A}"),
        ]
    ),
    st.integers(-1, 70_000),
    st.sampled_from([0.0, 0.5, -0.5, 1e400, float("nan"), True, False, 10**20]),
    st.lists(st.sampled_from(["a", "", 1, "${A}", True]), max_size=2),
    st.dictionaries(st.sampled_from(["A", "1A", "a-b", "é", "_x"]), st.sampled_from(["v", 1, True, "a\0b"])),
)


def _tables() -> st.SearchStrategy[dict[str, Any]]:
    keys = {name: [*judges, "unknown"] for name, judges in plain.JUDGES.items()}
    some = {name: st.dictionaries(st.sampled_from(each), VALUES, max_size=3) for name, each in keys.items()}
    return st.fixed_dictionaries({}, optional={**some, "secrets": st.just({}), "nope": VALUES})


def _settings(tables: Any) -> dict[str, Any]:
    return settings_to_dict(to_settings(tables, root=Path("/x"), path=None, environment="local"))


@given(_tables())
def test_what_is_taken_is_what_the_schema_makes_of_it(data: dict[str, Any]) -> None:
    _compare(data)


@pytest.mark.parametrize("table", plain.JUDGES)
def test_every_key_is_judged_as_the_schema_does(table: str) -> None:
    values: list[Any] = ["app", "/ready", "30s", "0s", "", "warn", "::1", "a.py", True, -1, 0, 1, 0.5, 70_000]
    values += [[], ["a"], [1], {}, {"A": "v"}, {"1": "v"}, "127.0.0.1:8000", "main:app", "process", "info"]
    values += ["activation", "auto"]
    taken = {key for key in plain.JUDGES[table] for value in values if _compare({table: {key: value}})}
    assert taken == {*plain.JUDGES[table]}  # each takes something


def _compare(data: dict[str, Any]) -> bool:
    try:
        taken = plain.tables(data)
    except plain.NotPlainError:
        return False
    tables, problems = validate(data)
    assert problems == []
    assert _settings(taken) == _settings(tables)
    return True


@pytest.mark.parametrize(("table", "kind"), [("app", App), ("deploy", Deploy), ("ops", Ops), ("logs", Logs)])
def test_there_is_no_key_that_the_schema_does_not_have(table: str, kind: Any) -> None:
    assert plain.JUDGES[table].keys() <= kind.model_fields.keys()


def test_what_is_always_there_is_what_the_schema_has() -> None:
    assert _settings(plain.tables({})) == _settings(validate({})[0])


def _inputs(root: Path, text: str | None, **variables: str) -> Inputs:
    if text is not None:
        (root / "oatie.toml").write_text(text)
    located = locate(root)
    environ = {"HOME": str(root), **variables}
    return Inputs(
        located=located,
        content=None if text is None else text.encode(),
        environ=environ,
        environment=find_environment({**environ, "OATIE_ENVIRONMENT": "local"}, None),
        overrides={"app.port": 8123, "app.workers": 2},
        env_file=None,
    )


@pytest.mark.parametrize("text", [USUAL, None, "", '[app]\nrun = "main:app"\n'])
def test_a_usual_declaration_is_the_same_both_ways(tmp_path: Path, text: str | None) -> None:
    inputs = _inputs(tmp_path, text)
    assert declare_plainly(inputs) == declare(inputs)


@pytest.mark.parametrize(
    "text",
    [
        '[app]\nrun = "${RUN}"\n',
        "[app]\nwrokers = 2\n",
        "[app\n",
        "[app]\ndrain = 0\n",  # a warning
        '[app]\nrun = "a:b"\ncommand = ["c"]\n',
        '[services.db]\ncheck = { type = "tcp", host = "h", port = 1 }\n',
        "[environments.production]\napp.workers = 4\n",
        '[app]\nenv_file = ".env"\n',
    ],
)
def test_what_takes_the_schema_or_words_is_left_to_it(tmp_path: Path, text: str) -> None:
    assert declare_plainly(_inputs(tmp_path, text)) is None


def test_a_variable_is_left_to_the_schema(tmp_path: Path) -> None:
    assert declare_plainly(_inputs(tmp_path, USUAL, WORKERS="3")) is None


def test_a_usual_file_is_loaded_without_pydantic(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text(USUAL)
    program = (
        "import sys; from oatie_ops.config.load import load; from pathlib import Path;"
        "loaded = load(Path(sys.argv[1]), environ={'OATIE_ENVIRONMENT': 'local'});"
        "print(loaded.settings.app.port, 'pydantic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["8080", "False"]
