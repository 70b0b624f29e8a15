"""Would a cache help? Plays one beside what is really answered.

All addresses are watched at first, and half as many each time that they are too many to remember: of each
that is watched all requests are, so that no repetition is missed (Waldspurger et al., "Efficient MRC
construction with SHARDS", FAST 2015). Under heavy load the first requests of each minute are. For each of
`LIVES_SECONDS`, answers are taken to be kept for so long: a later request would have been a hit, and right if
the real answer is still the same.
Only hashes are kept, never an answer. What must not be kept (RFC 9111 §3) is never a hit.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

LIVES_SECONDS = (1.0, 10.0, 60.0)
# What is counted: requests watched, their seconds, then for each life: right hits, wrong ones, seconds saved.
WATCHED, WATCHED_SECONDS, FIRST_LIFE = range(3)
EACH_LIFE = 3
COUNTED = FIRST_LIFE + EACH_LIFE * len(LIVES_SECONDS)
NO_REPEATS = (0.0,) * COUNTED

MOST_ENTRIES = 512
# Watching costs some microseconds and a look at every byte.
MOST_PER_MINUTE = 1000
# Who asks differently may be answered differently.
TELLING = frozenset({b"cookie", b"authorization", b"accept", b"accept-encoding", b"accept-language", b"host"})
FORBIDDING = (b"no-store", b"no-cache", b"private")

Entry = list[tuple[float, int]]  # for each life: when it was kept (monotonic), the hash of the answer


class Repeats:
    """``counts`` by the names above. Belongs to the thread of the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.counts = [0.0] * COUNTED
        self._kept: dict[tuple[int, int], Entry] = {}
        self._one_in = 1
        self._left = MOST_PER_MINUTE
        self._minute_ends = clock() + 60.0

    def watched(self, scope: MutableMapping[str, Any], send: Send) -> Send:
        """``send``, or where this request is to be watched, one that also takes note of what it sends."""
        if self._left == 0:
            now = self._clock()
            if now < self._minute_ends:
                return send
            self._left, self._minute_ends = MOST_PER_MINUTE, now + 60.0
        address = hash((scope["path"], scope["query_string"]))
        if address % self._one_in:
            return send
        self._left -= 1
        asked = address, hash(tuple(pair for pair in scope["headers"] if pair[0] in TELLING))
        began = time.perf_counter()
        answer: int | None = None

        def noting(message: Message) -> Awaitable[None]:
            nonlocal answer
            if "status" in message:
                answer = 0 if _may_be_kept(message) else None
            elif message["type"] == "http.response.body":  # not a file that the server is to send
                if answer is not None:
                    answer = zlib.crc32(message.get("body", b""), answer)
                if not message.get("more_body"):
                    self._note(asked, answer, time.perf_counter() - began)
            return send(message)

        return noting

    def _note(self, asked: tuple[int, int], answer: int | None, took: float) -> None:
        counts, now = self.counts, self._clock()
        counts[WATCHED] += 1
        counts[WATCHED_SECONDS] += took
        if answer is None:
            return
        entry = self._kept.get(asked)
        fresh = (now, answer)
        if entry is None:
            if len(self._kept) >= MOST_ENTRIES:
                self._forget_old(now)
            self._kept[asked] = [fresh] * len(LIVES_SECONDS)
        else:
            for index, life in enumerate(LIVES_SECONDS):
                at, kept = entry[index]
                if now - at >= life:
                    entry[index] = fresh
                    continue
                first = FIRST_LIFE + EACH_LIFE * index
                if kept == answer:
                    counts[first] += 1
                    counts[first + 2] += took
                else:
                    counts[first + 1] += 1

    def _forget_old(self, now: float) -> None:
        """What no life reaches any more; where that is nothing, there are too many addresses."""
        oldest = now - LIVES_SECONDS[-1]
        self._kept = {asked: entry for asked, entry in self._kept.items() if entry[-1][0] > oldest}
        if len(self._kept) >= MOST_ENTRIES * 3 // 4:
            self._one_in *= 2
            self._kept = {asked: entry for asked, entry in self._kept.items() if asked[0] % self._one_in == 0}


def _may_be_kept(start: Message) -> bool:
    if start["status"] != 200:
        return False
    for name, value in start.get("headers", ()):
        lower = name.lower()
        if lower == b"set-cookie":
            return False
        if lower == b"cache-control" and any(word in value.lower() for word in FORBIDDING):
            return False
    return True
