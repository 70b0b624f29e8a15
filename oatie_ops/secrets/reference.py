"""References to secrets: ``aws:NAME#json.key?stage=AWSPREVIOUS``, ``gcp:S@5``, ``azure:NAME``, ``env:X``.

``SCHEME:NAME`` names a secret in a store; without a scheme it is in the configured one. ``#KEY`` is a
member of a secret that is a JSON object: the whole key is tried first, then a dotted path. ``@VERSION``
(gcp, azure) or ``?version=…&stage=…`` pick a version. In NAME and KEY ``%23`` stands for ``#``, and so on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from oatie_ops.secrets.errors import ReferenceInvalid

SCHEMES = {
    "env": "env",
    "file": "file",
    "aws": "aws_secrets_manager",
    "gcp": "gcp_secret_manager",
    "azure": "azure_key_vault",
}
BACKENDS = tuple(SCHEMES.values())
# `@` is a letter like any other in the names of AWS' secrets and of files.
_AT_IS_VERSION = {"gcp_secret_manager", "azure_key_vault"}
_OPTIONS = {"version", "stage"}


@dataclass(frozen=True)
class Reference:
    """Where a secret is. ``backend`` None: the configured one; ``key`` None: the secret as a whole."""

    backend: str | None
    name: str
    key: str | None = None
    version: str | None = None
    stage: str | None = None

    def __str__(self) -> str:
        scheme = next((s for s, backend in SCHEMES.items() if backend == self.backend), "")
        options = "&".join(f"{k}={v}" for k, v in (("version", self.version), ("stage", self.stage)) if v)
        key = "" if self.key is None else f"#{self.key}"
        return f"{scheme}{':' if scheme else ''}{self.name}{key}{'?' if options else ''}{options}"


def parse(text: str) -> Reference:
    """Raises `ReferenceInvalid`."""
    scheme, colon, rest = text.strip().partition(":")
    backend = SCHEMES.get(scheme) if colon else None
    body = rest if backend else text.strip()
    body, options = _options(body, text)
    name, hash_sign, key = body.partition("#")
    version = options.get("version")
    if backend in _AT_IS_VERSION and "@" in name:
        name, _, version = name.rpartition("@")
    name, key = unquote(name), unquote(key)
    if not name or (hash_sign and not key):
        raise _invalid(text, "the name is empty" if not name else "there is nothing after `#`")
    if "\0" in name:
        raise _invalid(text, "a name cannot hold a NUL byte")
    return Reference(backend, name, key if hash_sign else None, version, options.get("stage"))


def _options(body: str, text: str) -> tuple[str, dict[str, str]]:
    match = re.fullmatch(r"(.*?)\?([^?#]*)(#.*)?", body, re.DOTALL)
    if match is None:
        return body, {}
    options = dict(parse_qsl(match[2], keep_blank_values=True))
    unknown = sorted(set(options) - _OPTIONS)
    if unknown or not all(options.values()):
        raise _invalid(text, f"`?` may be followed by version=… and stage=…, not by {match[2]!r}")
    return match[1] + (match[3] or ""), options


def _invalid(text: str, why: str) -> ReferenceInvalid:
    return ReferenceInvalid(
        f"{text!r} is no reference to a secret",
        why=why,
        fix="write aws:NAME#KEY, gcp:NAME@VERSION, azure:NAME, env:VARIABLE or file:/path",
    )
