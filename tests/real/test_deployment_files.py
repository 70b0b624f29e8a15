"""A file system that is really full, and a copy that is really killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oatie_ops.deployment.commands import run_command
from oatie_ops.deployment.lock import DeployLock
from oatie_ops.deployment.prune import remove_leftovers
from oatie_ops.deployment.releases import DiskFull, snapshot
from oatie_ops.deployment.survey import survey
from oatie_ops.errors import PrerequisiteMissing
from oatie_ops.paths import StatePaths
from oatie_ops.store import Store, StoreFull
from tests.real.waiting import PATIENCE_SECONDS, need_program, wait_for


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only on Linux: needs a tmpfs")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"only on machines where the tests may mount a file system: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> None:
    with (place / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def test_a_snapshot_that_does_not_fit_leaves_nothing_and_says_so(small_disk: Path, tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "small.txt").write_text("fits")
    (root / "zlarge.bin").write_bytes(b"x" * 2_000_000)
    found = survey(root, state_home=small_disk)
    with pytest.raises(DiskFull) as caught:
        snapshot(found, small_disk / "1")
    assert str(small_disk) in caught.value.what
    assert caught.value.why and caught.value.fix
    assert list(small_disk.iterdir()) == []
    (root / "zlarge.bin").unlink()
    assert (snapshot(survey(root, state_home=small_disk), small_disk / "1") / "small.txt").exists()


def test_a_store_on_a_full_disk_says_so_and_keeps_what_it_had(small_disk: Path) -> None:
    path = small_disk / "state.db"
    with Store.open(path) as store:
        run_id = store.journal.begin("deploy", actor="ana", release=1, previous=None, steps=["a", "b"])
        fill(small_disk)
        with pytest.raises(StoreFull) as caught:
            for _ in range(1000):
                store.events.add("test", "app", "x" * 4000)
        assert caught.value.why and caught.value.fix
        kept = len(store.events.recent(10_000))
        assert [run.id for run in store.journal.unfinished()] == [run_id]
    (small_disk / "ballast").unlink()
    with Store.open(path) as store:
        store.journal.finish(run_id, "failed")
        assert store.journal.unfinished() == []
        assert len(store.events.recent(10_000)) == kept


def test_a_new_store_on_a_full_disk_says_so(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(StoreFull) as caught:
        Store.open(small_disk / "state.db")
    assert caught.value.fix


def test_the_lock_on_a_full_disk_says_so_and_is_not_held(small_disk: Path) -> None:
    fill(small_disk)
    lock = DeployLock(small_disk / "deploy.lock")
    with pytest.raises(PrerequisiteMissing) as caught:
        lock.acquire("deploy", actor="ana")
    assert "No space left" in caught.value.why
    assert not lock.held and lock.holder() is None


def test_a_command_whose_log_does_not_fit_is_ended_and_says_so(small_disk: Path) -> None:
    with pytest.raises(DiskFull):
        run_command(
            "yes a rather long line that fills the disk soon",
            role="build command",
            cwd=small_disk,
            environment=os.environ,
            log=small_disk / "build.log",
            on_line=lambda line: None,
            timeout_seconds=60,
            timeout_key="",
        )


COPIER = """
import sys
from pathlib import Path
from oatie_ops.deployment.releases import snapshot
from oatie_ops.deployment.survey import survey
root, releases = Path(sys.argv[1]), Path(sys.argv[2])
found = survey(root, state_home=root / ".oatie")
print("copying", flush=True)
number = 1
while True:
    snapshot(found, releases / str(number))
    number += 1
"""


def test_a_copy_that_is_killed_is_whole_or_not_there(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path / "checkout" / ".oatie")
    paths.ensure()
    for number in range(200):
        (tmp_path / "checkout" / f"file{number}.txt").write_text("x" * 1000)
    for _ in range(3):
        copier = subprocess.Popen(
            [sys.executable, "-c", COPIER, str(tmp_path / "checkout"), str(paths.releases)],
            stdout=subprocess.PIPE,
        )
        assert copier.stdout is not None
        copier.stdout.readline()
        wait_for(lambda: any(place.name == "2" for place in paths.releases.iterdir()), "a first copy")
        copier.send_signal(signal.SIGKILL)
        copier.communicate(timeout=PATIENCE_SECONDS)
        remove_leftovers(paths)
        for release in paths.releases.iterdir():
            assert release.name.isdecimal()
            assert len(list((release / "app").iterdir())) == 200
            shutil.rmtree(release)


CLEARER = """
import sys
from pathlib import Path
from oatie_ops.deployment.databases import data_of_releases
from oatie_ops.deployment.releases import remove_tree
releases = Path(sys.argv[1])
print(data_of_releases(releases))
remove_tree(releases / "1")
"""


def test_directories_that_a_build_left_without_permission_are_passed_over_and_removed(tmp_path: Path) -> None:
    """As anybody but root: they made every later deploy stop at them."""
    inner = tmp_path / "1" / "app" / "locked" / "in"
    (inner / "side").mkdir(parents=True)
    (inner / "data.db").touch()
    inner.chmod(0)
    inner.parent.chmod(0o500)
    command = [sys.executable, "-c", CLEARER, str(tmp_path)]
    if os.getuid() == 0:
        command = [need_program("setpriv"), "--bounding-set=-dac_override,-dac_read_search", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{}\n", "")
    assert list(tmp_path.iterdir()) == []
