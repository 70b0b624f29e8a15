"""Which source wins, and that the origin of a value says so."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.layers import Layer, Origin, Source, merge
from oatie_ops.config.load import Loaded, examine, load
from oatie_ops.environment import EnvironmentDetector
from oatie_ops.errors import ConfigInvalid, UsageError

# Weakest first. Each gives app.workers another value.
SOURCES = ("profile", "file", "overlay", "env file", "plain variable", "variable", "flag")
ORIGINS = {
    "profile": "profile production",
    "file": "oatie.toml:3:1",
    "overlay": "oatie.toml:{line}:5",
    "env file": ".env:2:1 (WORKERS)",
    "plain variable": "variable WORKERS",
    "variable": "variable OATIE_APP__WORKERS",
    "flag": "--workers",
}
VALUES = {
    "profile": 4,
    "file": 11,
    "overlay": 12,
    "env file": 13,
    "plain variable": 14,
    "variable": 15,
    "flag": 16,
}


def configured(root: Path, text: str, **arguments: Any) -> Loaded:
    (root / "oatie.toml").write_text(text)
    (root / "main.py").write_text("app = None\n")
    return load(root, **{"environ": {}, "environment": "local", **arguments})


@pytest.mark.parametrize(
    "present",
    [chosen for count in (1, 2, len(SOURCES)) for chosen in itertools.combinations(SOURCES, count)],
    ids="+".join,
)
def test_the_strongest_source_that_is_there_wins(present: tuple[str, ...], tmp_path: Path) -> None:
    lines = ["[app]", 'run = "main:app"']
    lines += ["workers = 11"] if "file" in present else []
    lines += ['env_file = ".env"'] if "env file" in present else []
    (tmp_path / ".env").write_text("# first line\nWORKERS=13\n")
    lines += ["[environments.production]", "app.workers = 12"] if "overlay" in present else []
    environ = {"WORKERS": "14"} if "plain variable" in present else {}
    environ |= {"OATIE_APP__WORKERS": "15"} if "variable" in present else {}
    loaded = configured(
        tmp_path,
        "\n".join(lines),
        environ=environ,
        environment="production" if {"profile", "overlay"}.intersection(present) else "local",
        overrides={"app.workers": 16} if "flag" in present else {},
    )
    winner = [source for source in SOURCES if source in present][-1]
    assert loaded.settings.app.workers == VALUES[winner]
    described = loaded.origin("app.workers").describe()
    assert described.startswith(ORIGINS[winner].format(line=len(lines)))


def test_the_origin_knows_what_it_overrides(tmp_path: Path) -> None:
    text = "[app]\nworkers = 3\n[environments.production]\napp.workers = 5\n"
    loaded = configured(tmp_path, text, environment="production", overrides={"app.workers": 7})
    chain, origin = [], loaded.origin("app.workers")
    while origin is not None:
        chain.append((origin.source, origin.line))
        origin = origin.overrides
    assert chain == [
        (Source.FLAG, None),
        (Source.OVERLAY, 4),
        (Source.FILE, 2),
        (Source.PROFILE, None),
    ]


def test_a_flag_that_was_not_given_changes_nothing(tmp_path: Path) -> None:
    loaded = configured(tmp_path, "[app]\nport = 9\n", overrides={"app.port": None})
    assert loaded.settings.app.port == 9


def test_an_empty_variable_sets_nothing(tmp_path: Path) -> None:
    loaded = configured(tmp_path, "[app]\nport = 9\n", environ={"PORT": "", "OATIE_APP__PORT": ""})
    assert (loaded.settings.app.port, loaded.issues) == (9, ())


def test_the_process_environment_goes_before_the_env_file_whatever_the_names(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OATIE_APP__PORT=1111\n")
    text = '[app]\nenv_file = ".env"\n'
    assert configured(tmp_path, text).settings.app.port == 1111
    assert configured(tmp_path, text, environ={"PORT": "2222"}).settings.app.port == 2222


def test_the_env_file_of_the_command_line_replaces_the_one_of_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=1111\n")
    (tmp_path / "other.env").write_text("PORT=2222\n")
    text = '[app]\nenv_file = ".env"\n'
    loaded = configured(tmp_path, text, env_file=tmp_path / "other.env")
    assert loaded.settings.app.port == 2222


def test_tables_merge_key_by_key_and_lists_are_replaced(tmp_path: Path) -> None:
    text = """
