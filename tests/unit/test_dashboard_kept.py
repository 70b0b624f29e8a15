"""What the dashboard does not do again: render what did not change, read what was not written."""

from __future__ import annotations

import os
from pathlib import Path

from oatie_ops.api.dashboard.changed import SETTLED_SECONDS, Changed
from oatie_ops.api.dashboard.kept import Kept
from oatie_ops.api.dashboard.templates import Html

LONG_AGO = 1_700_000_000


class Maker:
    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> Html:
        self.made += 1
        return Html(f"<b>{self.made}</b>")


def test_equal_values_make_no_new_html_and_others_do() -> None:
    kept, make = Kept(), Maker()
    assert kept.html("a", {"x": [1]}, make) == "<b>1</b>"
    assert kept.html("a", {"x": [1]}, make) == "<b>1</b>"
    assert kept.html("a", {"x": [2]}, make) == "<b>2</b>"
    assert kept.html("b", {"x": [2]}, make) == "<b>3</b>"
    assert kept.html("a", {"x": [1]}, make) == "<b>4</b>"


def written(path: Path, text: str, at: float) -> None:
    path.write_text(text)
    os.utime(path, (at, at))


def test_a_database_that_was_not_written_is_not_read_again(tmp_path: Path) -> None:
    database, log = tmp_path / "state.db", tmp_path / "state.db-wal"
    changed = Changed(database, clock=lambda: LONG_AGO + 100)
    assert changed.since_last()  # it is not there yet; who reads finds that out
    written(database, "a", LONG_AGO)
    assert changed.since_last()
    assert not changed.since_last()
    written(log, "commit", LONG_AGO + 1)
    assert changed.since_last()
    assert not changed.since_last()
    changed.forget()
    assert changed.since_last()
    log.unlink()
    assert changed.since_last()


def test_what_was_written_a_moment_ago_may_be_written_again_within_one_tick(tmp_path: Path) -> None:
    database = tmp_path / "state.db"
    written(database, "a", LONG_AGO)
    now = [LONG_AGO + SETTLED_SECONDS / 2]
    changed = Changed(database, clock=lambda: now[0])
    assert changed.since_last()
    assert changed.since_last()
    now[0] = LONG_AGO + SETTLED_SECONDS * 2
    assert changed.since_last()
    assert not changed.since_last()
