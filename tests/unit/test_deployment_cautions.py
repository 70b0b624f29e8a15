"""What a plan warns of: secrets that would be copied, checks that could not measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from oatie_ops.config.settings import AppSettings, ServiceSettings, Settings
from oatie_ops.deployment import cautions as module
from oatie_ops.deployment.cautions import cautions
from oatie_ops.deployment.survey import Entry, survey


def entries(root: Path) -> tuple[Entry, ...]:
    return survey(root, state_home=root / ".oatie").entries


def made(root: Path, path: str) -> Settings:
    return Settings(root=root, file=None, app=AppSettings(run="main:app"), secrets={"path": path})


@pytest.mark.parametrize("declared", ["secrets", "./secrets/", "secrets/../secrets"])
def test_secrets_that_would_be_copied_are_told(declared: str, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "KEY").write_text("x")
    [told] = cautions(made(tmp_path, declared), entries(tmp_path))
    assert "secrets, which holds secrets" in told
    assert ".gitignore" in told


def test_secrets_elsewhere_or_left_out_are_no_caution(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    app = tmp_path / "app"
    for directory in (outside, app / "secrets"):
        directory.mkdir(parents=True)
        (directory / "KEY").write_text("x")
    assert list(cautions(made(app, str(outside)), entries(app))) == []
    assert list(cautions(made(app, "secrets"), ())) == []  # what .gitignore names is no entry


def test_a_driver_that_is_not_installed_is_told_with_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = {
        "database": ServiceSettings(name="database", check={"type": "postgres"}),
        "site": ServiceSettings(name="site", check={"type": "http"}),
    }
    settings = Settings(root=tmp_path, file=None, app=AppSettings(run="main:app"), services=services)
    monkeypatch.setattr(module, "_DRIVERS", {"postgres": ("no_such_driver", "postgres")})
    [told] = cautions(settings, ())
    assert "database" in told
    assert "oatie-ops[postgres]" in told
    monkeypatch.setattr(module, "_DRIVERS", {"postgres": ("json", "postgres")})
    assert list(cautions(settings, ())) == []
