"""Bearer tokens: read from a private file at each use, compared in constant time, kept only as hashes.

A line of the file is ``sha256:<64 hex digits>`` or the token itself, and after it, each optional,
``name=ci scopes=read,operate created=2026-01-02T03:04:05Z expires=2026-02-02T03:04:05Z``; ``#`` starts a
comment. Tokens must be random: an unsalted hash protects nothing that can be guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

from oatie_ops.errors import PrerequisiteMissing

MIN_TOKEN_CHARACTERS = 16
MAX_TOKEN_CHARACTERS = 512
MAX_FILE_BYTES = 64 * 1024
SHORT_HASH = 8
SETTLED_NANOSECONDS = 2_000_000_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_HASHED = re.compile(r"sha256:([0-9a-f]{64})")


class Scope(IntEnum):
    """What somebody may do; each holds the ones before it."""

    NOTHING = 0
    READ = 1
    OPERATE = 2

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Token:
    """``digest``: SHA-256 in hex. ``name`` is empty where the file gives none. Times are epoch seconds."""

    digest: str
    name: str = ""
    scope: Scope = Scope.OPERATE
    created_at: float | None = None
    expires_at: float | None = None

    @property
    def label(self) -> str:
        """Names it without telling it."""
        return self.name or self.digest[:SHORT_HASH]

    def line(self) -> str:
        parts = [f"sha256:{self.digest}"]
        if self.name:
            parts.append(f"name={self.name}")
        parts.append(f"scopes={'read' if self.scope is Scope.READ else 'read,operate'}")
        for key, at in (("created", self.created_at), ("expires", self.expires_at)):
            if at is not None:
                parts.append(f"{key}={iso(at)}")
        return " ".join(parts)


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def read_tokens(path: Path) -> tuple[Token, ...]:
    """All tokens in the file; none where there is no file.

    Errors go to callers that have proved nothing yet, so they name the file without its directory.

    Raises `PrerequisiteMissing` where others may read or write the file, a line cannot be understood (it
    could be a token without its limits), or a token is too short to be safe.
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
    return parse(lines, path.name)


def parse(lines: Iterable[str], file_name: str) -> tuple[Token, ...]:
    """Raises `PrerequisiteMissing`, which never repeats a token."""
    found = ((number, line.strip()) for number, line in enumerate(lines, 1))
    return tuple(_parsed(line, number, file_name) for number, line in found if line and line[0] != "#")


def match(token: str, tokens: Iterable[Token], now: float) -> Token | None:
    """The one of ``tokens`` that this is, unless it has expired. Takes as long whichever it is."""
    given = token_hash(token)
    found = None
    for known in tokens:
        if hmac.compare_digest(given, known.digest):
            found = known
    if found is not None and found.expires_at is not None and found.expires_at <= now:
        return None
    return found


class TokenFile:
    """Reads the file again whenever it has changed; ``read`` may block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: tuple[tuple[int, ...], tuple[Token, ...]] = ((), ())

    def read(self) -> tuple[Token, ...]:
        """Raises `PrerequisiteMissing`, as `read_tokens`."""
        before = self._stamp()
        if before and self._read[0] == before:
            return self._read[1]
        tokens = read_tokens(self.path)
        # What was written a moment ago may be written again without a new time stamp.
        settled = bool(before) and time.time_ns() - before[0] > SETTLED_NANOSECONDS
        self._read = (before if settled and before == self._stamp() else (), tokens)
        return tokens

    def _stamp(self) -> tuple[int, ...]:
        try:
            info = self.path.stat()
        except OSError:
            return ()
        return (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino, info.st_mode)

    def why_unusable(self) -> str:
        """Why nobody can prove himself; empty where somebody can."""
        try:
            tokens = self.read()
        except PrerequisiteMissing as error:
            return error.what
        now = time.time()
        if any(token.expires_at is None or token.expires_at > now for token in tokens):
            return ""
        return "every token has expired" if tokens else "no token is set"


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parsed(line: str, number: int, file_name: str) -> Token:
    first, *rest = line.split()
    facts = dict(part.partition("=")[::2] for part in rest)
    try:
        return Token(
            _digest(first, file_name),
            _name(facts.pop("name", "")),
            _scope(facts.pop("scopes", "read,operate")),
            *_times(facts),
        )
    except ValueError as error:
        raise PrerequisiteMissing(
            f"line {number} of {file_name} cannot be understood",
            why=str(error),
            fix="let `oatie token create NAME` write it, or see `oatie token --help`",
        ) from None


def _digest(text: str, file_name: str) -> str:
    hashed = _HASHED.fullmatch(text)
    if hashed:
        return hashed[1]
    if len(text) < MIN_TOKEN_CHARACTERS:
        raise PrerequisiteMissing(
            f"a token in {file_name} is too short to be safe",
            why=f"it has less than {MIN_TOKEN_CHARACTERS} characters",
            fix="make one with `oatie token create NAME`",
        )
    return token_hash(text)


def _name(text: str) -> str:
    if text and not NAME.fullmatch(text):
        raise ValueError("its name may have letters, digits, `_`, `.`, `@` and `-`, at most 64")
    return text


def _scope(text: str) -> Scope:
    words = {word.strip() for word in text.split(",")}
    if not words <= {"read", "operate"} or not words:
        raise ValueError("its scopes may be `read` and `operate`")
    return Scope.OPERATE if "operate" in words else Scope.READ


def _times(facts: Mapping[str, str]) -> tuple[float | None, float | None]:
    left = set(facts) - {"created", "expires"}
    if left:
        raise ValueError("after the token come name=, scopes=, created= and expires= alone")
    return _time(facts.get("created")), _time(facts.get("expires"))


def _time(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("its times are written like 2026-01-02T03:04:05Z") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
