"""`oatie detect` in this process: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oatie_ops.cli.exit import run

APP = "from fastapi import FastAPI\napp = FastAPI()\n"


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("OATIE_ENVIRONMENT", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "main.py").write_text(APP)
    return tmp_path


def test_json_has_a_schema_the_layers_the_evidence_and_the_applications(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DYNO", "web.1")

    assert run(["detect", "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == ""
    assert found["schema"] == "oatie.detect/v1"
    assert (found["provider"], found["platform"], found["confidence"]) == ("heroku", "heroku", "high")
    assert found["evidence"]["provider"][0] == {"signal": "paas.heroku", "weight": "proof", "read": "$DYNO"}
    assert found["identity"]["instance"] == "web.1"
    assert found["applications"][0]["run"] == "main:app"
    assert not {"signals", "probes"} & set(found)


def test_people_get_the_environment_why_a_table_and_the_applications(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DYNO", "web.1")

    assert run(["detect"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "environment  cloud"
    assert lines[1] == "  heroku on heroku is proven"
    row = next(line for line in lines if line.startswith("platform"))
    assert row.split() == ["platform", "heroku", "high", "$DYNO"]
    assert any("main:app" in line for line in lines)


def test_an_override_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detect", "--environment", "production"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "environment  production (overridden)"
    assert "--environment says production" in lines[1]


def test_a_name_that_cannot_be_one_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detect", "-e", "a b"]) == 2
    assert "is not a name" in capsys.readouterr().err


def test_a_wrong_variable_warns_on_stderr_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OATIE_ENVIRONMENT", "a b")

    assert run(["detect"]) == 0
    assert "$OATIE_ENVIRONMENT is ignored" in capsys.readouterr().err


def test_explain_lists_every_signal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detect", "--explain", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["signals"]) > 150
    assert "/.dockerenv" in found["files_read"]

    assert run(["detect", "--explain"]) == 0
    text = capsys.readouterr().out
    assert "signals that did not match" in text
    assert "paas.heroku: $DYNO" in text


def test_a_likely_typo_is_refused_as_a_deploy_refuses_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["detect", "-e", "prodcution"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "did you mean production?" in captured.err
    assert run(["config", "check", "-e", "prodcution"]) == 4
    assert "did you mean production?" in capsys.readouterr().out


def test_a_name_of_ones_own_is_detected_with_a_warning_and_deployed_by_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["detect", "-e", "zebra"]) == 0
    captured = capsys.readouterr()
    assert "zebra (overridden)" in captured.out
    assert "known here:" in captured.err
    assert run(["deploy", "--dry-run", "-e", "zebra"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "'zebra'" in captured.err
    assert "known here:" in captured.err


def test_the_variable_is_only_warned_about_since_people_detect_to_find_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OATIE_ENVIRONMENT", "prodcution")
    assert run(["detect"]) == 0
    assert "did you mean production?" in capsys.readouterr().err


def test_an_environment_of_the_file_is_no_typo(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "oatie.toml").write_text("[environments.prodcution]\napp.port = 5\n")
    assert run(["detect", "-e", "prodcution"]) == 0
    assert "prodcution (overridden)" in capsys.readouterr().out
