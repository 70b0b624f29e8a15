"""What the application gets: its environment, its address, and what runs where the file does not say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.interpolate import expand
from oatie_ops.config.load import Loaded, load, with_secrets
from oatie_ops.errors import ConfigInvalid

RUN = '[app]\nrun = "main:app"\n'


def configured(root: Path, text: str = RUN, **arguments: Any) -> Loaded:
    (root / "oatie.toml").write_text(text)
    return load(root, **{"environ": {}, "environment": "local", **arguments})


# -- the specification's table ---------------------------------------------------------------------

ALWAYS = {"PORT": "8080", "WORKERS": "2", "LOG_LEVEL": "INFO"}
SPECIFIED = {
    "local": ALWAYS,
    "development": {**ALWAYS, "WORKERS": "1", "LOG_LEVEL": "DEBUG", "DEBUG": "true"},
    "codespaces": {**ALWAYS, "DEBUG": "true", "CORS_ORIGINS": "*", "ALLOWED_HOSTS": "*", "PORT": "8000"},
    "staging": {**ALWAYS, "DEBUG": "false"},
    "docker": {**ALWAYS, "DEBUG": "false"},
    "production": {**ALWAYS, "DEBUG": "false", "WORKERS": "4", "CLOUD_DEPLOYMENT": "true"},
    "cloud": {**ALWAYS, "DEBUG": "false", "WORKERS": "4", "CLOUD_DEPLOYMENT": "true"},
    "kubernetes": {
        **ALWAYS,
        "DEBUG": "false",
        "KUBERNETES_DEPLOYMENT": "true",
        "HEALTH_CHECK_ENABLED": "true",
        "DATABASE_URL": "postgresql://postgres:password@postgres-service:5432/oatie_db",
        "REDIS_URL": "redis://redis-service:6379/0",
    },
}


@pytest.mark.parametrize("environment", SPECIFIED)
def test_each_environment_brings_the_variables_of_the_specification(environment: str, tmp_path: Path) -> None:
    assert configured(tmp_path, environment=environment).settings.app.env == SPECIFIED[environment]


@pytest.mark.parametrize(
    ("environment", "host"),
    [("local", "127.0.0.1"), ("development", "127.0.0.1")]
    + [
        (name, "0.0.0.0") for name in ("codespaces", "docker", "kubernetes", "cloud", "production", "staging")
    ],
)
def test_only_where_others_must_reach_it_the_application_listens_on_every_address(
    environment: str, host: str, tmp_path: Path
) -> None:
    assert configured(tmp_path, environment=environment).settings.app.host == host


def test_the_example_database_of_the_kubernetes_profile_is_warned_of_until_it_is_set(tmp_path: Path) -> None:
    loaded = configured(tmp_path, environment="kubernetes")
    assert [issue.code for issue in loaded.issues] == ["example-database"]
    environ = {"DATABASE_URL": "postgresql://real"}
    own = configured(tmp_path, environment="kubernetes", environ=environ)
    assert own.issues == ()
    assert own.settings.app.env["DATABASE_URL"] == "postgresql://real"


# -- precedence, name by name ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "overrides", "expected"),
    [
        ({}, {}, "WARNING"),
        ({"LOG_LEVEL": "Debug"}, {}, "Debug"),
        ({"LOG_LEVEL": "Debug", "OATIE_APP__LOG_LEVEL": "error"}, {}, "ERROR"),
        ({"LOG_LEVEL": "Debug"}, {"app.log_level": "trace"}, "TRACE"),
    ],
)
def test_a_setting_reaches_the_application_as_the_strongest_source_wrote_it(
    environ: Mapping[str, str], overrides: Mapping[str, Any], expected: str, tmp_path: Path
) -> None:
    loaded = configured(tmp_path, RUN + 'log_level = "warning"\n', environ=environ, overrides=overrides)
    assert loaded.settings.app.env["LOG_LEVEL"] == expected


def test_a_variable_that_is_set_outside_goes_before_the_file_and_is_not_written_down(tmp_path: Path) -> None:
    text = RUN + 'env = { GREETING = "file", OTHER = "file" }\n'
    app = configured(tmp_path, text, environ={"GREETING": "outside"}).settings.app
    assert (app.env["GREETING"], app.env["OTHER"]) == ("outside", "file")
    assert app.env_templates == {"GREETING": "${GREETING:-file}"}


def test_a_value_that_is_built_from_the_outer_one_is_kept(tmp_path: Path) -> None:
    text = RUN + 'env = { PATH = "/opt/bin:${PATH}" }\n'
    app = configured(tmp_path, text, environ={"PATH": "/usr/bin"}).settings.app
    assert app.env["PATH"] == "/opt/bin:/usr/bin"
    assert app.env_templates["PATH"] == "/opt/bin:${PATH}"


def test_the_env_file_reaches_the_application_without_what_is_meant_for_oatie(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "export TOKEN='a $ {b}'\nURL=http://${HOST_NAME}/${TOKEN}\nOATIE_APP__PORT=1234\nPORT=99\n"
    )
    loaded = configured(tmp_path, RUN + 'env_file = ".env"\n', environ={"HOST_NAME": "h"})
    env = loaded.settings.app.env
    assert (env["TOKEN"], env["URL"]) == ("a $ {b}", "http://h/a $ {b}")
    assert "OATIE_APP__PORT" not in env
    assert (loaded.settings.app.port, env["PORT"]) == (1234, "1234")
    assert loaded.settings.app.env_templates["TOKEN"] == "${TOKEN}"


def test_templates_give_the_same_environment_again(tmp_path: Path) -> None:
    """What a release keeps of its environment, expanded with the same outside, is that environment."""
    (tmp_path / ".env").write_text("FROM_FILE=f\n")
    environ = {"OUT": "o}$", "BOTH": "outer", "OATIE_APP__ENV__SET": "s", "PORT": "4000"}
    text = RUN + 'env_file = ".env"\nenv = { A = "x${OUT}y", BOTH = "inner", LIT = "$${no}", SET = "-" }\n'
    app = configured(tmp_path, text, environ=environ).settings.app
    outside = {**environ, "FROM_FILE": "f"}
    kept = {**app.env, **app.env_templates}
    again = {
        name: expand(value, outside.get) if name in app.env_templates else value
        for name, value in kept.items()
    }
    assert again == app.env
    assert not any(secret in str(app.env_templates) for secret in ("o}$", "outer"))


def test_booleans_and_numbers_become_text(tmp_path: Path) -> None:
    env = configured(tmp_path, RUN + "env = { A = true, B = 8, C = 1.5 }\n").settings.app.env
    assert (env["A"], env["B"], env["C"]) == ("true", "8", "1.5")


def test_a_level_from_a_variable_is_written_as_the_schema_writes_it(tmp_path: Path) -> None:
    app = configured(tmp_path, RUN + 'log_level = "${LEVEL}"\n', environ={"LEVEL": "DEBUG"}).settings.app
    assert (app.log_level, app.env["LOG_LEVEL"]) == ("debug", "DEBUG")


# -- references ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${A}", "1"),
        ("x${A}${B}y", "x12y"),
        ("${NOPE:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY}", ""),
        ("$${A}", "${A}"),
        ("$A $$ {A}", "$A $$ {A}"),
    ],
)
def test_references_are_replaced(written: str, expected: str, tmp_path: Path) -> None:
    text = RUN + f"env = {{ X = '{written}' }}\n"
    env = configured(tmp_path, text, environ={"A": "1", "B": "2", "EMPTY": ""}).settings.app.env
    assert env["X"] == expected


def test_a_value_that_was_put_in_is_not_looked_through_again(tmp_path: Path) -> None:
    text = RUN + 'env = { X = "${A}" }\n'
    env = configured(tmp_path, text, environ={"A": "${B}", "B": "no"}).settings.app.env
    assert env["X"] == "${B}"


def test_a_number_may_come_from_a_variable(tmp_path: Path) -> None:
    text = RUN + 'workers = "${N}"\nready_timeout = "${T:-45s}"\n'
    app = configured(tmp_path, text, environ={"N": "3"}).settings.app
    assert (app.workers, app.ready_timeout_seconds) == (3, 45.0)


def test_commands_keep_their_variables_for_the_shell(tmp_path: Path) -> None:
    """A secret must not get into the arguments of a program, which every user of the machine can read."""
    text = """
