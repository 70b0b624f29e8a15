"""A circuit in a small file that every process of the host maps, so that they open and probe as one.

Every field is one aligned 8-byte word, which the processors that we run on read and write as a whole. The
first word (generation, mode, state) is read without a lock by every call, and is written last. Everything
else is read and written under flock(2), which the kernel lets go when its holder dies. Nothing that is found
in the file is believed beyond its limits: a garbled word means closed, a time too far ahead means "over".
"""

from __future__ import annotations

import errno
import fcntl
import logging
import mmap
import os
import threading
from collections.abc import MutableSequence
from pathlib import Path

from oatie_ops.recovery.breaker.half_open import MAX_LEASES
from oatie_ops.recovery.breaker.state import Circuit, Lease, parts

MAGIC = 0x6F61_7469_6562_6B31  # "oatiebk1"
WORD, MARK, OPEN_UNTIL, REOPENS, SUCCESSES, TOKENS, MODE_UNTIL, FIRST_LEASE = 0, 1, 2, 3, 4, 5, 6, 8
WORDS = FIRST_LEASE + 2 * MAX_LEASES
SIZE = WORDS * 8
NANO = 1_000_000_000
MAX_COUNT = 2**32
MAX_WORD = 2**64 - 1

log = logging.getLogger(__name__)


class SharedCell:
    """Raises `OSError` where the file cannot be made or mapped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.words: MutableSequence[int] | memoryview
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            # It only ever grows: a mapping that shrinks kills its readers. Written, not only made long: so
            # does a page without a place on the disk, when the disk is full.
            missing = SIZE - os.fstat(self._fd).st_size
            if missing > 0 and os.pwrite(self._fd, bytes(missing), SIZE - missing) != missing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._map = mmap.mmap(self._fd, SIZE)
            self.words = memoryview(self._map).cast("Q")
            if self.words[MARK] != MAGIC or parts(self.words[WORD]) is None:
                self._begin()
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        except BaseException:
            os.close(self._fd)
            raise

    def _begin(self) -> None:
        for index in range(2, WORDS):
            self.words[index] = 0
        self.words[MARK] = MAGIC
        self.words[WORD] = Circuit().word

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, *exc: object) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        finally:
            self._lock.release()

    def read(self) -> Circuit:
        if parts(self.words[WORD]) is None:
            log.warning("the breaker file %s was garbled; it begins anew, closed", self._path)
            self._begin()
        return _circuit(self.words)

    def peek(self) -> Circuit:
        """State and times may belong to different moments, which the next look mends."""
        return Circuit() if parts(self.words[WORD]) is None else _circuit(self.words)

    def write(self, circuit: Circuit) -> None:
        words = self.words
        words[OPEN_UNTIL] = _nanoseconds(circuit.open_until)
        words[REOPENS] = circuit.reopens
        words[SUCCESSES] = circuit.successes
        words[TOKENS] = circuit.tokens
        words[MODE_UNTIL] = _nanoseconds(circuit.mode_until)
        for place in range(MAX_LEASES):
            lease = circuit.leases[place] if place < len(circuit.leases) else Lease(0, 0.0)
            words[FIRST_LEASE + 2 * place] = lease.token
            words[FIRST_LEASE + 2 * place + 1] = _nanoseconds(lease.until)
        words[WORD] = circuit.word

    def after_fork(self) -> None:
        """A lock of flock(2) belongs to the open file, which parent and child would share."""
        self._lock = threading.Lock()
        inherited = self._fd
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            if not os.path.samestat(os.fstat(self._fd), os.fstat(inherited)):
                # Somebody made it anew; the mapping must follow.
                os.close(self._fd)
                self._open()
        except OSError:
            # Removed meanwhile: the mapping still joins us to the others; only the lock is shared too widely.
            self._fd = inherited
            return
        os.close(inherited)


def _nanoseconds(seconds: float) -> int:
    # Compared before it is made an integer: an open period may be as long as a float tells.
    return MAX_WORD if seconds >= MAX_WORD // NANO else max(0, int(seconds * NANO))


def look(path: Path) -> Circuit | None:
    """What the file says now, for somebody who only watches. None where there is no circuit in it."""
    try:
        data = path.read_bytes()[:SIZE]
    except OSError:
        return None
    if len(data) < SIZE:
        return None
    words = memoryview(data).cast("Q")
    return _circuit(words) if words[MARK] == MAGIC and parts(words[WORD]) is not None else None


def _circuit(words: MutableSequence[int] | memoryview) -> Circuit:
    found = parts(words[WORD])
    assert found is not None
    generation, mode, state = found
    leases = (
        Lease(words[index], words[index + 1] / NANO) for index in range(FIRST_LEASE, WORDS, 2) if words[index]
    )
    return Circuit(
        state,
        generation,
        words[OPEN_UNTIL] / NANO,
        min(words[REOPENS], MAX_COUNT),
        min(words[SUCCESSES], MAX_COUNT),
        words[TOKENS] % 2**63,
        tuple(leases),
        mode,
        words[MODE_UNTIL] / NANO,
    )
