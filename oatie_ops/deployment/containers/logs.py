"""The output of several containers as one stream of lines, in the form that `oatie logs` has."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from oatie_ops.deployment.targets.engine import LogQuery
from oatie_ops.supervisor.logline import LineSplitter, prefix

STREAMS = ("stdout", "stderr")
POLL_SECONDS = 0.2
# ``source(stdout=…, stderr=…, follow=…, tail=…, since=…)`` gives bytes with the engine's own time stamps.
Source = Callable[..., Iterable[bytes]]


def last_lines(sources: Sequence[tuple[str, Source]], wanted: LogQuery) -> list[bytes]:
    """Of all sources together, the oldest first."""
    found: list[bytes] = []
    for name, source in sources:
        for stream in STREAMS:
            found += _lines(name, stream, source(**_arguments(stream, wanted, follow=False)))
    found.sort()
    return found if wanted.lines is None else found[len(found) - min(wanted.lines, len(found)) :]


def follow(sources: Sequence[tuple[str, Source]], wanted: LogQuery) -> Iterator[bytes]:
    """What is there, then lines as they come, until every source has ended. One thread for each stream."""
    taken: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def read(name: str, stream: str, source: Source) -> None:
        try:
            for line in _lines(name, stream, source(**_arguments(stream, wanted, follow=True))):
                taken.put(line)
        finally:
            taken.put(None)

    threads = [
        threading.Thread(target=read, args=(name, stream, source), name=f"logs {name}", daemon=True)
        for name, source in sources
        for stream in STREAMS
    ]
    for thread in threads:
        thread.start()
    left = len(threads)
    while left:
        line = taken.get()
        if line is None:
            left -= 1
        else:
            yield line


def _arguments(stream: str, wanted: LogQuery, *, follow: bool) -> dict[str, Any]:
    given: dict[str, Any] = {
        "stdout": stream == "stdout",
        "stderr": stream == "stderr",
        "follow": follow,
        "tail": "all" if wanted.lines is None else wanted.lines,
    }
    return given if wanted.since is None else {**given, "since": int(wanted.since)}


def _lines(name: str, stream: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    splitter = LineSplitter()
    for chunk in chunks:
        yield from (_line(name, stream, line) for line in splitter.feed(chunk))
    yield from (_line(name, stream, line) for line in splitter.flush())


def _line(name: str, stream: str, line: bytes) -> bytes:
    """``2026-11-23T16:58:00.123456789Z text`` of the engine, with milliseconds and who said it."""
    moment, _, text = line.partition(b" ")
    head = moment[:19] + b"." + (moment[20:-1] + b"000")[:3] + b"Z" if moment.endswith(b"Z") else b""
    if not head:
        return prefix(0.0, name, stream) + line
    return head + f" {name} {stream} ".encode() + text