[app]
command = ["sh", "-c", "exec srv --key ${KEY}"]
[deploy]
build = ["echo ${KEY}"]
release = "migrate ${KEY}"
[services.a]
recover = [{ run = ["fix", "${KEY}"] }]
"""
    settings = configured(tmp_path, text, environ={"KEY": "hunter2"}).settings
    assert "hunter2" not in repr(settings)


def test_with_a_store_of_secrets_an_unknown_name_waits_for_it(tmp_path: Path) -> None:
    text = (
        RUN
        + 'env = { A = "${DB_PASSWORD}", B = "u:${aws:reports/db#password}", C = "${HOME}" }\n'
        + '[secrets]\nbackend = "aws_secrets_manager"\n'
        + '[services.db]\ncheck = { type = "postgres", url = "${DB_URL}" }\n'
    )
    loaded = configured(tmp_path, text, environ={"HOME": "/h"})
    assert loaded.settings.app.env["A"] == "${DB_PASSWORD}"
    assert set(loaded.unresolved) == {
        ("app", "env", "A"),
        ("app", "env", "B"),
        ("services", "db", "check", "url"),
    }
    secrets = {"DB_PASSWORD": "p", "aws:reports/db#password": "q", "DB_URL": "postgres://h/d"}
    settings = with_secrets(loaded, secrets.__getitem__).settings
    assert (settings.app.env["A"], settings.app.env["B"], settings.app.env["C"]) == ("p", "u:q", "/h")
    assert settings.services["db"].check is not None
    assert settings.services["db"].check["url"] == "postgres://h/d"
    assert settings.app.run == "main:app"


def test_without_a_store_a_name_that_is_not_set_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="1 error"):
        configured(tmp_path, RUN + 'env = { A = "${DB_PASSWORD}" }\n')


# -- ports -----------------------------------------------------------------------------------------


def test_the_application_keeps_the_port_it_was_given_and_the_ops_api_takes_the_next(tmp_path: Path) -> None:
    loaded = configured(tmp_path, environment="codespaces")
    assert (loaded.settings.app.port, loaded.settings.ops.listen) == (8000, "127.0.0.1:8001")
    [note] = loaded.issues
    assert (note.severity, note.code) == ("note", "ops-moved")
    assert "profile codespaces" in note.message


def test_an_empty_table_chooses_nothing(tmp_path: Path) -> None:
    loaded = configured(tmp_path, RUN + "[ops]\n", environment="codespaces")
    assert loaded.settings.ops.listen == "127.0.0.1:8001"


@pytest.mark.parametrize(
    ("environ", "port", "ops"),
    [
        ({"PORT": "8000"}, 8000, "127.0.0.1:8001"),
        ({"PORT": "5000"}, 5000, "127.0.0.1:8000"),
        ({}, 8080, "127.0.0.1:8000"),
    ],
)
def test_the_port_of_a_platform_is_obeyed(
    environ: Mapping[str, str], port: int, ops: str, tmp_path: Path
) -> None:
    settings = configured(tmp_path, environ=environ, environment="cloud").settings
    assert (settings.app.port, settings.ops.listen, settings.app.env["PORT"]) == (port, ops, str(port))


def test_two_addresses_of_one_port_do_not_collide(tmp_path: Path) -> None:
    text = RUN + 'host = "10.0.0.1"\nport = 8000\n'
    assert configured(tmp_path, text).settings.ops.listen == "127.0.0.1:8000"


# -- what runs -------------------------------------------------------------------------------------


def test_an_empty_directory_runs_the_demo(tmp_path: Path) -> None:
    loaded = load(tmp_path, environ={}, environment="local")
    assert (loaded.settings.app.run, loaded.settings.app.name) == ("oatie_ops.demo.app:app", "demo")
    assert loaded.discovered is not None
    assert loaded.discovered.kind == "demo"


def test_what_is_found_runs_where_the_file_names_nothing(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    (tmp_path / "requirements.txt").write_text("flask\n")
    loaded = configured(tmp_path, '[app]\nname = "shop"\n')
    assert (loaded.settings.app.run, loaded.settings.app.name) == ("main:app", "shop")
    assert loaded.settings.deploy.build == ("pip install -r requirements.txt",)
    assert loaded.origin("app.run").describe() == "found: main.py:2 app = Flask(__name__)"


def test_a_plain_command_runs_as_one_process_unless_it_takes_the_socket(tmp_path: Path) -> None:
    plain = configured(tmp_path, "[app]\ncommand = ['x']\n", environment="production")
    assert plain.settings.app.workers == 1
    assert plain.origin("app.workers").describe() == "one process for a plain command"
    sharing = "[app]\ncommand = ['x']\nsocket = 'activation'\n"
    assert configured(tmp_path, sharing, environment="production").settings.app.workers == 4


def test_workers_of_the_platform_are_only_a_warning_for_a_plain_command(tmp_path: Path) -> None:
    loaded = configured(tmp_path, "[app]\ncommand = ['x']\n", environ={"WEB_CONCURRENCY": "4"})
    assert loaded.settings.app.workers == 1
    assert [issue.severity for issue in loaded.issues] == ["warning"]


# -- where the file is -----------------------------------------------------------------------------


def test_the_file_is_found_upwards_to_the_root_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text("[app]\nport = 5\n")
    inside = tmp_path / "repository" / "deep" / "er"
    inside.mkdir(parents=True)
    assert load(inside, environ={}, environment="local").settings.app.port == 5
    (tmp_path / "repository" / ".git").mkdir()
    outside_of_reach = load(inside, environ={}, environment="local")
    assert (outside_of_reach.file, outside_of_reach.settings.root) == (None, inside)


def test_a_directory_that_others_may_write_to_is_not_searched(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    inside = shared / "mine"
    inside.mkdir(parents=True)
    (shared / "oatie.toml").write_text("[app]\nport = 5\n")
    shared.chmod(0o1777)
    assert load(inside, environ={}, environment="local").file is None


def test_the_root_of_an_unconfigured_checkout_is_where_its_state_is(tmp_path: Path) -> None:
    (tmp_path / ".oatie").mkdir()
    inside = tmp_path / "package"
    inside.mkdir()
    assert load(inside, environ={}, environment="local").settings.root == tmp_path


def test_a_pyproject_without_our_table_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text("[app]\nport = 5\n")
    inside = tmp_path / "package"
    inside.mkdir()
    (inside / "pyproject.toml").write_text('[project]\nname = "oatie-fan"\n')
    assert load(inside, environ={}, environment="local").settings.app.port == 5
