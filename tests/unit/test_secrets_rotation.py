"""A reload looks secrets up again; real files are the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from oatie_ops.cli.filling import filled
from oatie_ops.config.load import load
from oatie_ops.config.settings import Settings
from oatie_ops.redaction import redact
from oatie_ops.secrets.errors import SecretMissing
from oatie_ops.secrets.rotation import refreshed
from oatie_ops.supervisor.spec import app_from_dict, app_to_dict

FILE = """
[app]
run = "main:app"
env = { A = "${DB_PASSWORD}", B = "u:${file:api}@${HOST_NAME}", C = "${HOST_NAME}", D = "${file:gone:-none}" }
[secrets]
path = "vault"
"""


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    directory = tmp_path / "vault"
    directory.mkdir()
    (directory / "DB_PASSWORD").write_text("canary-first-password")
    (directory / "api").write_text("canary-first-key")
    return directory


@pytest.fixture
def settings(tmp_path: Path, vault: Path) -> Settings:
    (tmp_path / "oatie.toml").write_text(FILE)
    environ = {"HOST_NAME": "db1"}
    return filled(load(tmp_path, environ=environ, environment="local", use_cache=False)).settings


def test_what_a_store_gave_is_asked_for_again(
    settings: Settings, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_NAME", "db2")
    (vault / "DB_PASSWORD").write_text("canary-second-password")
    (vault / "api").write_text("canary-second-key")
    (vault / "gone").write_text("canary-it-is-there-now")
    travelled = app_from_dict(app_to_dict(settings.app))
    env = refreshed(travelled, settings).env
    assert env["A"] == "canary-second-password"
    assert env["B"] == "u:canary-second-key@db2"
    assert env["C"] == "db1"
    assert env["D"] == "canary-it-is-there-now"
    assert "canary" not in redact(" ".join(env.values()))


def test_a_text_with_a_variable_of_another_process_stays_as_it_is(
    settings: Settings, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOST_NAME", raising=False)
    (vault / "api").write_text("canary-second-key")
    assert refreshed(settings.app, settings).env["B"] == "u:canary-first-key@db1"


def test_a_secret_that_is_gone_refuses_the_reload(settings: Settings, vault: Path) -> None:
    (vault / "api").unlink()
    with pytest.raises(SecretMissing) as caught:
        refreshed(settings.app, settings)
    assert caught.value.details == ("needed by app.env.B",)
