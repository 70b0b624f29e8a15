"""``run = ["./start-db.sh"]``: a program, without a shell, in the project's directory.

It runs under a guard (`oatie_ops.recovery.rungs.guard`), so that it ends at its deadline and with us,
however we end. What it has left running by then goes on. Its output is kept in memory only: it may hold
a secret, and what it started may go on writing for weeks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.runner import clean
from oatie_ops.health.threads import StillHanging
from oatie_ops.identity import ProcessIdentity
from oatie_ops.recovery.rungs.base import ActionFailed, Occasion, Refused, Tools
from oatie_ops.redaction import redact

GUARD = Path(__file__).with_name("guard.py")
GRACE_SECONDS = 3.0
TAIL_CHUNKS, CHUNK_BYTES = 4, 1024
OUTPUT_SECONDS = 0.5
# In the environment of the command and of all that it starts; see `Supervisor` for who looks at it.
MARKER = "OATIE_RECOVERY"


class _Running:
    """The guard's lifeline, shared by the thread that waits and the loop that may have to end it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lifeline = -1
        self._over = False

    def started(self, lifeline: int) -> None:
        with self._lock:
            self._lifeline = lifeline
            if self._over:
                self._close()

    def end(self) -> None:
        with self._lock:
            self._over = True
            self._close()

    def _close(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


@dataclass(frozen=True)
class Command:
    """``quiet``: how it ends does not matter."""

    argv: tuple[str, ...]
    tools: Tools
    quiet: bool = False

    async def run(self, occasion: Occasion) -> str:
        running = _Running()
        key = ("run", occasion.service, self.argv)
        try:
            code, said, left = await self.tools.threads.call(
                key, lambda: self._finish(running, occasion), Attempt()
            )
        except StillHanging as hanging:
            raise Refused(f"the try before has not ended yet ({hanging.seconds:.0f} s)") from hanging
        finally:
            running.end()
        self.tools.kept(left)
        if code and not self.quiet:
            raise (Refused if code in (126, 127) else ActionFailed)(_ended(self.argv[0], code, said))
        return said or f"{self.argv[0]} exited with 0"

    def _finish(self, running: _Running, occasion: Occasion) -> tuple[int, str, list[ProcessIdentity]]:
        reading, lifeline = os.pipe()
        report_reading, report = os.pipe()
        try:
            with subprocess.Popen(
                [sys.executable, "-I", "-S", os.fspath(GUARD), str(GRACE_SECONDS), str(report), *self.argv],
                cwd=self.tools.root,
                env=_environment(occasion),
                stdin=reading,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[report],
                start_new_session=True,
            ) as process:
                running.started(lifeline)
                os.close(reading)
                os.close(report)
                reading = report = -1
                output = _Output(process)
                code = process.wait()
                said = output.last_line()
                # The guard has ended and what it left has been given to us, or to init.
                return code, said, _identities(report_reading)
        finally:
            for fd in (reading, report, report_reading):
                if fd >= 0:
                    os.close(fd)
            running.end()


class _Output:
    """Reads on for as long as anybody writes: a daemon must not break because nobody reads any more."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        # Its own copy: the process object closes its end as soon as the command has ended.
        self._fd = os.dup(process.stdout.fileno())
        self._tail: deque[bytes] = deque(maxlen=TAIL_CHUNKS)
        self._ended = threading.Event()
        threading.Thread(target=self._read, name="recovery output", daemon=True).start()

    def last_line(self) -> str:
        self._ended.wait(OUTPUT_SECONDS)
        text = redact(b"".join(self._tail).decode("utf-8", "replace"))
        lines = [line for line in text.splitlines() if line.strip()]
        return clean(lines[-1]) if lines else ""

    def _read(self) -> None:
        with suppress(OSError):
            while data := os.read(self._fd, CHUNK_BYTES):
                if not self._ended.is_set():
                    self._tail.append(data)
        self._ended.set()
        os.close(self._fd)


def _environment(occasion: Occasion) -> Mapping[str, str]:
    return {
        **os.environ,
        MARKER: occasion.service,
        "OATIE_SERVICE": occasion.service,
        "OATIE_STATUS": occasion.status,
        "OATIE_OUTPUT": occasion.output.replace("\0", " "),
        "OATIE_ATTEMPT": str(occasion.attempt),
    }


def _identities(report: int) -> list[ProcessIdentity]:
    found = [ProcessIdentity.of(int(pid)) for pid in os.read(report, 65536).split()]
    return [identity for identity in found if identity is not None]


def _ended(program: str, code: int, said: str) -> str:
    if code in (126, 127):
        return said or f"{program} cannot be run"
    number = -code if code < 0 else code - 128  # below 0: the guard itself was killed
    how = f"was ended by signal {number}" if number > 0 else f"exited with {code}"
    return f"{program} {how}: {said}" if said else f"{program} {how}"
