"""Secrets of the configuration, looked up in real files when something is about to run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from oatie_ops.cli.filling import SUPERVISOR, filled, read_release
from oatie_ops.config.load import Loaded, load
from oatie_ops.config.sensitive import looks_secret, sensitive_values
from oatie_ops.config.settings import AppSettings
from oatie_ops.deployment import manifest
from oatie_ops.deployment.manifest import Manifest
from oatie_ops.errors import OatieError
from oatie_ops.redaction import redact
from oatie_ops.secrets.errors import ReferenceInvalid, SecretMalformed, SecretMissing

RUN = '[app]\nrun = "main:app"\n'
STORE = '[secrets]\npath = "vault"\n'


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    directory = tmp_path / "vault"
    directory.mkdir()
    for name, value in {
        "DB_PASSWORD": "canary-db-password\n",
        "api": '{"key": "canary-api-key"}',
        "pin": "123",
        "hook": "https://hooks.example/canary-hook",
    }.items():
        (directory / name).write_text(value)
    (directory / "binary").write_bytes(b"\xff\xfe\x00\x01canary")
    return directory


def configured(root: Path, text: str, environ: dict[str, str] | None = None) -> Loaded:
    (root / "oatie.toml").write_text(text)
    return load(root, environ=environ or {}, environment="local", use_cache=False)


def test_names_members_and_parts_of_texts_are_filled_in(tmp_path: Path, vault: Path) -> None:
    text = (
        RUN
        + 'env = { A = "${DB_PASSWORD}", B = "u:${file:api#key}@${H:-here}", C = "${OUT}-${DB_PASSWORD}" }\n'
        + STORE
        + '[alerts.ops]\nwebhook = "${hook}"\n'
    )
    loaded = filled(configured(tmp_path, text, {"OUT": "out"}))
    env = loaded.settings.app.env
    assert (env["A"], env["B"]) == ("canary-db-password", "u:canary-api-key@here")
    assert env["C"] == "out-canary-db-password"
    assert loaded.settings.alerts["ops"]["webhook"] == "https://hooks.example/canary-hook"
    assert loaded.unresolved == ()
    assert redact(" ".join(env.values())).count("canary") == 0


def test_a_release_brings_the_secrets_of_its_own_application(tmp_path: Path, vault: Path) -> None:
    text = RUN + 'env = { A = "${file:absent}" }\n' + STORE + '[alerts.ops]\nwebhook = "${hook}"\n'
    loaded = filled(configured(tmp_path, text), SUPERVISOR)
    assert loaded.settings.alerts["ops"]["webhook"] == "https://hooks.example/canary-hook"
    assert loaded.settings.app.env["A"] == "${file:absent}"


def test_all_that_is_missing_is_told_at_once_with_its_place(tmp_path: Path, vault: Path) -> None:
    text = RUN + 'env = { A = "${DB_PASSWROD}", B = "${file:api#kye}", C = "${file:api#}" }\n' + STORE
    with pytest.raises(SecretMissing) as caught:
        filled(configured(tmp_path, text))
    error = caught.value
    assert "DB_PASSWROD" in error.what
    assert error.exit_code == 5
    first, *others = error.details
    assert first.startswith("needed by app.env.A (oatie.toml:3:")
    assert [line.partition(" (")[0] for line in others] == [
        "also missing, for app.env.B",
        "also missing, for app.env.C",
    ]
    assert "its members are: key" in others[0]
    assert "canary" not in repr(error.as_dict())


def test_a_default_stands_in_for_a_secret_that_is_not_there(tmp_path: Path, vault: Path) -> None:
    text = RUN + 'env = { A = "${file:absent:-none}", B = "${file:DB_PASSWORD:-none}" }\n' + STORE
    env = filled(configured(tmp_path, text)).settings.app.env
    assert (env["A"], env["B"]) == ("none", "canary-db-password")


def test_a_binary_secret_is_no_text(tmp_path: Path, vault: Path) -> None:
    with pytest.raises(SecretMalformed, match="binary"):
        filled(configured(tmp_path, RUN + 'env = { A = "${file:binary}" }\n' + STORE))


def test_a_secret_cannot_decide_what_is_executed(tmp_path: Path, vault: Path) -> None:
    with pytest.raises(ReferenceInvalid, match="LD_PRELOAD"):
        filled(configured(tmp_path, RUN + 'env = { LD_PRELOAD = "${file:pin}" }\n' + STORE))


def test_a_value_too_short_to_be_masked_is_told(
    tmp_path: Path, vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(configured(tmp_path, RUN + 'env = { PIN = "${file:pin}" }\n' + STORE))
    said = capsys.readouterr().err
    assert "${file:pin} is too short" in said
    assert "123" not in said


def release(root: Path, templates: dict[str, str]) -> Path:
    directory = root / "7"
    directory.mkdir()
    app = AppSettings(run="old:app", env={"PLAIN": "1"})
    made = Manifest(7, 0.0, replace(app, env_templates=templates), directory, None, None, {})
    manifest.write(directory, made)
    return directory


def test_a_release_is_run_with_todays_secrets(tmp_path: Path, vault: Path) -> None:
    directory = release(tmp_path, {"A": "${DB_PASSWORD}", "B": "${file:api#key}", "C": "${GONE}"})
    env = read_release(directory, configured(tmp_path, RUN + STORE)).app.env
    assert env == {"PLAIN": "1", "A": "canary-db-password", "B": "canary-api-key", "C": "${GONE}"}
    assert "canary" not in (directory / "manifest.json").read_text()


def test_a_release_whose_secret_is_gone_is_refused(tmp_path: Path, vault: Path) -> None:
    directory = release(tmp_path, {"A": "${file:gone}"})
    with pytest.raises(OatieError) as caught:
        read_release(directory, configured(tmp_path, RUN + STORE))
    assert caught.value.details == ("needed by A of release 7",)


def test_todays_unresolved_template_is_no_value_for_a_release(tmp_path: Path, vault: Path) -> None:
    directory = release(tmp_path, {"DB_PASSWORD": "${DB_PASSWORD}"})
    loaded = configured(tmp_path, RUN + 'env = { DB_PASSWORD = "${DB_PASSWORD}" }\n' + STORE)
    assert read_release(directory, loaded).app.env["DB_PASSWORD"] == "canary-db-password"


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("DB_PASSWORD", "hunter2", True),
        ("DB_PASSWORD", "12345678", True),
        ("DATABASE_URL", "postgres://app:hunter2@db/app", True),
        ("DATABASE_URL", "postgres://db/app", False),
        ("USE_AUTH", "true", False),
        ("TOKEN_COUNT", "4096", False),
        ("SECRET_PATH", "/run/secrets", False),
        ("AUTH_ISSUER_KEY", "https://login.example/keys", False),
        ("LOG_LEVEL", "debug", False),
    ],
)
def test_names_and_looks_tell_secrets_from_settings(name: str, value: str, secret: bool) -> None:
    assert looks_secret(name, value) is secret


def test_what_looks_like_a_secret_is_one_wherever_it_was_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FILE_TOKEN=canary-1-of-the-file\n")
    text = (
        '[app]\nrun = "main:app"\nenv_file = ".env"\n'
        'env = { API_KEY = "canary-2-literal", URL = "${OUT}", DEBUG_TOKEN = "true", COLOUR = "green" }\n'
        "[services.x]\n"
        'check = { type = "http", url = "http://h", headers = { Authorization = "Bearer ${TOKEN}" } }\n'
        '[alerts.ops]\nwebhook = "https://hooks.example/canary-3"\n'
    )
    environ = {
        "OUT": "redis://:canary-4@h",
        "TOKEN": "canary-5-token",
        "INHERITED_SECRET": "canary-6-X",
        "POSTGRES_PASSWORD": "postgres",
        "HOME": "/home/canary-user",
        "GPG_KEY": "A035C8C19219BA821ECEA86B64E628F8D684696D",
    }
    found = sensitive_values(configured(tmp_path, text, environ))
    assert set(found) == {
        "canary-1-of-the-file",
        "canary-2-literal",
        "https://hooks.example/canary-3",
        "redis://:canary-4@h",
        "Bearer canary-5-token",
        "canary-5-token",
        "canary-6-X",
    }


def test_the_example_password_of_a_profile_hides_no_word(tmp_path: Path) -> None:
    (tmp_path / "oatie.toml").write_text(RUN)
    loaded = load(tmp_path, environ={}, environment="kubernetes", use_cache=False)
    assert "password" in loaded.settings.app.env["DATABASE_URL"]
    assert sensitive_values(loaded) == []


def test_without_a_secret_the_room_of_the_secrets_is_not_entered(tmp_path: Path) -> None:
    """Start-up time: what nobody needs is not imported."""
    (tmp_path / "oatie.toml").write_text(RUN + 'env = { A = "${OUT:-x}", COLOUR = "green" }\n')
    program = (
        "import json, sys; from pathlib import Path\n"
        "from oatie_ops.cli.filling import filled; from oatie_ops.config.load import load\n"
        f"filled(load(Path({str(tmp_path)!r}), environ={{'OUT': 'o'}}, environment='local'))\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('oatie_ops.secrets')]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