[deploy]
shared = ["a", "b"]
[services.db]
check = { type = "tcp", host = "h", port = 1, timeout = "1s" }
[environments.staging]
deploy.shared = ["c"]
services.db.check.port = 2
"""
    loaded = configured(tmp_path, text, environment="staging")
    check = loaded.settings.services["db"].check
    assert check is not None
    assert (check["host"], check["port"], check["timeout"]) == ("h", 2, 1.0)
    assert loaded.settings.deploy.shared == ("c",)


def test_a_check_of_another_type_keeps_nothing_of_the_old_one(tmp_path: Path) -> None:
    text = """
[services.db]
check = { type = "tcp", host = "h", port = 1 }
[environments.staging]
services.db.check = { type = "process", name = "postgres" }
"""
    check = configured(tmp_path, text, environment="staging").settings.services["db"].check
    assert check is not None
    assert "port" not in check


@pytest.mark.parametrize(
    ("outer", "run", "command"),
    [
        ({"OATIE_APP__RUN": "other:app"}, "other:app", None),
        ({"OATIE_APP__COMMAND": "node 'my server.js'"}, None, ("node", "my server.js")),
        ({"OATIE_APP__COMMAND": '["a", "b c"]'}, None, ("a", "b c")),
    ],
)
def test_a_stronger_run_displaces_a_weaker_command_and_the_reverse(
    outer: Mapping[str, str], run: str | None, command: tuple[str, ...] | None, tmp_path: Path
) -> None:
    own = 'command = ["x"]' if run else 'run = "main:app"'
    app = configured(tmp_path, f"[app]\n{own}\n", environ=outer).settings.app
    assert (app.run, app.command) == (run, command)


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("OATIE_APP__ACCESS_LOG", "yes", "access_log", True),
        ("OATIE_APP__ACCESS_LOG", "off", "access_log", False),
        ("OATIE_APP__DRAIN", "90", "drain_seconds", 90.0),
        ("OATIE_APP__DRAIN", "1m", "drain_seconds", 60.0),
        ("OATIE_APP__MAX_RSS", "1GiB", "max_rss_bytes", 2**30),
        ("OATIE_APP__ALLOWED_HOSTS", "a.example, b.example", "allowed_hosts", ("a.example", "b.example")),
        ("OATIE_APP__ALLOWED_HOSTS", '["c"]', "allowed_hosts", ("c",)),
        ("LOG_LEVEL", "WARN", "log_level", "warning"),
        ("WEB_CONCURRENCY", "3", "workers", 3),
        ("DEBUG", "1", "debug", True),
    ],
)
def test_a_variable_is_read_as_the_type_of_its_key(
    name: str, text: str, key: str, value: object, tmp_path: Path
) -> None:
    loaded = configured(tmp_path, "", environ={name: text})
    assert getattr(loaded.settings.app, key) == value
    assert loaded.issues == ()


def test_a_variable_reaches_a_service_by_its_name_and_a_key_of_the_environment(tmp_path: Path) -> None:
    text = '[services.my-db]\ncheck = { type = "tcp", port = 1 }\n'
    environ = {"OATIE_SERVICES__MY_DB__CHECK__PORT": "5432", "OATIE_APP__ENV__Some_Name": "x"}
    settings = configured(tmp_path, text, environ=environ).settings
    assert settings.services["my-db"].check is not None
    assert settings.services["my-db"].check["port"] == 5432
    assert settings.app.env["Some_Name"] == "x"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("OATIE_PORT", "OATIE_APP__PORT"),
        ("OATIE_APP__WROKERS", "OATIE_APP__WORKERS"),
        ("OATIE_ENVIROMENT", "OATIE_ENVIRONMENT"),
    ],
)
def test_an_unknown_variable_is_a_warning_with_the_right_name(name: str, hint: str, tmp_path: Path) -> None:
    loaded = configured(tmp_path, "", environ={name: "5"})
    assert [(i.severity, i.where, i.hint) for i in loaded.issues] == [
        ("warning", f"variable {name}", f"did you mean {hint}?")
    ]


def test_the_service_links_of_kubernetes_are_no_typing_errors(tmp_path: Path) -> None:
    links = {
        "OATIE_SERVICE_HOST": "10.0.0.1",
        "OATIE_SERVICE_PORT_HTTP": "80",
        "OATIE_PORT": "tcp://10.0.0.1:80",
        "OATIE_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    inside = configured(tmp_path, "", environ={**links, "KUBERNETES_SERVICE_HOST": "10.0.0.2"})
    assert inside.issues == ()
    assert len(configured(tmp_path, "", environ=links).issues) == len(links)


@pytest.mark.parametrize(
    ("environ", "severity"),
    [
        ({"PORT": "tcp://10.0.0.1:80"}, "error"),
        ({"PORT": "70000"}, "error"),
        ({"OATIE_APP__LOG_LEVEL": "loud"}, "error"),
        ({"LOG_LEVEL": "loud"}, "warning"),
        ({"WEB_CONCURRENCY": "auto"}, "warning"),
        ({"DEBUG": "app:*"}, None),
    ],
)
def test_a_variable_that_cannot_be_read_is_an_error_unless_it_is_often_meant_for_others(
    environ: Mapping[str, str], severity: str | None, tmp_path: Path
) -> None:
    issues = examine(tmp_path, environ=environ, environment="local").issues
    [name] = environ
    assert [(i.severity, i.where) for i in issues] == ([(severity, f"variable {name}")] if severity else [])


# -- environments ----------------------------------------------------------------------------------


def test_the_variable_names_the_environment_and_the_flag_goes_before_it(tmp_path: Path) -> None:
    environ = {"OATIE_ENVIRONMENT": "staging"}
    by_variable = configured(tmp_path, "", environ=environ, environment=None)
    assert by_variable.settings.environment == "staging"
    assert by_variable.origin("environment").describe() == "variable OATIE_ENVIRONMENT"
    by_flag = configured(tmp_path, "", environ=environ, environment="production")
    assert by_flag.settings.environment == "production"
    assert by_flag.origin("environment").describe() == "--environment"


def test_a_short_name_finds_its_profile_and_an_overlay_of_that_very_name(tmp_path: Path) -> None:
    assert configured(tmp_path, "", environment="prod").settings.environment == "production"
    loaded = configured(tmp_path, "[environments.prod]\napp.port = 7\n", environment="prod")
    assert (loaded.settings.environment, loaded.profile, loaded.settings.app.port) == (
        "prod",
        "production",
        7,
    )


def test_an_environment_of_ones_own_takes_the_profile_that_its_overlay_names(tmp_path: Path) -> None:
    text = '[environments.demo]\nprofile = "production"\n[environments.qa]\napp.port = 5\n'
    assert configured(tmp_path, text, environment="demo").settings.app.workers == 4
    here = EnvironmentDetector({}).detect().profile.value
    assert configured(tmp_path, text, environment="qa").profile == here


def test_an_environment_that_is_neither_declared_nor_a_profile_is_a_wrong_flag(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        configured(tmp_path, "", environment="prodution")
    assert caught.value.fix == "did you mean production?"
    with pytest.raises(UsageError) as caught:
        configured(tmp_path, "[environments.qa]\n", environment="zebra")
    assert "'zebra'" in caught.value.what
    assert "known here: qa, " in caught.value.fix
    assert configured(tmp_path, "[environments.zebra]\n", environment="zebra").settings.environment == "zebra"


def test_a_wrong_environment_beside_a_wrong_file_is_told_with_the_rest(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        configured(tmp_path, "[nope]\n", environment="zebra")
    assert any("'zebra'" in detail for detail in caught.value.details)
    assert any("nope" in detail for detail in caught.value.details)


def test_a_variable_may_name_what_only_other_programs_know(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        configured(tmp_path, "", environment=None, environ={"OATIE_ENVIRONMENT": "prodution"})
    assert "did you mean production?" in caught.value.details[0]
    [issue] = configured(tmp_path, "", environment=None, environ={"OATIE_ENVIRONMENT": "zebra"}).issues
    assert (issue.severity, issue.where) == ("warning", "variable OATIE_ENVIRONMENT")


def test_what_cannot_be_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        configured(tmp_path, "", environment="a b")
    loaded = configured(tmp_path, "", environment=None, environ={"OATIE_ENVIRONMENT": "a b"})
    assert [issue.severity for issue in loaded.issues] == ["warning"]


# -- the pure merge --------------------------------------------------------------------------------


def test_a_table_that_becomes_a_value_forgets_the_origins_inside_it() -> None:
    low = Layer({"t": {"a": 1}}, lambda path: Origin(Source.FILE, str(path)))
    high = Layer({"t": 5}, lambda path: Origin(Source.FLAG, str(path)))
    merged = merge([low, high])
    assert merged.data == {"t": 5}
    assert list(merged.origins) == [("t",)]


def test_origin_survives_json() -> None:
    origin = Origin(Source.ENV_FILE, "X", ".env", 3, 1, Origin(Source.PROFILE, "cloud"))
    assert Origin.from_dict(origin.as_dict()) == origin
