"""The supervisor's end of the channel of errors: takes what workers tell and has it written down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path

from oatie_ops.recovery import errors_channel
from oatie_ops.recovery.errors_report import ErrorReport

# Workers may tell at any speed; this much is looked at before anything else on the loop has its turn.
DATAGRAMS_A_TURN = 32
WRITE_SECONDS = 0.3
MAX_WAITING = 500

log = logging.getLogger(__name__)


class ErrorsInbox:
    """``write`` takes reports to be stored and must not block; equal ones are joined before."""

    def __init__(self, path: Path, write: Callable[[list[ErrorReport]], None]) -> None:
        self._path = path
        self._write = write
        self._waiting: dict[tuple[str, str], ErrorReport] = {}
        self._writing: asyncio.TimerHandle | None = None
        self.refused = 0

    async def run(self) -> None:
        """Until cancelled. Without a socket errors stay in the workers' logs, and everything else goes on."""
        loop = asyncio.get_running_loop()
        try:
            sock = errors_channel.bind(self._path)
        except OSError as error:
            log.warning("errors of workers are not recorded: %s: %s", self._path, error)
            return
        loop.add_reader(sock, self._read, sock)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            loop.remove_reader(sock)
            self._read(sock)
            self._flush()
            sock.close()
            self._path.unlink(missing_ok=True)

    def _read(self, sock: socket.socket) -> None:
        for _ in range(DATAGRAMS_A_TURN):
            try:
                payload = sock.recv(errors_channel.MAX_BYTES + 1)
            except OSError:
                return
            with contextlib.suppress(ValueError):
                self.take(errors_channel.parse(payload, time.time()))
                continue
            self.refused += 1

    def take(self, report: ErrorReport) -> None:
        group = (report.service, report.fingerprint)
        known = self._waiting.get(group)
        if known is None and len(self._waiting) >= MAX_WAITING:
            self.refused += report.count
            return
        self._waiting[group] = report if known is None else known.joined(report)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().call_later(WRITE_SECONDS, self._flush)

    def _flush(self) -> None:
        self._writing = None
        waiting, self._waiting = list(self._waiting.values()), {}
        if waiting:
            self._write(waiting)
