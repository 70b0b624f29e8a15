"""Secrets for a child process: real children, which must get them, and nobody else."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from oatie_ops.secrets import Secret
from oatie_ops.secrets.errors import ReferenceInvalid
from oatie_ops.secrets.handover import (
    DESCRIPTOR_VARIABLE,
    FILE_VARIABLE,
    as_file,
    checked_variable,
    open_descriptor,
    received,
)

VALUES = {"DB": Secret("canary-handover-text"), "KEY": Secret(b"\xff\x00canary-handover-binary")}

CHILD = """
import os, pathlib
from oatie_ops.secrets.handover import received
proc = pathlib.Path("/proc/self")
found = received()
assert found["DB"].reveal() == "canary-handover-text", found
assert found["KEY"].reveal_bytes() == b"\\xff\\x00canary-handover-binary"
for name in ("cmdline", "environ"):
    if (proc / name).exists():
        assert b"canary" not in (proc / name).read_bytes(), name
print("received")
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "child.py"
    file.write_text(CHILD)
    return file


def run_child(script: Path, environ: dict[str, str], descriptors: Sequence[int] = ()) -> str:
    root = str(Path(__file__).parents[2])
    run = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": root, **environ},
        pass_fds=descriptors,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_a_child_reads_them_from_a_descriptor(script: Path) -> None:
    descriptor = open_descriptor(VALUES)
    try:
        assert run_child(script, {DESCRIPTOR_VARIABLE: str(descriptor)}, [descriptor]) == "received"
    finally:
        os.close(descriptor)


def test_a_pipe_serves_where_there_is_no_anonymous_memory(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    large = {**VALUES, "LARGE": Secret("x" * 300_000)}
    descriptor = open_descriptor(large)
    try:
        assert run_child(script, {DESCRIPTOR_VARIABLE: str(descriptor)}, [descriptor]) == "received"
    finally:
        os.close(descriptor)


def test_a_file_is_private_and_gone_afterwards(script: Path, tmp_path: Path) -> None:
    directory = tmp_path / "files"
    directory.mkdir()
    with as_file(VALUES, directory) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert run_child(script, {FILE_VARIABLE: str(path)}) == "received"
        assert not path.exists()
    assert list(directory.iterdir()) == []


def test_a_file_is_gone_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), as_file(VALUES, tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_variables_are_given_only_under_harmless_names() -> None:
    assert checked_variable("DB") == "DB"
    for name in ("LD_PRELOAD", "PATH", "PYTHONSTARTUP", "NODE_OPTIONS", "BASH_ENV", "1A", "A-B", "A=B", ""):
        with pytest.raises(ReferenceInvalid):
            checked_variable(name)


def test_a_child_that_was_given_nothing_receives_nothing() -> None:
    assert received({}) == {}
