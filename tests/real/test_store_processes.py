"""The state database with real processes: many at once, and killed in the middle of a write."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from oatie_ops.store import Store
from tests.real.waiting import PATIENCE_SECONDS

# Writes until it is killed; says each number once it is on the disk.
JOURNALIST = """
import sys
from pathlib import Path
import pytest

from oatie_ops.store import Store
with Store.open(Path(sys.argv[1])) as store:
    run = store.journal.begin("deploy", actor="ana", release=1, previous=None, steps=["a"] * 100_000)
    for index in range(100_000):
        store.journal.step(run, index, "started")
        print(index, flush=True)
"""

# Many databases, since the moment in which two processes create the same one is short.
OPENER = """
import sys
from pathlib import Path
import pytest

from oatie_ops.store import Store
sys.stdin.readline()
for index in range(40):
    with Store.open(Path(sys.argv[1]) / f"{index}.db", busy_timeout_seconds=30) as store:
        print(index, store.releases.create(actor=sys.argv[2], source={}).number)
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_what_was_written_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    for round_number in range(1, 6):
        process = start(JOURNALIST, str(path))
        assert process.stdout is not None
        for _ in range(round_number * 7):
            process.stdout.readline()
        process.kill()
        rest, _ = process.communicate(timeout=PATIENCE_SECONDS)
        said = round_number * 7 + len(rest.split("\n")[:-1])
        with Store.open(path) as store:
            runs = store.journal.unfinished()
            assert len(runs) == round_number
            assert not runs[-1].owner.alive()
            written = sum(step.state == "started" for step in runs[-1].steps)
            assert said <= written <= said + 1  # the kill may fall between the write and the word
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


def test_processes_that_create_a_database_together_all_succeed_and_share_no_number(tmp_path: Path) -> None:
    processes = [start(OPENER, str(tmp_path), f"p{index}") for index in range(5)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=PATIENCE_SECONDS) for process in processes]
    assert [process.returncode for process in processes] == [0] * 5, outputs
    given = sorted(tuple(map(int, line.split())) for output, _ in outputs for line in output.splitlines())
    assert given == [(index, number) for index in range(40) for number in range(1, 6)]
