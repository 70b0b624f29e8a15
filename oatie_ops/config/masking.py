"""What of a configuration may be shown: names always, values only where they cannot be a secret."""

from __future__ import annotations

import re
from functools import lru_cache

from oatie_ops.config.spans import KeyPath

MASK = "********"

_SENSITIVE_NAME = re.compile(
    r"passw|passphrase|secret|token|api_?key|private|credential|cookie|authorization"
    r"|(^|_)(auth|dsn|key|keys|pwd|salt|signature|pass|pin)($|_)",
    re.IGNORECASE,
)
# A name that ends so holds a place or a limit, not the secret itself.
_HARMLESS_END = re.compile(r"(^|_)(file|path|dir|name|ttl|timeout|enabled|header|backend)$", re.IGNORECASE)
_USER_INFO = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/?#@:\"']*):([^\s/?#@\"']*)@", re.IGNORECASE)
_TOKEN_SHAPES = re.compile(
    r"AKIA[0-9A-Z]{12,}|ASIA[0-9A-Z]{12,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_|glpat-[\w-]{16,}|xox[abprs]-"
    r"|sk_(live|test)_|rk_live_|sk-[A-Za-z0-9_-]{16,}|AIza[\w-]{30,}|ya29\.|eyJ[\w-]{10,}\.[\w-]{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|hooks\.slack\.com/services/|npm_[A-Za-z0-9]{20,}|SG\.[\w-]{16,}"
)

# A value of these kinds has one of a few forms, whatever its key is called (``cors_credentials``).
CLOSED_KINDS = frozenset({"choice", "boolean", "integer", "number", "duration", "size"})
_PLAIN_WORD = re.compile(r"/?([a-z]{1,12}|[A-Z]{1,12}|[A-Z][a-z]{1,11})([-_/][a-z]{1,12})?/?|\*", re.ASCII)
_ORIGIN = re.compile(r"(https?|wss?)://[a-z0-9-]{1,30}(\.[a-z0-9-]{1,30}){0,4}(:\d{1,5})?(/[a-z]{0,12}){0,2}")


def is_plain(text: str) -> bool:
    """A short word, a path of one or two, or the origin of a website: what a typo looks like and no secret.

    Only to be asked for keys that hold none; a passphrase of words, anything with digits is not plain.
    """
    return bool(_PLAIN_WORD.fullmatch(text) or _ORIGIN.fullmatch(text))


@lru_cache(maxsize=1024)  # of keys, of which there are few and many of each
def is_sensitive_name(name: str) -> bool:
    flat = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").replace(".", "_")
    return bool(_SENSITIVE_NAME.search(flat)) and not _HARMLESS_END.search(flat)


def holds_credentials(text: str) -> bool:
    """A URL with a password in it, or the shape of a well-known token."""
    match = _USER_INFO.search(text)
    return bool(match and match[2] and not match[2].startswith("${")) or bool(_TOKEN_SHAPES.search(text))


def mask_url(text: str) -> str:
    """The password of each URL in ``text`` masked; a template in its place stays readable."""

    def replace(match: re.Match[str]) -> str:
        return match[0] if match[2].startswith("${") else f"{match[1]}:{MASK}@"

    return _USER_INFO.sub(replace, text)


def is_sensitive_path(path: KeyPath) -> bool:
    """Is some key on the way to this value named like a secret?"""
    return any(isinstance(part, str) and is_sensitive_name(part) for part in path)
