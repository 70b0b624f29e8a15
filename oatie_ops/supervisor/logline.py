"""One captured line: its form in the file, and how a stream of bytes becomes lines. Pure.

A line in the file is ``<UTC time, ISO-8601 with ms> <worker> <stream> <text>``, so that plain text tools can
sort it and filter it: ``2026-11-23T16:58:00.123Z 2 stderr Traceback (most recent call last):``.
"""

from __future__ import annotations

import time

from oatie_ops.records import dataclass

MAX_LINE_BYTES = 16 * 1024
SUPERVISOR = "supervisor"
STAMP_LENGTH = len("2026-11-23T16:58:00.123Z")
_CONTINUES = "…".encode()


@dataclass(frozen=True)
class LogLine:
    time: str  # UTC, ISO-8601 with ms; sorts as text
    worker: str  # the worker's id, or `SUPERVISOR`
    stream: str  # stdout | stderr | note
    text: str


def stamp(epoch_seconds: float) -> str:
    """UTC, ISO-8601 with milliseconds."""
    milliseconds = int(epoch_seconds * 1000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{whole}.{milliseconds % 1000:03d}Z"


def prefix(epoch_seconds: float, worker: object, stream: str) -> bytes:
    return f"{stamp(epoch_seconds)} {worker} {stream} ".encode()


def parse(line: bytes) -> LogLine | None:
    """None for what is not in our form, such as a line torn by a full disk."""
    parts = line.decode(errors="replace").rstrip("\n").split(" ", 3)
    if len(parts) != 4 or len(parts[0]) != STAMP_LENGTH or not parts[0].endswith("Z"):
        return None
    return LogLine(*parts)


class LineSplitter:
    """Bytes in, whole lines out: valid UTF-8, without line ends, none longer than ``max_bytes``.

    A longer line comes in pieces, each but the last marked with an ellipsis; nothing is lost. Bytes
    that are not UTF-8 are shown as ``\\xff``.
    """

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_bytes
        self._rest = b""

    @property
    def partial(self) -> str:
        """What has come of a line whose end has not."""
        return self._rest.decode(errors="backslashreplace")

    def feed(self, data: bytes) -> list[bytes]:
        *whole, rest = (self._rest + data).split(b"\n")
        lines: list[bytes] = []
        for line in whole:
            if len(line) > self._max:
                line = self._cut(line, lines)  # noqa: PLW2901 - what is left of it
            lines.append(_clean(line.removesuffix(b"\r")))
        self._rest = self._cut(rest, lines) if len(rest) > self._max else rest
        return lines

    def flush(self) -> list[bytes]:
        """The partial line, if any, as if its end had come."""
        line, self._rest = self._rest, b""
        return [_clean(line)] if line else []

    def _cut(self, line: bytes, into: list[bytes]) -> bytes:
        start = 0
        while len(line) - start > self._max:
            end = _character_start(line, start + self._max)
            into.append(_clean(line[start:end]) + _CONTINUES)
            start = end
        return line[start:]


def _character_start(line: bytes, index: int) -> int:
    """The nearest index at or a little before that does not cut a UTF-8 character in two."""
    for back in range(4):
        if line[index - back] & 0xC0 != 0x80:
            return index - back
    return index


def _clean(line: bytes) -> bytes:
    try:
        line.decode()
    except UnicodeDecodeError:
        return line.decode(errors="backslashreplace").encode()
    return line
