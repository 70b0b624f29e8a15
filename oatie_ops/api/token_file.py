"""The file of bearer tokens, changed as a whole: nobody reads half of it, two commands at once lose none."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from oatie_ops.api.tokens import NAME, Scope, Token, parse, read_tokens, token_hash
from oatie_ops.config.settings import Settings
from oatie_ops.errors import DISK_FULL, OatieError, PrerequisiteMissing, UsageError
from oatie_ops.paths import StatePaths

DEFAULT_NAME = "ops-tokens"
# Lets a scanner of repositories and logs recognise one that was lost.
PREFIX = "oatie_"
TOKEN_BYTES = 32


def token_path(settings: Settings, paths: StatePaths) -> Path:
    declared = settings.ops.token_file
    if declared is None:
        return paths.run / DEFAULT_NAME
    return settings.root / Path(declared).expanduser()


def create(path: Path, name: str, scope: Scope, now: float, expires_at: float | None = None) -> str:
    """Adds a new random token and returns it; it is written down nowhere. Raises `OatieError`."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a token",
            fix="use letters, digits, `_`, `.`, `@` and `-`, at most 64, such as `ci` or `grafana`",
        )
    text = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)

    def added(lines: list[str]) -> list[str]:
        known = parse(lines, path.name)
        if any(token.label == name for token in known):
            raise OatieError(
                f"there is a token {name} already",
                why="each name belongs to one token, so that the audit says who it was",
                fix=f"take another name, or `oatie token revoke {name}` first",
            )
        return [*lines, Token(token_hash(text), name, scope, now, expires_at).line()]

    _change(path, added)
    return text


def revoke(path: Path, name: str) -> Token:
    """Takes the token of this name (or first digits of its hash) out; it is refused from now on."""
    gone: list[Token] = []

    def without(lines: list[str]) -> list[str]:
        kept = []
        for line in lines:
            token = next(iter(parse([line], path.name)), None)
            if token is not None and token.label == name:
                gone.append(token)
            else:
                kept.append(line)
        return kept

    known = [token.label for token in read_tokens(path)]
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"there is no token {name!r}",
            fix=f"{hint}there are: {', '.join(known)}" if known else "`oatie token create NAME` makes one",
        )
    _change(path, without)
    return gone[0]


def _change(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    try:
        for directory in (path.parent.parent, path.parent):  # each private; `parents` alone would not be
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path.with_name(f".{path.name}.lock")):
            read_tokens(path)  # refuses a file that others can read
            lines = path.read_text().splitlines() if path.exists() else []
            _replace(path, "".join(f"{line}\n" for line in change(lines)))
    except OSError as error:
        raise PrerequisiteMissing(
            f"the token file {path} cannot be written",
            why=error.strerror or str(error),
            fix="free some disk space"
            if error.errno in DISK_FULL
            else "run this as the user that runs oatie, or set ops.token_file to a file of that user",
        ) from error


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
