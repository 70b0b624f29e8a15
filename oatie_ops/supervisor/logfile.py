"""Writing captured lines: a thread per destination, so that a disk or terminal that hangs stops nobody.

What cannot be written is dropped and counted; the count is written as soon as writing works again.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from oatie_ops.supervisor.logline import SUPERVISOR, prefix

MAX_PENDING_BYTES = 8 * 1024 * 1024
MAX_BATCH_BYTES = 256 * 1024


class Destination(Protocol):
    def write(self, data: bytes) -> int:
        """How many bytes were taken, as write(2). Raises OSError."""
        ...

    def close(self) -> None: ...


class RotatingFile:
    """``app.log``, and the ``keep_files`` before it as ``app.log.1`` (the newest) and so on; mode 0600.

    Follows its path: a file that somebody moved or removed is made anew, so that two supervisors (one
    taking over from the other) and an external logrotate get along.
    """

    def __init__(self, path: Path, max_bytes: int, keep_files: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep_files
        self._fd: int | None = None

    def write(self, data: bytes) -> int:
        fd, size = self._current()
        if self._max_bytes and size and size + len(data) > self._max_bytes:
            self._rotate()
            fd, _ = self._current()
        return os.write(fd, data)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _current(self) -> tuple[int, int]:
        """The descriptor of what is at the path now, and its size."""
        if self._fd is not None:
            ours = os.fstat(self._fd)
            try:
                still_there = os.path.samestat(self._path.stat(), ours)
            except FileNotFoundError:
                still_there = False
            if still_there:
                return self._fd, ours.st_size
            self.close()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._fd, os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        if not self._keep:
            os.truncate(self._path, 0)
            return
        for number in range(self._keep - 1, 0, -1):
            older = rotated(self._path, number)
            if older.exists():
                older.replace(rotated(self._path, number + 1))
        self._path.replace(rotated(self._path, 1))


class Descriptor:
    """An inherited stdout or stderr."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes) -> int:
        while True:
            try:
                return os.write(self._fd, data)
            except BlockingIOError:  # somebody who shares the terminal made it non-blocking
                select.select((), (self._fd,), ())

    def close(self) -> None:
        """Not ours to close."""


def rotated(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


class Writer:
    """A bounded queue and the thread that empties it; `put` never waits.

    ``lost_note`` formats the note about dropped lines: (count, reason) to bytes.
    """

    def __init__(
        self,
        destination: Destination,
        name: str,
        lost_note: Callable[[int, str], bytes],
        max_pending_bytes: int = MAX_PENDING_BYTES,
    ) -> None:
        self._destination = destination
        self._name = name
        self._lost_note = lost_note
        self._max_pending = max_pending_bytes
        self._queue: deque[bytes] = deque()
        self._pending = 0
        self._lost, self._reason = 0, ""
        self._torn = False  # the last write ended within a line
        self._reopen = self._closing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, data: bytes) -> None:
        """Whole lines, each with its end."""
        with self._changed:
            if self._closing:
                return
            if self._pending + len(data) > self._max_pending:
                self._lose(data, "written faster than the destination takes it")
                return
            self._queue.append(data)
            self._pending += len(data)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def reopen(self) -> None:
        with self._changed:
            self._reopen = True
            self._changed.notify_all()

    def flush(self, timeout_seconds: float) -> bool:
        """Waits until everything has been written or dropped; False at the deadline."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending, timeout_seconds)

    def close(self, timeout_seconds: float) -> None:
        """Writes what is pending, as far as that is possible in this time."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def _lose(self, data: bytes, reason: str) -> None:
        self._lost += data.count(b"\n")
        self._reason = reason

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._reopen or self._closing)
                batch = self._take()
                reopen, self._reopen = self._reopen, False
                lost, reason = self._lost, self._reason
            if reopen:
                self._destination.close()
            told = True
            if lost and (batch or self._closing):
                told = not self._write(self._lost_note(lost, reason))[0]
                with self._changed:
                    self._lost -= lost if told else 0
            unwritten, error = self._write(batch)
            with self._changed:
                if unwritten:
                    self._lose(unwritten, error)
                self._pending -= len(batch)
                self._changed.notify_all()
                if self._closing and not self._queue and not (self._lost and told):
                    break
        self._destination.close()

    def _take(self) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while self._queue and size < MAX_BATCH_BYTES:
            chunks.append(self._queue.popleft())
            size += len(chunks[-1])
        return b"".join(chunks)

    def _write(self, data: bytes) -> tuple[bytes, str]:
        """What could not be written, and why."""
        try:
            if data and self._torn:
                self._destination.write(b"\n")
                self._torn = False
            while data:
                taken = self._destination.write(data)
                self._torn = data[taken - 1 : taken] != b"\n"
                data = data[taken:]
        except OSError as error:
            return data, error.strerror or str(error)
        return b"", ""


def lost_note(count: int, reason: str) -> bytes:
    line = f"{count} line{'s' if count != 1 else ''} of output lost: {reason}\n"
    return prefix(time.time(), SUPERVISOR, "note") + line.encode()
