"""Capture of what workers write: read from their pipes, remembered for error messages, kept in a file.

Reading happens in the event loop (a pipe gives at most 64 KiB at a time, so that no worker starves the
others), writing in threads (`oatie_ops.supervisor.logfile`). One file holds all workers in the order in
which their lines arrived. Secret values are taken out before anything else is done with the bytes.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict, deque
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from oatie_ops.redaction import redact, stream_redactor
from oatie_ops.supervisor.logfile import Descriptor, RotatingFile, Writer, lost_note
from oatie_ops.supervisor.logline import SUPERVISOR, LineSplitter, prefix

if TYPE_CHECKING:
    import asyncio

    from oatie_ops.secrets.redact import StreamRedactor

LOG_NAME = "app.log"
READ_BYTES = 64 * 1024
DRAIN_READS = 16  # 1 MiB
RING_LINES = 100
RINGS = 64  # of that many workers, dead ones included
CLOSE_TIMEOUT_SECONDS = 2.0

Stream = Literal["stdout", "stderr"]


def log_file(directory: Path) -> Path:
    return directory / LOG_NAME


class LogSink:
    """All methods belong to the thread of the event loop; only `flush` and `close` wait for a disk.

    ``echo`` also passes the workers' lines on, unchanged, to this process's own stdout and stderr, and
    notes to stderr: for the foreground and for containers, whose logs are what is written there.
    """

    def __init__(self, directory: Path, max_bytes: int, keep_files: int, *, echo: bool = False) -> None:
        self._file = Writer(
            RotatingFile(log_file(directory), max_bytes, keep_files), "oatie-log-file", lost_note
        )
        self._echo: dict[str, Writer] = {}
        if echo:
            self._echo["stdout"] = Writer(Descriptor(1), "oatie-log-stdout", _plain_lost_note)
            self._echo["stderr"] = Writer(Descriptor(2), "oatie-log-stderr", _plain_lost_note)
        self._pipes: dict[int, _Pipe] = {}
        self._rings: OrderedDict[str, deque[str]] = OrderedDict()
        self._all: deque[str] = deque(maxlen=RING_LINES)

    def attach(self, loop: asyncio.AbstractEventLoop, fd: int, worker_id: int | str, stream: Stream) -> None:
        """Reads a pipe until its end, then closes it. ``fd`` belongs to the sink from here on.

        A worker id may come again after its worker died: what the dead one said is forgotten then.
        """
        os.set_blocking(fd, False)
        worker = str(worker_id)
        if not any(pipe.worker == worker for pipe in self._pipes.values()):
            self._rings.pop(worker, None)
        self._pipes[fd] = _Pipe(loop, worker, stream, LineSplitter())
        loop.add_reader(fd, self._read, fd)

    def tail(self, worker_id: int | str | None = None, lines: int = 30) -> list[str]:
        """The last lines of one worker (dead ones too), or of all with the worker's id before each.

        Includes what is still in the pipe and a last line without an end: a process that just died has
        said everything by now.
        """
        worker = None if worker_id is None else str(worker_id)
        for fd, pipe in list(self._pipes.items()):
            if worker in (None, pipe.worker):
                self._drain(fd)
        if worker is None:
            return list(self._all)[-lines:]
        unfinished = [p.splitter.partial for p in self._pipes.values() if p.worker == worker]
        return [*self._rings.get(worker, ()), *filter(None, unfinished)][-lines:]

    def note(self, message: str) -> None:
        """What the supervisor itself has to say."""
        self._record(SUPERVISOR, "note", redact(message).encode(errors="backslashreplace").splitlines())

    def reopen(self) -> None:
        """After somebody moved the file away (SIGUSR1)."""
        self._file.reopen()

    def flush(self, timeout_seconds: float = CLOSE_TIMEOUT_SECONDS) -> bool:
        """Waits (blocking) until what was captured is in the file; False at the deadline."""
        return self._file.flush(timeout_seconds)

    def close(self) -> None:
        """Reads what is left in the pipes and writes what is pending, within a deadline."""
        for fd in list(self._pipes):
            self._drain(fd)
            self._detach(fd)
        for writer in (self._file, *self._echo.values()):
            writer.close(CLOSE_TIMEOUT_SECONDS)

    def _drain(self, fd: int) -> None:
        # Bounded, because the other end may go on writing; a pipe holds no more than this.
        for _ in range(DRAIN_READS):
            if not self._read(fd):
                return

    def _read(self, fd: int) -> bool:
        """One read. True where there may be more right now."""
        pipe = self._pipes.get(fd)
        if pipe is None:
            return False
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._detach(fd)
            return False
        self._record(pipe.worker, pipe.stream, pipe.feed(data))
        return True

    def _detach(self, fd: int) -> None:
        pipe = self._pipes.pop(fd, None)
        if pipe is None:
            return
        pipe.loop.remove_reader(fd)
        os.close(fd)
        self._record(pipe.worker, pipe.stream, pipe.flush())

    def _record(self, worker: str, stream: str, lines: list[bytes]) -> None:
        if not lines:
            return
        head = prefix(time.time(), worker, stream)
        self._file.put(b"".join([part for line in lines for part in (head, line, b"\n")]))
        self._remember(worker, [line.decode() for line in lines[-RING_LINES:]])
        if self._echo:
            lead = b"oatie: " if worker == SUPERVISOR else b""
            target = self._echo["stdout" if stream == "stdout" else "stderr"]
            target.put(b"".join([part for line in lines for part in (lead, line, b"\n")]))

    def _remember(self, worker: str, texts: list[str]) -> None:
        ring = self._rings.get(worker)
        if ring is None:
            ring = self._rings[worker] = deque(maxlen=RING_LINES)
            while len(self._rings) > RINGS:
                self._rings.popitem(last=False)
        ring.extend(texts)
        self._all.extend(f"[{worker}] {text}" for text in texts)


class _Pipe:
    __slots__ = ("hidden", "loop", "splitter", "stream", "worker")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, worker: str, stream: Stream, splitter: LineSplitter
    ) -> None:
        self.loop, self.worker, self.stream, self.splitter = loop, worker, stream, splitter
        self.hidden: StreamRedactor | None = None

    def feed(self, data: bytes) -> list[bytes]:
        if self.hidden is None:
            self.hidden = stream_redactor()  # a later release may bring the first secret
        return self.splitter.feed(data if self.hidden is None else self.hidden.feed(data))

    def flush(self) -> list[bytes]:
        held = b"" if self.hidden is None else self.hidden.flush()
        return [*self.splitter.feed(held), *self.splitter.flush()]


def _plain_lost_note(count: int, reason: str) -> bytes:
    return f"oatie: {count} lines of output lost: {reason}\n".encode()
