"""DNS messages as RFC 1035 §4 defines them: one question out, the answers in. Pure."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from dataclasses import dataclass

TYPES: Mapping[str, int] = {"A": 1, "NS": 2, "CNAME": 5, "MX": 15, "TXT": 16, "AAAA": 28}
CODES: Mapping[int, str] = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")
_IN = 1
# A compressed name points backwards; more jumps than this is an attack or an accident.
MAX_JUMPS = 64


class Malformed(ValueError):
    """Not a DNS answer to our question."""


@dataclass(frozen=True)
class Answer:
    """``code`` is NOERROR or the name of the server's refusal; ``truncated``: ask again over TCP."""

    code: str
    truncated: bool
    records: tuple[str, ...]


def question(number: int, name: str, kind: str) -> bytes:
    """Raises `ValueError` for what is no host name."""
    labels = name.rstrip(".").encode("idna" if not name.isascii() else "ascii").split(b".")
    if any(not 0 < len(label) < 64 for label in labels) or sum(map(len, labels)) + len(labels) > 254:
        raise ValueError("is no host name")
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    recursion_desired = 0x0100
    return (
        _HEADER.pack(number, recursion_desired, 1, 0, 0, 0) + encoded + struct.pack("!HH", TYPES[kind], _IN)
    )


def read(message: bytes, number: int, kind: str) -> Answer:
    """The records of ``kind`` in the answer section, as text. Raises `Malformed`."""
    try:
        return _read(message, number, kind)
    except (struct.error, IndexError, UnicodeDecodeError, ipaddress.AddressValueError) as error:
        raise Malformed("its answer cannot be read") from error


def _read(message: bytes, number: int, kind: str) -> Answer:
    found, flags, questions, answers, _, _ = _HEADER.unpack_from(message)
    if found != number or not flags & 0x8000:
        raise Malformed("its answer belongs to another question")
    at = _HEADER.size
    for _ in range(questions):
        _, at = _name(message, at)
        at += 4
    records: list[str] = []
    for _ in range(answers):
        _, at = _name(message, at)
        record_type, _, _, size = _RECORD.unpack_from(message, at)
        at += _RECORD.size
        if at + size > len(message):
            if flags & 0x0200:
                break  # a truncated answer may end anywhere
            raise Malformed("its answer is cut short")
        if record_type == TYPES[kind]:
            records.append(_text(message, at, size, kind))
        at += size
    code = flags & 0x0F
    return Answer(
        CODES.get(code, f"code {code}") if code else "NOERROR", bool(flags & 0x0200), tuple(records)
    )


def _text(message: bytes, at: int, size: int, kind: str) -> str:
    data = message[at : at + size]
    if kind == "A":
        return str(ipaddress.IPv4Address(data))
    if kind == "AAAA":
        return str(ipaddress.IPv6Address(data))
    if kind == "MX":
        return _name(message, at + 2)[0]
    if kind == "TXT":
        parts, here = [], 0
        while here < len(data):
            parts.append(data[here + 1 : here + 1 + data[here]])
            here += 1 + data[here]
        return b"".join(parts).decode("utf-8", "replace")
    return _name(message, at)[0]


def _name(message: bytes, at: int) -> tuple[str, int]:
    """The name at an offset, and the offset behind it."""
    labels: list[str] = []
    end, jumps = -1, 0
    while (length := message[at]) != 0:
        if length & 0xC0 == 0xC0:
            end = end if end >= 0 else at + 2
            at = struct.unpack_from("!H", message, at)[0] & 0x3FFF
            jumps += 1
            if jumps > MAX_JUMPS:
                raise Malformed("its answer goes round in circles")
            continue
        labels.append(message[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(labels).lower(), end if end >= 0 else at + 1
