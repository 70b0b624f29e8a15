"""Secrets for a child process: over a file descriptor, or in a 0600 file that is removed. Never in argv,
which every user of the machine can read; in its environment, which its children inherit, only when asked.

The descriptor and the file hold one JSON object of names and values; `received` reads either.
"""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from oatie_ops.secrets.errors import ReferenceInvalid
from oatie_ops.secrets.value import Secret

DESCRIPTOR_VARIABLE = "OATIE_SECRETS_FD"
FILE_VARIABLE = "OATIE_SECRETS_FILE"

# Variables by which a value would change what the child executes.
_DANGEROUS = re.compile(
    r"(LD|DYLD)_.*|PATH|IFS|ENV|BASH_ENV|BASH_FUNC_.*|SHELLOPTS|PROMPT_COMMAND|PYTHON(PATH|HOME|STARTUP|INSPECT)"
    r"|PERL5(OPT|LIB|DB)|RUBY(OPT|LIB)|NODE_OPTIONS|NODE_PATH|JAVA_TOOL_OPTIONS|GIT_(SSH|SSH_COMMAND|EXEC_PATH)"
)


def checked_variable(name: str) -> str:
    """A name under which a child may get a secret. Raises `ReferenceInvalid`."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and not _DANGEROUS.fullmatch(name):
        return name
    raise ReferenceInvalid(
        f"a secret cannot be given to a child as the variable {name!r}",
        why="it is no name of a variable, or it changes what programs execute",
        fix="choose another name",
    )


def open_descriptor(values: Mapping[str, Secret]) -> int:
    """A descriptor from which one child reads the values once; pass it with `pass_fds`, then close it.

    The child finds its number in $OATIE_SECRETS_FD, which the caller sets. On Linux it is anonymous
    memory, elsewhere a pipe; nothing touches a disk.
    """
    content = _encoded(values)
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("oatie-secrets", os.MFD_CLOEXEC)
        _write_all(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor
    reading, writing = os.pipe()
    threading.Thread(target=_write_and_close, args=(writing, content), daemon=True).start()
    return reading


def _write_and_close(descriptor: int, content: bytes) -> None:
    try:
        _write_all(descriptor, content)
    except BrokenPipeError:
        return  # the child did not want them all
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


@contextmanager
def as_file(values: Mapping[str, Secret], directory: Path | None = None) -> Iterator[Path]:
    """A file of mode 0600 that exists as long as the block; in memory where there is /dev/shm."""
    memory = Path("/dev/shm")
    place = directory or (memory if os.access(memory, os.W_OK) else None)
    descriptor, name = tempfile.mkstemp(prefix="oatie-secrets-", dir=place)
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_encoded(values))
        yield path
    finally:
        path.unlink(missing_ok=True)


def received(environ: Mapping[str, str] | None = None) -> dict[str, Secret]:
    """In the child: what the parent handed over, or nothing. Closes the descriptor, removes the file."""
    environ = os.environ if environ is None else environ
    if number := environ.get(DESCRIPTOR_VARIABLE):
        with os.fdopen(int(number), "rb") as file:
            return _decoded(file.read())
    if name := environ.get(FILE_VARIABLE):
        path = Path(name)
        content = path.read_bytes()
        path.unlink(missing_ok=True)
        return _decoded(content)
    return {}


def _encoded(values: Mapping[str, Secret]) -> bytes:
    document = {
        name: {"base64": base64.b64encode(secret.reveal_bytes()).decode()}
        if secret.is_binary
        else secret.reveal()
        for name, secret in values.items()
    }
    return json.dumps(document).encode()


def _decoded(content: bytes) -> dict[str, Secret]:
    document = json.loads(content)
    return {
        name: Secret(base64.b64decode(value["base64"]) if isinstance(value, dict) else value)
        for name, value in document.items()
    }
