"""The forms in which a secret value may turn up in output: as it is, and encoded as programs encode it."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote

# Shorter values cannot be told from ordinary words and numbers.
MIN_CHARACTERS = 4
# Encoded forms, lines and members shorter than this are too likely to be something else.
MIN_PART_CHARACTERS = 7
# A longer value is looked for in pieces, so that what is held back of a stream stays small.
PIECE_BYTES = 1024

# Members of the usual documents (of databases, of service accounts) that are everyday words in logs.
_HARMLESS_MEMBERS = frozenset(
    [
        "engine",
        "host",
        "hostname",
        "port",
        "dbname",
        "database",
        "dbinstanceidentifier",
        "dbclusteridentifier",
        "username",
        "user",
        "region",
        "type",
        "scheme",
        "protocol",
        "project_id",
        "client_email",
        "client_id",
        "private_key_id",
        "auth_uri",
        "token_uri",
        "auth_provider_x509_cert_url",
        "client_x509_cert_url",
        "universe_domain",
    ]
)

_URL_PASSWORD = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/?#@:]*:([^\s/?#@]+)@", re.IGNORECASE)


def patterns(value: str | bytes) -> set[bytes]:
    """Every byte sequence that would give the value away; empty where the value is too short to look for."""
    raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    if len(raw) < MIN_CHARACTERS:
        return set()
    found = {raw}
    found |= {form for form in _forms(raw) if len(form) >= MIN_PART_CHARACTERS}
    # A form that short counts only as a word of its own, as which an encoded value is no everyday one.
    found |= {form for form in _encoded(raw) if len(form) > MIN_CHARACTERS}
    return {piece for pattern in found for piece in _pieces(pattern)}


def _forms(raw: bytes) -> Iterator[bytes]:
    yield raw.strip()
    yield from _base64_forms(raw)
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    yield repr(raw)[2:-1].encode()
    # How programs that expect text show bytes that are none.
    if not _is_text(raw):
        shown = [raw.decode("utf-8", handler) for handler in ("replace", "backslashreplace", "ignore")]
        for form in (*shown, raw.decode("latin-1")):
            yield form.encode()
            yield from map(str.encode, _text_forms(form))
    text = raw.decode("utf-8", "surrogateescape")
    yield from (form.encode("utf-8", "surrogateescape") for form in _text_forms(text))
    lines = text.splitlines()
    if len(lines) > 1:
        for line in filter(None, map(str.strip, lines)):
            yield line.encode("utf-8", "surrogateescape")
            yield from (form.encode("utf-8", "surrogateescape") for form in _text_forms(line))
    for leaf in _leaves(text):
        yield leaf.encode("utf-8", "surrogateescape")
        yield from (form.encode("utf-8", "surrogateescape") for form in _text_forms(leaf))
        yield from _base64_forms(leaf.encode("utf-8", "surrogateescape"))


def _encoded(raw: bytes) -> Iterator[bytes]:
    """All of the value, encoded on its own."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).rstrip(b"=")
    text = raw.decode("utf-8", "surrogateescape")
    yield from (form.encode("utf-8", "surrogateescape") for form in _text_forms(text))


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _text_forms(text: str) -> Iterator[str]:
    escaped = json.dumps(text)[1:-1]
    yield escaped
    yield escaped.replace("/", "\\/")
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield json.dumps(escaped)[1:-1]
    yield repr(text)[1:-1]
    quoted = quote(text, safe="", errors="surrogateescape")
    for form in (quoted, quote(text, errors="surrogateescape"), quote_plus(text, errors="surrogateescape")):
        yield form
        yield _lower_escapes(form)
    yield html.escape(text)
    yield html.escape(text, quote=False)
    yield text.replace("'", "'\"'\"'")  # as shlex.quote
    yield text.replace("'", "'\\''")


def _lower_escapes(text: str) -> str:
    head, *parts = text.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in parts)])


def _base64_forms(raw: bytes) -> Iterator[bytes]:
    """The characters that depend on nothing but the value, wherever it starts in the encoded text."""
    for before in range(3):
        padded = b"\0" * before + raw
        first = (before * 8 + 5) // 6
        whole = len(padded) * 8 // 6
        encoded = base64.b64encode(padded)[first:whole]
        yield encoded
        yield encoded.translate(bytes.maketrans(b"+/", b"-_"))


def _leaves(text: str) -> Iterator[str]:
    """What is a secret inside the secret: members of a JSON document, the password of a URL."""
    yield from _members(text)
    for match in _URL_PASSWORD.finditer(text):
        yield match[1]
        yield unquote(match[1])


def _members(text: str) -> Iterator[str]:
    if text.lstrip()[:1] not in {"{", "["}:
        return
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    left = [document]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left.extend(item for key, item in value.items() if key.lower() not in _HARMLESS_MEMBERS)
        elif isinstance(value, list):
            left.extend(value)
        elif isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
            yield str(value)


def _pieces(pattern: bytes) -> Iterator[bytes]:
    if len(pattern) <= PIECE_BYTES:
        yield pattern
        return
    for start in range(0, len(pattern), PIECE_BYTES):
        piece = pattern[start : start + PIECE_BYTES]
        yield piece if len(piece) >= MIN_PART_CHARACTERS else pattern[-PIECE_BYTES:]
