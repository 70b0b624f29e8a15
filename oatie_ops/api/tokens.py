"""Bearer tokens: read from a private file at each use, compared in constant time, kept only as hashes.

A line is ``sha256:<64 hex digits>`` (what the file should hold) or the token itself; ``#`` starts a
comment. Tokens must be random: an unsalted hash protects nothing that can be guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import stat
from pathlib import Path

from oatie_ops.errors import PrerequisiteMissing

MIN_TOKEN_CHARACTERS = 16
MAX_FILE_BYTES = 64 * 1024
_HASHED = re.compile(r"sha256:([0-9a-f]{64})")


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def read_hashes(path: Path) -> tuple[str, ...]:
    """The hashes of all tokens in the file; none where there is no file.

    Errors go to callers that have proved nothing yet, so they name the file without its directory.

    Raises `PrerequisiteMissing` where others may read or write the file, or a token is too short to be safe.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            lines = file.read(MAX_FILE_BYTES).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise PrerequisiteMissing(
            f"the token file {path.name} cannot be read",
            why=error.strerror or type(error).__name__,
            fix="make it readable for the user that runs oatie, and for nobody else",
        ) from error
    if mode & 0o077:
        raise PrerequisiteMissing(
            f"the token file {path.name} is open to other users",
            why=f"its mode is {mode:04o}",
            fix=f"chmod 600 {path.name}, where it lies",
        )
    return tuple(_hash_of(line, path) for line in map(str.strip, lines) if line and line[0] != "#")


def match(token: str, hashes: tuple[str, ...]) -> str | None:
    """The hash that ``token`` has, if it is one of ``hashes``. Takes as long whichever it is."""
    given = token_hash(token)
    found = None
    for known in hashes:
        if hmac.compare_digest(given, known):
            found = known
    return found


def _hash_of(line: str, path: Path) -> str:
    hashed = _HASHED.fullmatch(line)
    if hashed:
        return hashed[1]
    if len(line) < MIN_TOKEN_CHARACTERS:
        raise PrerequisiteMissing(
            f"a token in {path.name} is too short to be safe",
            why=f"it has less than {MIN_TOKEN_CHARACTERS} characters",
            fix="make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return token_hash(line)
