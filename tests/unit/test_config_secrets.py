"""Which values of the configuration may come from a store of secrets, and which are left for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.load import Loaded, examine, load, with_secrets
from oatie_ops.config.show import entries

RUN = '[app]\nrun = "main:app"\n'
STORE = '[secrets]\nbackend = "aws_secrets_manager"\n'


def configured(root: Path, text: str, **arguments: Any) -> Loaded:
    (root / "oatie.toml").write_text(text)
    return load(root, **{"environ": {}, "environment": "local", **arguments})


def problems(root: Path, text: str, environ: dict[str, str] | None = None) -> list[tuple[str, str]]:
    (root / "oatie.toml").write_text(text)
    found = examine(root, environ=environ or {}, environment="local").issues
    return [(issue.code, issue.path) for issue in found if issue.severity == "error"]


def test_a_reference_with_a_scheme_needs_no_declared_store(tmp_path: Path) -> None:
    loaded = configured(tmp_path, RUN + 'env = { A = "${aws:db#password}", B = "${file:/run/x}" }\n')
    assert loaded.unresolved == (("app", "env", "A"), ("app", "env", "B"))


def test_a_default_is_for_a_secret_that_the_store_does_not_have(tmp_path: Path) -> None:
    loaded = configured(tmp_path, RUN + 'env = { A = "${aws:db:-none}", B = "${NAME:-none}" }\n')
    assert loaded.unresolved == (("app", "env", "A"),)
    assert with_secrets(loaded, lambda _: "there").settings.app.env["A"] == "there"
    assert with_secrets(loaded, lambda _: None).settings.app.env["A"] == "none"
    assert loaded.settings.app.env["B"] == "none"


def test_a_variable_of_the_outside_goes_before_the_store(tmp_path: Path) -> None:
    loaded = configured(tmp_path, RUN + 'env = { A = "${aws:db}" }\n', environ={"A": "outside"})
    assert loaded.unresolved == ()
    assert loaded.settings.app.env["A"] == "outside"


def test_only_some_of_what_is_unresolved_can_be_filled_in(tmp_path: Path) -> None:
    text = RUN + 'env = { A = "${aws:a}" }\n[services.x]\ncheck = { type = "http", url = "${aws:u}" }\n'
    loaded = with_secrets(
        configured(tmp_path, text), lambda name: f"https://{name[-1]}", [("services", "x", "check", "url")]
    )
    assert loaded.unresolved == (("app", "env", "A"),)
    assert (loaded.settings.services["x"].check or {})["url"] == "https://u"
    assert loaded.settings.app.env["A"] == "${aws:a}"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (RUN + 'ready_host = "${aws:host}"\n', "app.ready_host"),
        ('[app]\nname = "${env:NAME}"\n', "app.name"),
        (RUN + '[secrets]\nvault_url = "${aws:vault}"\n', "secrets.vault_url"),
        (RUN + '[services.x]\ncheck = { type = "tcp", host = "h", port = "${aws:x#port}" }\n', "port"),
        (RUN + '[services.x]\ncheck = { type = "http", path = "/", timeout = "${aws:x}" }\n', "timeout"),
    ],
)
def test_a_secret_has_its_place_in_texts_that_are_shown_nowhere(text: str, path: str, tmp_path: Path) -> None:
    [found] = [where for code, where in problems(tmp_path, text) if code == "misplaced-secret"]
    assert found.endswith(path)


def test_what_no_store_is_asked_for_must_be_a_variable(tmp_path: Path) -> None:
    text = RUN + 'ready_host = "${HOST_NAME}"\nenv = { A = "${PASSWORD}" }\n' + STORE
    assert problems(tmp_path, text) == [("missing-variable", "app.ready_host")]


def test_the_project_of_a_proven_google_cloud_is_a_store_and_that_of_a_shell_is_none(tmp_path: Path) -> None:
    text = RUN + 'env = { A = "${PASSWORD}" }\n'
    shell = {"GOOGLE_CLOUD_PROJECT": "proj"}
    assert problems(tmp_path, text, shell) == [("missing-variable", "app.env.A")]
    run = {**shell, "K_SERVICE": "web", "K_REVISION": "web-1", "K_CONFIGURATION": "web", "PORT": "8080"}
    assert problems(tmp_path, text, run) == []


def test_what_is_handed_over_is_in_no_environment(tmp_path: Path) -> None:
    text = RUN + 'env = { A = "x${aws:a}", B = "b" }\n[secrets]\nexpose = "descriptor"\n'
    app = with_secrets(configured(tmp_path, text), lambda _: "secret").settings.app
    assert app.secret_env == {"A": "xsecret"}
    assert "A" not in app.open_env
    assert app.open_env["B"] == "b"


def test_by_default_what_is_declared_for_the_environment_goes_there(tmp_path: Path) -> None:
    app = configured(tmp_path, RUN + 'env = { A = "${aws:a}" }\n').settings.app
    assert (app.stored, app.secret_env, app.open_env) == (("A",), {}, app.env)


def test_looking_variables_up_is_no_part_of_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FROM_FILE=canary-file\n")
    loaded = configured(tmp_path, RUN + 'env_file = ".env"\n', environ={"OUT": "canary-out"})
    assert (loaded.outside["OUT"], loaded.outside["FROM_FILE"]) == ("canary-out", "canary-file")
    assert "canary-out" not in repr(loaded)
    assert "canary" not in json.dumps([entry.value for entry in entries(loaded)])
