"""The switches file: ``.oatie/run/switches``, mapped into every worker. `guide/degrade.md` documents it.

All numbers are unsigned and in the byte order of the machine. The header (128 bytes):

    0  magic "OATIESW1"            40  services named so far (u64)
    8  hash of the boot id (u64)   48  flags (u64): bit 0, what comes from other hosts is stale
    16 room for services (u32)     64  pulse (u64): changes with every change of any word;
    20 room for readers (u32)          its low half counts the changes, its high half the
    24 offset of the words (u32)       words with a level above 0
    28 offset of the names (u32)
    32 offset of the readers (u32)
    36 bytes per name (u32)

A word (`oatie_ops.degradation.word`), a name (UTF-8, padded with NUL) and a reader are found by their
number. A reader's word holds its pid (high half) and the low half of the last pulse that it acted on. Every
value that may change while somebody reads is one aligned 8-byte word, so that no read is torn.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import mmap
import os
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from oatie_ops.errors import OatieError
from oatie_ops.identity import boot_id, exists

MAGIC = b"OATIESW1"
SERVICES = 2048
# Of the readers, the first are the supervisor's workers by their slot, the others whoever comes.
WORKERS = 4096
READERS = WORKERS + 1024
NAME_BYTES = 64
WORDS_AT = 128
NAMES_AT = WORDS_AT + 8 * SERVICES
READERS_AT = NAMES_AT + NAME_BYTES * SERVICES
SIZE = READERS_AT + 8 * READERS

_BOOT, _COUNT, _FLAGS, PULSE = 1, 5, 6, 8  # in words
_WORDS = WORDS_AT // 8
_READERS = READERS_AT // 8
STALE = 1
HALF = 1 << 32

LOCK_SECONDS = 2.0
_LOCK_POLL_SECONDS = 0.005


class SwitchesUnusable(OatieError):
    """The switches file is not one, or cannot be opened."""


class Page:
    """One mapping of the file. Reading is safe anywhere; writing only under `locked`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._inode = os.fstat(descriptor).st_ino
        self._map = mmap.mmap(descriptor, SIZE)
        self.words = memoryview(self._map).cast("Q")
        self._indexes: dict[str, int] = {}

    @classmethod
    def open(cls, path: Path) -> Page:
        """Makes the file where there is none, or one that is not ours. Raises `SwitchesUnusable`."""
        try:
            for _ in range(3):
                _ensure(path)
                with contextlib.suppress(FileNotFoundError):
                    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                    try:
                        return cls(path, descriptor)
                    finally:
                        os.close(descriptor)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        except (OSError, ValueError) as error:
            raise SwitchesUnusable(
                f"the switches file {path} cannot be used",
                why=getattr(error, "strerror", None) or str(error),
                fix=f"make {path.parent} writable for this user; a damaged file may be removed",
            ) from error

    def close(self) -> None:
        self.words.release()
        self._map.close()

    @property
    def in_place(self) -> bool:
        """False once the file was removed or made anew: whoever comes now finds another one."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    # --- reading ----------------------------------------------------------------------------------------

    @property
    def pulse(self) -> int:
        return self.words[PULSE]

    @property
    def changes(self) -> int:
        return self.words[PULSE] % HALF

    @property
    def of_this_boot(self) -> bool:
        return self.words[_BOOT] == _boot_hash()

    @property
    def stale(self) -> bool:
        return bool(self.words[_FLAGS] & STALE)

    def names(self) -> dict[str, int]:
        """Numbers by name; a number never gets another name."""
        known = len(self._indexes)
        if known == self.words[_COUNT]:
            return self._indexes
        for number in range(known, min(self.words[_COUNT], SERVICES)):
            start = NAMES_AT + number * NAME_BYTES
            name = self._map[start : start + NAME_BYTES].rstrip(b"\0").decode("utf-8", "replace")
            self._indexes[name] = number
        return self._indexes

    def word(self, number: int) -> int:
        return self.words[_WORDS + number]

    def of(self, service: str) -> int:
        """The word of this service; 0 where nobody ever decided about it."""
        number = self.names().get(service)
        return 0 if number is None else self.words[_WORDS + number]

    # --- writing, under the lock --------------------------------------------------------------------------

    def number_of(self, service: str) -> int:
        """Its number, given to it now if it has none."""
        known = self.names()
        if service in known:
            return known[service]
        encoded, number = service.encode(), len(known)
        if number >= SERVICES or len(encoded) >= NAME_BYTES:
            raise SwitchesUnusable(
                f"there is no switch for {service!r}",
                why=f"a switches file holds {SERVICES} names of at most {NAME_BYTES - 1} bytes",
                fix="give it a shorter name, or remove the file while nothing runs",
            )
        start = NAMES_AT + number * NAME_BYTES
        self._map[start : start + len(encoded)] = encoded
        self.words[_COUNT] = number + 1
        known[service] = number
        return number

    def set_word(self, number: int, value: int) -> None:
        self.words[_WORDS + number] = value

    def mark_stale(self, stale: bool) -> None:
        flags = self.words[_FLAGS]
        self.words[_FLAGS] = flags | STALE if stale else flags & ~STALE

    def beat(self) -> int:
        """After words were changed: the new count of changes, which readers acknowledge."""
        raised = sum(1 for n in range(len(self.names())) if self.words[_WORDS + n] & 0xFF)
        changes = (self.changes + 1) % HALF
        self.words[PULSE] = raised << 32 | changes
        with contextlib.suppress(OSError):  # wakes those who wait for a change of the file (inotify)
            os.utime(self.path)
        return changes

    def forget_boot(self) -> None:
        """The words of another boot count on a clock that is gone."""
        for number in range(len(self.names())):
            self.words[_WORDS + number] = 0
        for number in range(READERS):
            self.words[_READERS + number] = 0
        self.words[_BOOT] = _boot_hash()
        self.beat()

    # --- readers ----------------------------------------------------------------------------------------

    def acknowledge(self, reader: int, pulse: int) -> None:
        self.words[_READERS + reader] = os.getpid() << 32 | pulse % HALF

    def reader(self, number: int) -> tuple[int, int]:
        """The pid and the count of changes that it acted on last."""
        value = self.words[_READERS + number]
        return value >> 32, value % HALF

    def leave(self, reader: int) -> None:
        self.words[_READERS + reader] = 0

    def readers(self, *, workers: bool) -> dict[int, int]:
        """Of a supervisor's workers, or of the others, that live: by pid, the changes acted on last."""
        found = {}
        for number in range(WORKERS) if workers else range(WORKERS, READERS):
            value = self.words[_READERS + number]
            if value and exists(value >> 32):
                found[value >> 32] = value % HALF
        return found

    def free_reader(self) -> int | None:
        """A place for a process that no supervisor gave one."""
        for number in range(WORKERS, READERS):
            pid = self.words[_READERS + number] >> 32
            if not pid or not exists(pid):
                return number
        return None


