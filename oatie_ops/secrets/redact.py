"""The one redactor of this process: every output passes it, every `Secret` is known to it.

How it is fast: a pattern of at least 2k-1 bytes holds, wherever it occurs, a complete block of k bytes
that is aligned in the text. So the text is compared block by block, in C, with the few blocks each
pattern can show; only patterns that share a block are searched for. 50 secrets (some 500 patterns) cost
about what 5 cost.
"""

from __future__ import annotations

import re
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from oatie_ops.secrets.variants import patterns

MASK = "***"
_MASK = MASK.encode()

# Rotation brings new values for ever; the oldest of this many is forgotten.
MAX_VALUES = 4096

# (memoryview format, block bytes): a pattern goes to the first group it is long enough for. What is too
# short for all of them counts only as a whole word.
_GROUPS: tuple[tuple[Literal["Q", "I"], int], ...] = (("Q", 8), ("I", 4))

Span = tuple[int, int]


class _Index:
    """Immutable; built anew when a value is added, so that readers need no lock."""

    def __init__(self, found: Iterable[bytes]) -> None:
        self.patterns = sorted(set(found), key=len, reverse=True)
        self.longest = len(self.patterns[0]) if self.patterns else 0
        self._groups = []
        left = self.patterns
        for code, size in _GROUPS:
            long_enough = [p for p in left if len(p) >= 2 * size - 1]
            left = [p for p in left if len(p) < 2 * size - 1]
            blocks: dict[int, list[bytes]] = {}
            for pattern in long_enough:
                for offset in range(size):
                    block = int.from_bytes(pattern[offset : offset + size], sys.byteorder)
                    blocks.setdefault(block, []).append(pattern)
            self._groups.append((code, size, frozenset(blocks), blocks))
        self._words = [
            (p, re.compile(rb"(?<![0-9A-Za-z_])" + re.escape(p) + rb"(?![0-9A-Za-z_])")) for p in left
        ]
        self.first_bytes = frozenset(p[0] for p in self.patterns)
        self.by_start: dict[bytes, list[bytes]] = {}
        for pattern in self.patterns:
            self.by_start.setdefault(pattern[:2], []).append(pattern)

    def spans(self, data: bytes) -> list[Span]:
        """Where patterns occur, merged and in order."""
        found: list[Span] = []
        for pattern in self._candidates(data):
            start = data.find(pattern)
            while start >= 0:
                found.append((start, start + len(pattern)))
                start = data.find(pattern, start + 1)
        for word, expression in self._words:
            if word in data:
                found.extend(match.span() for match in expression.finditer(data))
        return _merged(found)

    def _candidates(self, data: bytes) -> set[bytes]:
        candidates: set[bytes] = set()
        view = memoryview(data)
        for code, size, blocks, owners in self._groups:
            if blocks:
                hits = blocks.intersection(view[: len(data) - len(data) % size].cast(code))
                candidates.update(pattern for block in hits for pattern in owners[block])
        return candidates

    def unfinished(self, data: bytes) -> int:
        """Length of the longest end of ``data`` with which a pattern may begin, but not end."""
        start = max(0, len(data) - self.longest + 1)
        for position in range(start, len(data)):
            if data[position] in self.first_bytes and self._begins(data[position:]):
                return len(data) - position
        return 0

    def _begins(self, tail: bytes) -> bool:
        if len(tail) == 1:
            return True
        return any(len(p) > len(tail) and p.startswith(tail) for p in self.by_start.get(tail[:2], ()))


def _merged(spans: list[Span]) -> list[Span]:
    spans.sort()
    merged: list[Span] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


class Redactor:
    """Knows secret values and takes them, in all their forms, out of text, bytes and JSON-like values.

    Thread-safe. Values shorter than four characters cannot be looked for; `too_short` counts them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[str | bytes, set[bytes]] = OrderedDict()
        self._index = _Index(())
        self._stale = False
        self.too_short = 0

    def remember(self, value: str | bytes) -> None:
        """From now on this value, and what it is made of, shows as ``***``."""
        if value in self._values:
            return
        found = patterns(value)
        with self._lock:
            if not found:
                self.too_short += 1
                return
            self._values[value] = found
            if len(self._values) > MAX_VALUES:
                self._values.popitem(last=False)
            self._stale = True

    def values(self) -> tuple[bytes, ...]:
        """All that it knows, for another process of ours that is about to be given them."""
        with self._lock:
            known = tuple(self._values)
        return tuple(v.encode("utf-8", "surrogateescape") if isinstance(v, str) else v for v in known)

    def index(self) -> _Index:
        if self._stale:
            with self._lock:
                self._index = _Index(p for found in self._values.values() for p in found)
                self._stale = False
        return self._index

    def redact_bytes(self, data: bytes) -> bytes:
        index = self.index()
        if not index.patterns:
            return data
        spans = index.spans(data)
        return _masked(data, spans) if spans else data

    def redact(self, text: str) -> str:
        """`text` itself where it holds no secret."""
        index = self.index()
        if not index.patterns:
            return text
        data = text.encode("utf-8", "surrogatepass")
        spans = index.spans(data)
        # A mask may cut a character in half only where the value itself did.
        return _masked(data, spans).decode("utf-8", "replace") if spans else text

    def redact_value(self, value: Any) -> Any:
        """Strings and keys of a JSON-like value, at any depth; anything else is left as it is."""
        if not self.index().patterns:
            return value
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, bytes):
            return self.redact_bytes(value)
        if isinstance(value, Mapping):
            return {self.redact_value(key): self.redact_value(item) for key, item in value.items()}
        if isinstance(value, Sequence):
            return [self.redact_value(item) for item in value]
        return value


def _masked(data: bytes, spans: Sequence[Span]) -> bytes:
    parts: list[bytes] = []
    position = 0
    for start, end in spans:
        parts += (data[position:start], _MASK)
        position = end
    parts.append(data[position:])
    return b"".join(parts)


class StreamRedactor:
    """Redacts a stream that comes in pieces, where a value may be cut anywhere.

    `feed` returns what may be shown now: all but an end with which a value may begin. A line that ends
    in a newline is therefore never held back for long. Call `flush` at the end of the stream.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""
        self._covered = 0  # bytes at the start of what is held that a mask stands for already

    def feed(self, data: bytes) -> bytes:
        index = self._redactor.index()
        if not index.patterns and not self._held:
            return data
        data = self._held + data
        return self._emit(data, index, len(data) - index.unfinished(data))

    def flush(self) -> bytes:
        data = self._held
        return self._emit(data, self._redactor.index(), len(data))

    def _emit(self, data: bytes, index: _Index, cut: int) -> bytes:
        parts: list[bytes] = []
        position = self._covered
        for start, end in index.spans(data):
            if start >= cut:
                break
            if start >= position:
                parts += (data[position:start], _MASK)
            position = max(position, end)
        parts.append(data[position:cut])
        self._held, self._covered = data[cut:], max(0, position - cut)
        return b"".join(parts)


_default = Redactor()


def redactor() -> Redactor:
    """The redactor that knows every `Secret` of this process."""
    return _default
