"""The state database: opening, migrating, and what an operator is told when it is unusable."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from oatie_ops.exit_codes import ExitCode
from oatie_ops.store import Store, StoreBusy, StoreCorrupt, StoreError, StoreFull, StoreTooNew
from oatie_ops.store.migrations import SCHEMA_VERSION


def assert_explained(error: StoreError, path: Path) -> None:
    assert str(path) in error.what
    assert error.why
    assert error.fix


def test_a_new_database_and_its_sidecars_are_readable_by_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with Store.open(path) as store:
        store.events.add("test", "app", "written")
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


def test_text_that_is_no_utf_8_is_kept_as_it_would_be_printed(tmp_path: Path) -> None:
    with Store.open(tmp_path / "state.db") as store:
        store.events.add("test", "app", "no file \udce9", {"name": "\udce9"})
        assert [event.message for event in store.events.recent(1)] == ["no file \\udce9"]


def test_a_database_that_others_could_read_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.touch(mode=0o644)
    path.chmod(0o644)
    Store.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_uses_write_ahead_logging_and_carries_the_schema_version(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    Store.open(path).close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    connection.close()


def test_opening_again_keeps_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with Store.open(path) as store:
        store.audit.add("ana", "cli", "deploy", "app", "ok")
    with Store.open(path) as store:
        assert [entry.actor for entry in store.audit.recent()] == ["ana"]


def test_a_half_done_migration_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.db"
    broken = (("CREATE TABLE one (x)", "CREATE TABLE two (nonsense"),)
    with monkeypatch.context() as patched:
        patched.setattr("oatie_ops.store.database.MIGRATIONS", broken)
        with pytest.raises(StoreError):
            Store.open(path)
    with Store.open(path) as store:
        assert store.releases.list() == []


def test_a_newer_schema_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew) as caught:
        Store.open(path)
    assert_explained(caught.value, path)
    assert caught.value.exit_code is ExitCode.PREREQUISITE_MISSING
    assert f"version {SCHEMA_VERSION + 1}" in caught.value.why
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_reported_as_damaged_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"this is not a database, it is a diary\n" * 200)
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt) as caught:
        Store.open(path)
    assert_explained(caught.value, path)
    assert path.read_bytes() == before


def test_a_damaged_page_is_reported_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with Store.open(path) as store:
        for number in range(1000):
            store.events.add("test", "app", f"event {number} " + "x" * 200)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size - size // 2))
    with Store.open(path) as store, pytest.raises(StoreCorrupt) as caught:
        store.events.recent(2000)
    assert_explained(caught.value, path)


def test_a_writer_that_never_lets_go_is_reported_after_the_busy_timeout(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with Store.open(path, busy_timeout_seconds=0.05) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy) as caught:
            store.events.add("test", "app", "blocked")
        assert_explained(caught.value, path)
        assert caught.value.exit_code is ExitCode.LOCKED
        other.execute("ROLLBACK")
        store.events.add("test", "app", "free again")
        other.close()
        assert [event.message for event in store.events.recent()] == ["free again"]


def test_a_database_that_another_process_is_just_creating_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite answers "locked" at once here, instead of waiting for its busy time-out."""
    path = tmp_path / "state.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TABLE early (x)")
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("oatie_ops.store.database.time.sleep", lambda seconds: other.execute("COMMIT"))
    with Store.open(path) as store:
        assert store.releases.list() == []
    other.close()


def test_a_full_database_is_reported_and_keeps_what_it_had(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with Store.open(path) as store:
        store.events.add("test", "app", "before")
        connection = store._database._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreFull) as caught:
            store.events.add("test", "app", "x" * 100_000)
        assert_explained(caught.value, path)
        assert [event.message for event in store.events.recent()] == ["before"]
        connection.execute("PRAGMA max_page_count = 100000")
        store.events.add("test", "app", "after")


def test_a_place_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "state.db"
    with pytest.raises(StoreError) as caught:
        Store.open(path)
    assert_explained(caught.value, path)


def test_opening_it_again_does_not_drop_the_locks_of_who_has_it_open(tmp_path: Path) -> None:
    """Otherwise the next process to close it takes itself for the last one and removes the log in use."""
    path = tmp_path / "state.db"
    leave = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM events')"
    with Store.open(path) as store:
        store.events.add("test", "app", "before")
        Store.open(path).close()
        subprocess.run([sys.executable, "-c", leave, path], check=True)
        assert path.with_name("state.db-wal").exists()


def test_an_interrupted_transaction_is_rolled_back(tmp_path: Path) -> None:
    with Store.open(tmp_path / "state.db") as store:
        with pytest.raises(KeyboardInterrupt), store._database.transaction() as connection:
            connection.execute("INSERT INTO facts VALUES ('serving', '1')")
            raise KeyboardInterrupt
        assert store.releases.serving() is None


def test_a_store_refuses_to_be_used_from_another_thread(tmp_path: Path) -> None:
    caught: list[Exception] = []

    def misuse(store: Store) -> None:
        try:
            store.releases.list()
        except sqlite3.ProgrammingError as error:
            caught.append(error)

    with Store.open(tmp_path / "state.db") as store:
        thread = threading.Thread(target=misuse, args=(store,))
        thread.start()
        thread.join()
    assert len(caught) == 1
