"""Secrets in files: a directory with one file each (Docker, Kubernetes, systemd), or one JSON or .env file.

A file of its own is kept exactly, but for one newline at its end, which editors and `echo` add and the
shell's `$(cat file)` removes too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oatie_ops.secrets.backend import READING, Backend, Deadline, Fetched
from oatie_ops.secrets.errors import (
    ReferenceInvalid,
    SecretDenied,
    SecretError,
    SecretMalformed,
    SecretMissing,
    SecretsUnreachable,
)
from oatie_ops.secrets.reference import Reference
from oatie_ops.secrets.value import Secret

DEFAULT_DIRECTORY = Path("/run/secrets")
MAX_BYTES = 1024 * 1024


class FileBackend(Backend):
    """``path`` is the directory or file that plain names are looked up in; `file:/path` names any file."""

    name = "file"
    title = "files"

    def __init__(self, path: Path | None = None) -> None:
        self._path = DEFAULT_DIRECTORY if path is None else path

    def where(self) -> str:
        return str(self._path)

    def fetch(self, reference: Reference, deadline: Deadline) -> Fetched:
        deadline.phase = READING
        name = reference.name
        if Path(name).is_absolute():
            return self._whole(Path(name), name)
        if self._path.is_dir():
            return self._whole(self._member(name), name)
        return self._entry(name, deadline)

    def names(self, deadline: Deadline) -> list[str]:
        if self._path.is_dir():
            return [entry.name for entry in self._path.iterdir() if not entry.name.startswith(".")]
        return list(self._entries(self._read(self._path, ""))) if self._path.exists() else []

    def _member(self, name: str) -> Path:
        if ".." in Path(name).parts:
            raise ReferenceInvalid(
                f"{name!r} is no name of a secret file",
                why=f"it would lead out of {self._path}",
                fix="name a file in the directory, or give an absolute path as file:/path",
            )
        return self._path / name

    def _whole(self, path: Path, name: str) -> Fetched:
        content = self._read(path, name)
        if content.endswith(b"\n"):
            content = content[:-2] if content.endswith(b"\r\n") else content[:-1]
        return Fetched(Secret(content), updated_at=path.stat().st_mtime)

    def _entry(self, name: str, deadline: Deadline) -> Fetched:
        entries = self._entries(self._read(self._path, name))
        if name not in entries:
            raise SecretMissing(
                f"`{name}` is not in {self._path}",
                backend=self.name,
                name=name,
                why=f"the file has {len(entries)} other names{self.similar(name, deadline)}",
                fix="add it to the file, or correct the name",
            )
        return Fetched(Secret(entries[name]), updated_at=self._path.stat().st_mtime)

    def _entries(self, content: bytes) -> Mapping[str, str]:
        try:
            if self._path.suffix == ".json":
                document: Any = json.loads(content)
                if not isinstance(document, dict):
                    raise ValueError
                return {k: v if isinstance(v, str) else json.dumps(v) for k, v in document.items()}
            from oatie_ops.config.envfile import parse

            return parse(self._path, content, {}).values
        except (ValueError, RecursionError):
            kind = "a JSON object" if self._path.suffix == ".json" else "UTF-8 lines of NAME=value"
            raise SecretMalformed(
                f"{self._path} cannot be read as {kind}",
                backend=self.name,
                why="its content is of another form",
                fix=f"make it {kind}, or point `path` in [secrets] at a directory with one file each",
            ) from None

    def _read(self, path: Path, name: str) -> bytes:
        try:
            # Not waiting for the other end of a pipe.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise self._explained(error, path, name) from None
        if content is None or len(content) > MAX_BYTES:
            raise SecretMalformed(
                f"{path} is no file of a secret",
                backend=self.name,
                name=name,
                why=f"it is larger than {MAX_BYTES} bytes" if content else "it is a pipe without a writer",
                fix="correct the path",
            )
        return content

    def _explained(self, error: OSError, path: Path, name: str) -> SecretError:
        reason = error.strerror or type(error).__name__
        facts = {"backend": self.name, "name": name, "why": reason, "identity": f"user id {os.geteuid()}"}
        if isinstance(error, PermissionError):
            return SecretDenied(
                f"{path} may not be read", fix="give the user that runs oatie read access to it", **facts
            )
        if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            return SecretMissing(
                f"there is no secret file {path}", fix="mount or write it, or correct the name", **facts
            )
        return SecretsUnreachable(f"{path} cannot be read", fix="check the file system it is on", **facts)