@contextlib.contextmanager
def locked(path: Path, timeout_seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """For whoever changes the file. Raises `SwitchesUnusable` when another writer does not finish."""
    deadline = time.monotonic() + timeout_seconds
    try:
        descriptor = os.open(
            path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise SwitchesUnusable(
            f"the lock of {path} cannot be opened", why=error.strerror or str(error)
        ) from error
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise SwitchesUnusable(
                        "another process is changing the switches",
                        why=f"{path} stayed locked for {timeout_seconds:g} s",
                        fix="try again; a stopped `oatie degrade` may hold it",
                    ) from None
                time.sleep(_LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _ensure(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == SIZE and file.read(len(MAGIC)) == MAGIC:
                return
        path.unlink(missing_ok=True)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    header = struct.pack(
        "=8sQIIIIII", MAGIC, _boot_hash(), SERVICES, READERS, WORDS_AT, NAMES_AT, READERS_AT, NAME_BYTES
    )
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        # Written, not only made long: a page that has no place on the disk yet kills whoever writes to it by
        # SIGBUS when the disk is full.
        if os.pwrite(descriptor, header.ljust(SIZE, b"\0"), 0) != SIZE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    try:
        with suppress(FileExistsError):  # whoever is first makes it; the others take his
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _boot_hash() -> int:
    return int.from_bytes(hashlib.sha256(boot_id().encode()).digest()[:8], "little")
