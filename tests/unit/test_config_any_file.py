"""Whatever a file holds, it is examined without an exception, and every problem has a place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oatie_ops.config.catalogue import catalogue
from oatie_ops.config.issues import ERROR, render
from oatie_ops.config.load import examine
from oatie_ops.config.show import entries

TABLES = ("app", "deploy", "services", "secrets", "ops", "logs", "alerts", "environments", "nope")
INSIDE = sorted(
    {str(path[-1]) for path, _ in catalogue().leaves()}
    | {
        "check",
        "breaker",
        "recover",
        "degrade",
        "type",
        "url",
        "auto",
        "responses",
        "match",
        "page",
        "profile",
    }
)
NAMES = st.one_of(st.sampled_from(INSIDE), st.sampled_from(("db", "a b", "", "é", "production", "app")))
WORDS = st.sampled_from(
    [
        "x",
        "/x",
        "30s",
        "512MB",
        "main:app",
        "http",
        "tcp",
        "postgres",
        "http://h",
        "${A}",
        "${B:-8}",
        "${",
        "$${A}",
        "0.0.0.0",
        "127.0.0.1:8000",
        "GET /x",
        "db",
        "staging",
        "node",
        "\n",
        "app",
        "",
    ]
)
SCALARS = st.one_of(WORDS, st.integers(-2, 70_000), st.booleans(), st.sampled_from((1.5, float("inf"), 0.0)))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=8,
)
FILES = st.dictionaries(
    st.sampled_from(TABLES), st.one_of(st.dictionaries(NAMES, VALUES, max_size=5), VALUES), max_size=5
)
ENVIRONMENTS = st.sampled_from(("local", "production", "db"))


def written(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {written(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return "inf" if value == float("inf") else json.dumps(value)


@settings(max_examples=60)
@given(FILES, ENVIRONMENTS)
def test_any_file_is_examined(
    tmp_path_factory: pytest.TempPathFactory, file: dict[str, Any], environment: str
) -> None:
    is_examined(tmp_path_factory.mktemp("any"), file, environment)


@pytest.mark.slow
@settings(max_examples=250)
@given(FILES, ENVIRONMENTS)
def test_many_more_files_are_examined(
    tmp_path_factory: pytest.TempPathFactory, file: dict[str, Any], environment: str
) -> None:
    is_examined(tmp_path_factory.mktemp("any"), file, environment)


def is_examined(root: Path, file: dict[str, Any], environment: str) -> None:
    text = "".join(f"{name} = {written(value)}\n" for name, value in file.items())
    (root / "oatie.toml").write_text(text, encoding="utf-8")
    loaded = examine(root, environ={"A": "1"}, environment=environment)
    entries(loaded)
    for issue in loaded.issues:
        render(issue)
        # An environment that nobody declared is an error of who asked for it, not of the file.
        assert issue.severity != ERROR or issue.line is not None or issue.where == "--environment"
