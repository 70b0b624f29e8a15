"""Reading the captured lines back: the last ones of all rotated files, and what comes after them.

Needs no supervisor. The files are opened in one go, newest first, so that a rotation in between neither
hides a line nor shows one twice.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from oatie_ops.supervisor.logfile import rotated
from oatie_ops.supervisor.logline import STAMP_LENGTH
from oatie_ops.supervisor.logs import log_file

BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Wanted:
    """Which lines: of one worker, and not before a time (in the form of `logline.stamp`)."""

    worker: str | None = None
    since: str = ""

    def accepts(self, line: bytes) -> bool:
        return self.worker is None or line.startswith(f"{self.worker} ".encode(), STAMP_LENGTH + 1)

    def is_too_old(self, line: bytes) -> bool:
        stamp = line[:STAMP_LENGTH]
        return stamp.endswith(b"Z") and stamp < self.since.encode()


class LogReader:
    """The files as they are now. A context manager; ``directory`` need not exist yet."""

    def __init__(self, directory: Path) -> None:
        self._path = log_file(directory)
        self._files = _open_all(self._path)

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            os.close(file.fd)

    def last(self, wanted: Wanted, lines: int | None) -> list[bytes]:
        """At most that many (None: all), oldest first, without line ends."""
        found: list[bytes] = []
        for line in self._backwards():
            if wanted.is_too_old(line) or (lines is not None and len(found) >= lines):
                break
            if wanted.accepts(line):
                found.append(line)
        return found[::-1]

    def follow(self, wanted: Wanted, wait: Callable[[], None]) -> Iterator[bytes]:
        """What is written after the files were opened, without end; ``wait`` is called when there is none."""
        current = self._files[0] if self._files else None
        newer: deque[_File] = deque()
        rest = b""
        try:
            while True:
                if current is not None and (data := current.read_on()):
                    *whole, rest = (rest + data).split(b"\n")
                    yield from filter(wanted.accepts, whole)
                    continue
                newer.extend(reversed(_open_all(self._path, until=newer[-1] if newer else current)))
                if not newer:
                    wait()
                    continue
                if current is not None:  # it was written to once more before it was rotated
                    last = rest + current.read_to_end()
                    yield from filter(wanted.accepts, filter(None, last.split(b"\n")))
                    self._close(current)
                current, rest = newer.popleft(), b""
                current.position = 0
                self._files.append(current)
        finally:
            for file in newer:
                os.close(file.fd)

    def _backwards(self) -> Iterator[bytes]:
        for file in self._files:
            yield from file.backwards()

    def _close(self, file: _File) -> None:
        self._files.remove(file)
        os.close(file.fd)


@dataclass
class _File:
    fd: int
    key: tuple[int, int]
    position: int  # the end of the last whole line when it was opened, then how far it has been read

    def read_on(self) -> bytes:
        if os.fstat(self.fd).st_size < self.position:  # started again without keeping the old one
            self.position = 0
        data = os.pread(self.fd, BLOCK_BYTES, self.position)
        self.position += len(data)
        return data

    def read_to_end(self) -> bytes:
        return b"".join(iter(self.read_on, b""))

    def backwards(self) -> Iterator[bytes]:
        rest, end = b"", self.position
        while end > 0:
            start = max(0, end - BLOCK_BYTES)
            rest, *lines = (os.pread(self.fd, end - start, start) + rest).split(b"\n")
            yield from filter(None, reversed(lines))
            end = start
        if rest:
            yield rest


def _open_all(path: Path, until: _File | None = None) -> list[_File]:
    """Newest first, down to (and without) ``until``."""
    files: list[_File] = []
    missing = 0
    for number in count():
        try:
            fd = os.open(rotated(path, number) if number else path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            missing += 1  # one is missing for a moment during a rotation
            if missing == 2:
                break
            continue
        info = os.fstat(fd)
        key = (info.st_dev, info.st_ino)
        if until is not None and key == until.key:
            os.close(fd)
            break
        if any(file.key == key for file in files):  # rotated while we looked
            os.close(fd)
            continue
        files.append(_File(fd, key, _end_of_last_line(fd, info.st_size)))
    return files


def _end_of_last_line(fd: int, size: int) -> int:
    start = max(0, size - BLOCK_BYTES)
    return start + os.pread(fd, size - start, start).rfind(b"\n") + 1
