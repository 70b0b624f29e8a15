"""``oatie config`` and ``oatie init`` as the program that people run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

APPLICATIONS: dict[str, dict[str, str]] = {
    "nothing": {},
    "fastapi": {
        "main.py": "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/ready')\ndef ready(): ...\n",
        "requirements.txt": "fastapi\n",
        ".env": "GREETING=hello\n",
    },
    "django": {
        "manage.py": 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n',
        "shop/wsgi.py": "application = None\n",
    },
    "node": {"package.json": '{"scripts": {"start": "node server.js"}}'},
    "procfile with quotes": {"Procfile": "web: sh -c 'echo \"a\\\\b\" > $PORT'\n"},
    "several": {
        "main.py": "from flask import Flask\napp = Flask('x')\nadmin = Flask('y')\n",
        "alembic.ini": "",
    },
}


def oatie(
    root: Path, *arguments: str, code: int | None = 0, **environ: str
) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, "-m", "oatie_ops", *arguments],
        cwd=root,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": _checkout(), "HOME": str(root), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert code is None or result.returncode == code, result.stdout + result.stderr
    return result


def _checkout() -> str:
    return str(Path(__file__).resolve().parents[2])


def document(result: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(result.stdout)


@pytest.fixture(params=APPLICATIONS)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    root = tmp_path / "my shop"
    root.mkdir()
    for name, text in APPLICATIONS[request.param].items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return root


# -- init ------------------------------------------------------------------------------------------


def test_what_init_writes_is_valid_and_runs_what_was_found(project: Path) -> None:
    """Also with everything that it comments out, and nothing else is left behind."""
    before = set(project.rglob("*"))
    wrote = document(oatie(project, "init", "--json"))
    assert set(project.rglob("*")) - before == {project / "oatie.toml"}
    check = document(oatie(project, "config", "check", "--strict", "--json"))
    assert check["issues"] == []
    shown = document(oatie(project, "config", "show", "--json"))["values"]
    found = wrote["application"]
    key = "run" if found["run"] else "command"
    assert shown[f"app.{key}"]["value"] == found[key]
    assert shown["app.port"]["value"] == 8080


def test_what_init_writes_is_also_valid_in_production(project: Path) -> None:
    oatie(project, "init")
    check = document(oatie(project, "config", "check", "-e", "production", "--json"))
    assert check["errors"] == 0


def test_the_commented_lines_are_valid_too(project: Path) -> None:
    oatie(project, "init")
    lines = (project / "oatie.toml").read_text().split("\n")
    live = {line.partition(" =")[0] for line in lines if " = " in line and not line.startswith("#")}
    opened = []
    for line in lines:
        bare = line.removeprefix("# ")
        is_code = bare.startswith("[") or (
            " = " in bare and bare.partition(" =")[0].replace(".", "_").isidentifier()
        )
        opened.append(
            bare if line.startswith("# ") and is_code and bare.partition(" =")[0] not in live else line
        )
    text = "\n".join(opened)
    assert len(tomllib.loads(text)) > 3
    (project / "oatie.toml").write_text(text)
    environ = {"DATABASE_URL": "postgres://h/d"}
    check = document(oatie(project, "config", "check", "--json", code=None, **environ))
    # `run` and `command` are both suggested where nothing was found.
    assert {issue["code"] for issue in check["issues"]} <= {"conflict", "run-not-found"}


def test_init_keeps_a_file_that_is_there_unless_told(tmp_path: Path) -> None:
    file = tmp_path / "oatie.toml"
    file.write_text("# mine\n")
    refused = oatie(tmp_path, "init", code=1)
    assert file.read_text() == "# mine\n"
    assert "--force" in refused.stderr
    oatie(tmp_path, "init", "--force")
    assert "[app]" in file.read_text()


def test_init_does_not_make_a_second_configuration(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.oatie.app]\nport = 1\n")
    error = document(oatie(tmp_path, "init", "--json", code=1))["error"]
    assert error["code"] == "already-configured"
    assert not (tmp_path / "oatie.toml").exists()


# -- check -----------------------------------------------------------------------------------------


def test_check_prints_all_problems_on_stdout_and_exits_4(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text("[app]\nprot = 1\nworkers = 0\n")
    result = oatie(tmp_path, "config", "check", code=4)
    assert [line for line in result.stdout.split("\n") if line.startswith("oatie.toml:")] == [
        "oatie.toml:2:1: error[unknown-key]: `app.prot` is not a key in [app]",
        "oatie.toml:3:11: error[bad-value]: `app.workers` must be at least 1",
    ]
    assert result.stderr == "oatie.toml: 2 errors\n"


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--strict",), 3)])
def test_warnings_alone_pass_unless_strict(arguments: tuple[str, ...], code: int, tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text("[deploy]\nkeep = 1\n")
    assert "warning[no-rollback]" in oatie(tmp_path, "config", "check", *arguments, code=code).stdout


def test_check_as_json_is_one_document_with_places(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text("[app]\nprot = 1\n")
    found = document(oatie(tmp_path, "config", "check", "--json", "-e", "local", code=4))
    assert found == {
        "schema": "oatie.config.check/v1",
        "file": str(tmp_path / "oatie.toml"),
        "environment": "local",
        "valid": False,
        "errors": 1,
        "warnings": 0,
        "issues": [
            {
                "severity": "error",
                "code": "unknown-key",
                "path": "app.prot",
                "message": "is not a key in [app]",
                "file": "oatie.toml",
                "line": 2,
                "column": 1,
                "source": None,
                "hint": "did you mean `port`?",
            }
        ],
    }


def test_every_command_that_needs_the_configuration_exits_4_for_a_wrong_one(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text("[app]\nprot = 1\n")
    refused = oatie(tmp_path, "start", code=4)
    assert "oatie.toml:2:1" in refused.stderr
    last = oatie(tmp_path, "deploy", "--dry-run", "--json", code=4).stdout.splitlines()[-1]
    assert json.loads(last)["exit_code"] == 4


def test_colour_only_where_it_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text("[app]\nprot = 1\n")
    assert "\x1b[" not in oatie(tmp_path, "config", "check", code=4).stdout
    assert (
        "\x1b[1;31merror[unknown-key]" in oatie(tmp_path, "config", "check", code=4, FORCE_COLOR="1").stdout
    )


# -- show, schema, explain -------------------------------------------------------------------------


def test_show_tells_where_each_value_comes_from(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text("[app]\nport = 9000\ndrain = 45\n")
    lines = oatie(tmp_path, "config", "show", "--origin", "-e", "local", WORKERS="3").stdout.split("\n")
    shown = {line.partition(" = ")[0]: line.partition(" = ")[2].split("  ")[0::1] for line in lines}
    told = {key: (rest[0], rest[-1].strip()) for key, rest in shown.items()}
    assert told["app.port"] == ("9000", "oatie.toml:2:1")
    assert told["app.drain"] == ('"45s"', "oatie.toml:3:1")
    assert told["app.workers"] == ("3", "variable WORKERS")
    assert told["app.host"] == ('"127.0.0.1"', "default")
    assert told["environment"] == ('"local"', "--environment")


def test_show_of_a_wrong_file_shows_the_rest_and_exits_4(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text("[app]\nport = 9000\nprot = 1\n")
    result = oatie(tmp_path, "config", "show", code=4)
    assert "app.port = 9000" in result.stdout
    assert "unknown-key" in result.stderr


def test_the_schema_is_json_schema_with_descriptions(tmp_path: Path) -> None:
    schema = document(oatie(tmp_path, "config", "schema"))
    assert schema["$schema"].startswith("https://json-schema.org/")
    application = schema["$defs"]["App"]["properties"]
    assert all(key.get("description") for key in application.values())
    assert '"null"' not in json.dumps(schema)
    assert "profile" in schema["properties"]["environments"]["additionalProperties"]["properties"]


def test_explain_tells_type_default_and_variable(tmp_path: Path) -> None:
    text = oatie(tmp_path, "config", "explain", "app.workers").stdout
    assert "whole number" in text
    assert "OATIE_APP__WORKERS, WORKERS, WEB_CONCURRENCY" in text
    found = document(oatie(tmp_path, "config", "explain", "services.db.check.url", "--json"))
    assert found["variables"] == ["OATIE_SERVICES__DB__CHECK__URL"]


def test_explain_without_a_key_lists_all_and_refuses_an_unknown_one(tmp_path: Path) -> None:
    assert "app.keep_alive" in oatie(tmp_path, "config", "explain").stdout
    assert "did you mean `app.drain`?" in oatie(tmp_path, "config", "explain", "app.drian", code=2).stderr
    assert "did you mean `deploy.bake`?" in oatie(tmp_path, "config", "explain", "bake", code=2).stderr
