"""The default reader, on real files of every kind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from oatie_ops.environment.detector import read_text
from oatie_ops.environment.facts import MAX_TEXT_CHARACTERS


def test_a_file_gives_its_text(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("grüße\n")

    assert read_text(str(file)) == "grüße\n"


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"a\xff\x00b")

    assert read_text(str(file)) == "a\ufffd\x00b"


@pytest.mark.parametrize("name", ["missing", "file/below", "missing/below"])
def test_what_is_absent_gives_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")

    assert read_text(str(tmp_path / name)) is None


def test_a_directory_an_empty_file_a_pipe_and_a_socket_exist_without_text(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))

        for name in ("", "empty", "pipe", "socket"):
            assert read_text(str(tmp_path / name)) == "", name


def test_a_loop_of_links_is_absent(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    assert read_text(str(tmp_path / "loop")) is None


def test_a_path_with_a_nul_byte_is_no_file() -> None:
    with pytest.raises(ValueError, match="null byte"):
        read_text("/proc\0/self")


def test_a_huge_file_is_read_only_so_far(tmp_path: Path) -> None:
    file = tmp_path / "huge"
    with file.open("wb") as out:
        out.truncate(10 * 1024**3)

    assert len(read_text(str(file)) or "") == MAX_TEXT_CHARACTERS


AS_NOBODY = """
import os, sys
sys.path.insert(0, sys.argv[2])
from oatie_ops.environment.detector import read_text
os.setuid(65534)
try:
    read_text(sys.argv[1])
except PermissionError:
    print("denied")
"""


def test_a_file_that_may_not_be_read_raises_permission_error() -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        file = Path(directory) / "secret"
        file.write_text("x")
        file.chmod(0)
        if os.geteuid() != 0:
            with pytest.raises(PermissionError):
                read_text(str(file))
            return
        # Root may read everything, so the question is asked by somebody else.
        command = [sys.executable, "-c", AS_NOBODY, str(file), str(Path(__file__).parents[2])]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.stdout.strip() == "denied", run.stderr
