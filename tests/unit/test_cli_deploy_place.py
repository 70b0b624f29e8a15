"""A deploy says which project it deploys where that is not the directory it was called in."""

from __future__ import annotations

from pathlib import Path

import pytest

from oatie_ops.cli.context import Context
from oatie_ops.cli.deploy import tell_what_was_found
from oatie_ops.deployment.events import Event, Events, Notice


def test_a_project_above_is_named_and_the_directorys_own_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "oatie.toml").write_text('[app]\ncommand = ["node", "server.js"]\n')
    below = tmp_path / "hello"
    below.mkdir()

    def told(directory: Path) -> list[str]:
        monkeypatch.chdir(directory)
        said: list[Event] = []
        tell_what_was_found(Context().loaded, Events([said.append]))
        notes = [each.message for each in said if isinstance(each, Notice)]
        return [note for note in notes if note.startswith("the project is ")]

    assert told(tmp_path) == []
    (note,) = told(below)
    assert str(tmp_path) in note
    assert "oatie init" in note
