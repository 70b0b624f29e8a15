"""Secret values of twenty shapes, and every form in which one could turn up where it must not.

The forms are worked out here anew and not taken from the redactor, which is what the tests are about.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import quote, quote_plus

CANARIES: dict[str, str] = {
    "pin": "k7#Q",
    "word": "canaryone",
    "token": "ghp_c4n4ry0123456789ABCDEFabcdef012345",
    "spaces": "  canary with   spaces and a tab\t!",
    "quotes": "can'ary\"quoted'\"'",
    "backslashes": r"can\ary\n\x41\\end",
    "percent": "c%anary%%20&a=b?c#d",
    "unicode": "kanarienv\u00f6gel\u2028\U0001f424fliegen",
    "html": "<canary attr='1'>&amp;</canary>",
    "base64": base64.b64encode(b"a canary inside of base64 text").decode(),
    "hex": b"deadbeefcafef00dcanary".hex(),
    "url": "postgres://app:c4n%40ry-pa%2Fss@db.internal:5432/app?sslmode=require",
    "json": '{"user": "app", "password": "canary-in-json", "nested": {"keys": ["canary-nested-key"]}}',
    "pem": "-----BEGIN PRIVATE KEY-----\nMIICanaryKeyLineOne0123456789abcdef\n"
    "MIICanaryKeyLineTwo0123456789abcdef\n-----END PRIVATE KEY-----\n",
    "env": "KEY_ONE=canary-line-one\nKEY_TWO=canary-line-two\n",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOiJ0d2VsdmUifQ.c2lnbmF0dXJlLWNhbmFyeQ",
    "long": "".join(f"canary{number:06d}" for number in range(600)),
    "repeated": "canacanacanacana",
    "format": "%s{canary}%(x)d{0!r}",
    "dollar": "$canary${HOME}`id`",
}
# What is a secret inside a secret.
PARTS = (
    "c4n%40ry-pa%2Fss",
    "c4n@ry-pa/ss",
    "canary-in-json",
    "canary-nested-key",
    "canary-line-one",
    "canary-line-two",
)
# Anything shorter is too likely to be something else.
MIN_BYTES = 7
PUBLIC = (b"PRIVATE KEY",)


@dataclass(frozen=True)
class Leak:
    canary: str
    sink: str
    form: bytes
    around: bytes

    def __str__(self) -> str:
        return f"{self.canary} in {self.sink}: …{self.around!r}…"


def forms(value: str) -> set[bytes]:
    """The value, each of its lines and a good piece of it, raw and as programs encode them."""
    found: set[bytes] = set()
    for text in {value, *value.splitlines(), value[: len(value) * 3 // 4]}:
        raw = text.encode()
        escaped = json.dumps(text)[1:-1]
        found |= {raw, raw.hex().encode(), raw.hex().upper().encode(), repr(raw)[2:-1].encode()}
        found |= {shown.encode() for shown in (escaped, json.dumps(escaped)[1:-1], repr(text)[1:-1])}
        found |= {json.dumps(text, ensure_ascii=False)[1:-1].encode(), html.escape(text).encode()}
        found |= {quoted(text).encode() for quoted in (quote, quote_plus, lambda t: quote(t, safe=""))}
        found |= _base64_cores(raw)
    return {form for form in found if len(form) >= MIN_BYTES and not any(word in form for word in PUBLIC)}


def _base64_cores(raw: bytes) -> set[bytes]:
    """What is the same at each of three offsets, whatever stands before and behind."""
    cores = set()
    for offset in range(3):
        low, high = (base64.b64encode(fill * offset + raw + fill * 3) for fill in (b"\0", b"\xff"))
        runs = groupby(zip(low, high, strict=True), key=lambda pair: pair[0] == pair[1])
        core = max((bytes(a for a, _ in run) for same, run in runs if same), key=len, default=b"")
        cores |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    return cores


def leaks(sinks: Mapping[str, bytes], canaries: Mapping[str, str] = CANARIES) -> list[Leak]:
    """Where something of a canary is found. A short one counts only as a word of its own."""
    found = [
        Leak(name, sink, form, content[max(0, at - 60) : at + len(form) + 20])
        for name, value in canaries.items()
        for form in forms(value)
        for sink, content in sinks.items()
        if (at := content.find(form)) >= 0
    ]
    for part in PARTS:
        found += [
            Leak("part", sink, part.encode(), b"")
            for sink, content in sinks.items()
            if part.encode() in content
        ]
    short = {value for value in canaries.values() if len(value) < MIN_BYTES}
    words = {
        word for value in short for word in (value, quote(value), base64.b64encode(value.encode()).decode())
    }
    return found + list(_words(words, sinks))


def _words(values: Iterable[str], sinks: Mapping[str, bytes]) -> Iterable[Leak]:
    for value in values:
        word = re.compile(rb"(?<![0-9A-Za-z_])" + re.escape(value.encode()) + rb"(?![0-9A-Za-z_])")
        for sink, content in sinks.items():
            if match := word.search(content):
                around = content[max(0, match.start() - 60) : match.end() + 20]
                yield Leak(value, sink, value.encode(), around)
