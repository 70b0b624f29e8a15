"""CRC-32C (Castagnoli, RFC 3720 appendix B.4), with which Google Secret Manager guards its payloads."""

from __future__ import annotations

from functools import cache

_POLYNOMIAL = 0x82F63B78  # reflected


@cache
def _table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        return value

    return tuple(map(entry, range(256)))


def crc32c(data: bytes) -> int:
    table = _table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
