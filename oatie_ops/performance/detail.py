"""Watches one start from within, for `oatie profile`: imports, stacks, bytecode. Standard library only.

It runs in the scratch worker and only there: the environment variable names the directory to write to.
A thread looks at the main thread's stack every few milliseconds, and at whether it had the processor
meanwhile: what it waits for is where it stands while it does not run.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

VARIABLE = "OATIE_PROFILE_TO"
IMPORTS_FILE, DETAIL_FILE = "imports.txt", "detail.json"
INTERVAL_SECONDS = 0.005
# Below this share of the time between two looks the main thread was not running.
RUNNING_SHARE = 0.3
MAX_DEPTH = 40
MAX_SAMPLES = 12_000
COMPILE_SECONDS = 3.0
# Awaitable objects of the interpreter that do not tell what they wait for but by reference.
PASSING_ON = frozenset(
    {"async_generator_asend", "async_generator_athrow", "coroutine_wrapper", "anext_awaitable"}
)
# Not what anybody wants to read about: how modules are found, loops that wait, and the worker itself.
_MACHINERY = (
    *("<frozen importlib", "<frozen runpy", "/importlib/__init__.py", "/asyncio/", "/selectors.py"),
    *("/oatie_ops/supervisor/", "/uvicorn/"),
)


class Detail:
    """Between `begin` and `end`; both in the main thread."""

    def __init__(self, directory: Path, root: str) -> None:
        self._directory = directory
        self._root = root
        self._began = time.time()
        self._samples: list[dict[str, Any]] = []
        self._main = threading.get_ident()
        self._native = threading.get_native_id()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begun, self._ended = threading.Event(), threading.Event()
        self._known = set(sys.modules)
        self._stderr = -1
        self._thread = threading.Thread(target=self._watch, name="oatie-profile", daemon=True)

    def begin(self) -> None:
        """From here on the standard error goes to a file: `-X importtime` writes there."""
        self._stderr = os.dup(2)
        path = self._directory / IMPORTS_FILE
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.dup2(file, 2)
        os.close(file)
        self._thread.start()
        self._begun.set()  # only now: the main thread waits while this one is being started

    def looping(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def end(self) -> None:
        self._ended.set()
        self._thread.join(1.0)
        os.dup2(self._stderr, 2)
        os.close(self._stderr)
        imported = [name for name in list(sys.modules) if name not in self._known]
        detail = {
            "modules": len(imported),
            "uncached": _uncached(imported, self._began),
            "samples": self._samples,
        }
        (self._directory / DETAIL_FILE).write_text(json.dumps(detail))

    def _watch(self) -> None:
        self._begun.wait()
        clock = time.pthread_getcpuclockid(self._main)
        before, cpu, queued = time.monotonic(), time.clock_gettime(clock), self._queued()
        while not self._ended.wait(INTERVAL_SECONDS) and len(self._samples) < MAX_SAMPLES:
            frame = sys._current_frames().get(self._main)
            stack = [] if frame is None else self._stack(frame)
            now, used, delayed = time.monotonic(), time.clock_gettime(clock), self._queued()
            seconds = now - before
            if stack:
                waited = max(0.0, seconds - (used - cpu) - (delayed - queued))
                blocked = used - cpu < RUNNING_SHARE * seconds and waited > 0.5 * seconds
                sample = {"at": before, "seconds": round(seconds, 6), "stack": stack, "blocked": blocked}
                self._samples.append(sample)
            before, cpu, queued = now, used, delayed

    def _stack(self, frame: FrameType) -> list[str]:
        """Outermost first; of a loop that waits, what its tasks wait for."""
        frames = [f"{f.f_code.co_filename}:{line}:{f.f_code.co_name}" for f, line in _outwards(frame)]
        shown = [entry for entry in frames if not any(part in entry for part in _MACHINERY)]
        if not shown and self._loop is not None:
            shown = self._awaited()
        return [self._short(entry) for entry in reversed(shown[:MAX_DEPTH])]

    def _awaited(self) -> list[str]:
        """Of the task that is deepest in the application; innermost first."""
        best: list[str] = []
        try:
            for task in list(asyncio.all_tasks(self._loop)):
                chain = list(_awaits(task.get_coro()))[::-1]
                if sum(self._root in entry for entry in chain) > sum(self._root in entry for entry in best):
                    best = chain
        except RuntimeError:  # the set of tasks changed meanwhile
            return best
        return best

    def _short(self, entry: str) -> str:
        return entry.removeprefix(f"{self._root}{os.sep}")

    def _queued(self) -> float:
        try:
            with open(f"/proc/self/task/{self._native}/schedstat", "rb") as file:  # noqa: PTH123
                return int(file.read().split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0


def detail_of_this_start(root: str) -> Detail | None:
    """None but in a scratch worker that is being profiled."""
    directory = os.environ.pop(VARIABLE, "")
    return Detail(Path(directory), root) if directory else None


def _outwards(frame: FrameType | None) -> Iterator[tuple[FrameType, int]]:
    while frame is not None:
        yield frame, frame.f_lineno
        frame = frame.f_back


def _awaits(awaited: Any) -> Iterator[str]:
    """From a coroutine inwards, through generators and the objects that only pass on."""
    for _ in range(MAX_DEPTH):
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if frame is not None:
            yield f"{frame.f_code.co_filename}:{frame.f_lineno}:{frame.f_code.co_name}"
            awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
        elif type(awaited).__name__ in PASSING_ON:
            awaited = next(
                (o for o in gc.get_referents(awaited) if hasattr(o, "ag_frame") or hasattr(o, "cr_frame")),
                None,
            )
        else:
            return


def _uncached(names: list[str], since: float) -> dict[str, Any]:
    """Modules that had to be compiled for this start, and how long compiling them takes."""
    missing, written, seconds = [], 0, 0.0
    for name in names:
        spec = getattr(sys.modules.get(name), "__spec__", None)
        origin, cached = getattr(spec, "origin", None), getattr(spec, "cached", None)
        if not origin or not cached or not origin.endswith(".py"):
            continue
        try:
            fresh = Path(cached).stat().st_mtime >= since
        except OSError:
            missing.append(name)
        else:
            if not fresh:
                continue
            written += 1
        if seconds < COMPILE_SECONDS:
            seconds += _compile_seconds(origin)
    return {
        "missing": len(missing),
        "written_now": written,
        "seconds": round(seconds, 6),
        "names": missing[:20],
    }


def _compile_seconds(origin: str) -> float:
    began = time.perf_counter()
    try:
        compile(Path(origin).read_bytes(), origin, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return 0.0
    return time.perf_counter() - began
