"""Two projects with one OATIE_HOME: the second is refused before it acts on the first one's workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from oatie_ops.claim import claim, require_ours
from oatie_ops.cli.context import Context
from oatie_ops.errors import PrerequisiteMissing
from oatie_ops.paths import StatePaths


def checkout(place: Path, name: str = "", file: str = "oatie.toml") -> Path:
    place.mkdir(parents=True)
    table = "app" if file == "oatie.toml" else "tool.oatie.app"
    (place / file).write_text(f'[{table}]\nname = "{name}"\n' if name else "")
    return place


@pytest.fixture
def home(tmp_path: Path) -> StatePaths:
    paths = StatePaths(tmp_path / "home")
    paths.ensure()
    return paths


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        (("a/app", "shop"), ("b/app", "mail"), True),
        (("a/app", "shop"), ("b/app", "shop"), False),  # a pipeline's next checkout
        (("a/app", ""), ("b/app", ""), False),
        (("a/shop", ""), ("a/mail", ""), True),
        (("a/shop", ""), ("b/next", "shop"), False),
    ],
)
def test_another_application_is_refused_another_checkout_is_not(
    tmp_path: Path, home: StatePaths, first: tuple[str, str], second: tuple[str, str], refused: bool
) -> None:
    claim(home, checkout(tmp_path / first[0], first[1]))
    ours = checkout(tmp_path / second[0], second[1], "pyproject.toml")
    if not refused:
        require_ours(home, ours)
        return
    with pytest.raises(PrerequisiteMissing, match="another application") as caught:
        require_ours(home, ours)
    assert str(tmp_path / first[0]) in caught.value.why


def test_a_home_whose_checkout_is_gone_or_that_nobody_claimed_is_free(
    tmp_path: Path, home: StatePaths
) -> None:
    require_ours(home, checkout(tmp_path / "mail", "mail"))
    claim(home, tmp_path / "gone")
    require_ours(home, tmp_path / "mail")


def test_every_command_asks(tmp_path: Path, home: StatePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OATIE_HOME", str(home.home))
    claim(home, checkout(tmp_path / "shop", "shop"))
    assert Context(tmp_path / "shop").paths == home
    with pytest.raises(PrerequisiteMissing):
        _ = Context(checkout(tmp_path / "mail", "mail")).paths
    monkeypatch.delenv("OATIE_HOME")
    assert Context(tmp_path / "mail").paths.home == tmp_path / "mail" / ".oatie"
