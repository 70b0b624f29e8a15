"""The stores without a network: the environment and files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oatie_ops.errors import OatieError
from oatie_ops.secrets.backend import Backend, Deadline
from oatie_ops.secrets.env import EnvBackend
from oatie_ops.secrets.errors import ReferenceInvalid, SecretMalformed, SecretMissing
from oatie_ops.secrets.file import MAX_BYTES, FileBackend
from oatie_ops.secrets.reference import Reference


def fetch(backend: Backend, name: str) -> bytes:
    return backend.fetch(Reference(backend.name, name), Deadline(5)).value.reveal_bytes()


def test_a_variable_is_given_as_it_is() -> None:
    assert fetch(EnvBackend({"DB_PASSWORD": " x\n"}), "DB_PASSWORD") == b" x\n"


def test_a_missing_variable_is_explained_with_the_nearest_name() -> None:
    with pytest.raises(SecretMissing) as caught:
        fetch(EnvBackend({"DB_PASSWORD": "canary-value"}), "DB_PASWORD")
    assert "did you mean `DB_PASSWORD`?" in caught.value.why
    assert "canary" not in str(caught.value.as_dict())


@pytest.mark.parametrize(
    ("stored", "value"),
    [
        (b"x", b"x"),
        (b"x\n", b"x"),
        (b"x\r\n", b"x"),
        (b"x\n\n", b"x\n"),
        (b" x ", b" x "),
        (b"\xff\0", b"\xff\0"),
        (b"", b""),
    ],
)
def test_a_file_is_given_without_the_newline_that_editors_add(
    tmp_path: Path, stored: bytes, value: bytes
) -> None:
    (tmp_path / "db").write_bytes(stored)

    assert fetch(FileBackend(tmp_path), "db") == value
    assert fetch(FileBackend(), str(tmp_path / "db")) == value


def test_a_missing_file_and_a_directory_are_explained(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    for name in ("absent", "directory"):
        with pytest.raises(SecretMissing) as caught:
            fetch(FileBackend(tmp_path), name)
        assert str(tmp_path / name) in caught.value.what


@pytest.mark.parametrize("name", ["../outside", "a/../../outside"])
def test_a_name_cannot_lead_out_of_the_directory(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("x")
    inner = tmp_path / "inner"
    inner.mkdir()

    with pytest.raises(ReferenceInvalid, match="outside"):
        fetch(FileBackend(inner), name)


def test_kubernetes_links_within_the_directory_are_followed(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "db").write_text("x")
    (tmp_path / "db").symlink_to("..data/db")

    assert fetch(FileBackend(tmp_path), "db") == b"x"
    assert FileBackend(tmp_path).names(Deadline(1)) == ["db"]


def test_a_pipe_without_a_writer_and_a_huge_file_do_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_BYTES + 1)

    assert fetch(FileBackend(tmp_path), "pipe") == b""
    with pytest.raises(SecretMalformed, match="huge"):
        fetch(FileBackend(tmp_path), "huge")


def test_one_json_file_holds_many(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text('{"DB": "x", "OTHER": {"a": 1}}')
    backend = FileBackend(file)

    assert fetch(backend, "DB") == b"x"
    assert fetch(backend, "OTHER") == b'{"a": 1}'
    with pytest.raises(SecretMissing, match="ABSENT"):
        fetch(backend, "ABSENT")


def test_one_env_file_holds_many(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    file.write_text("# note\nDB='a $b'\nexport OTHER=x\n")

    assert fetch(FileBackend(file), "DB") == b"a $b"
    assert fetch(FileBackend(file), "OTHER") == b"x"


@pytest.mark.parametrize("content", ["canary-no-json", '["canary"]', "[" * 100_000])
def test_a_broken_file_is_explained_without_its_content(tmp_path: Path, content: str) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(content)

    with pytest.raises(OatieError) as caught:
        fetch(FileBackend(file), "DB")
    assert isinstance(caught.value, SecretMalformed)
    assert "canary" not in str(caught.value.as_dict())
