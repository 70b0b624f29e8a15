"""The load generator as seen from a test: started, watched while it runs, stopped, judged."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.real.waiting import PATIENCE_SECONDS, wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
# A test that dies must not leave a load generator behind for longer than this.
LONGEST_RUN_SECONDS = 300


class LoadRun:
    """``with LoadRun(url, new=12, keep=12) as load: …; result = load.finish()``."""

    def __init__(self, url: str, **options: Any) -> None:
        options = {"seconds": LONGEST_RUN_SECONDS} | options
        arguments = [sys.executable, "-m", "tests.real.load", "--url", url, "--json"]
        for name, value in options.items():
            flag = f"--{name.replace('_', '-')}"
            arguments += [flag] if value is True else [flag, str(value)]
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self._started = threading.Event()
        self._lines: deque[str] = deque(maxlen=50)
        self._progress: dict[str, Any] = {"ok": 0, "failed": 0, "releases": {}, "pids": {}}
        self._result: dict[str, Any] | None = None

    def __enter__(self) -> LoadRun:
        self._process = subprocess.Popen(
            self._arguments,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_for(self._started.is_set, "the first answer to every client", evidence=lambda: list(self._lines))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._running()
        if process.poll() is None:
            process.kill()
        process.wait()
        self._reader.join(PATIENCE_SECONDS)

    def finish(self) -> dict[str, Any]:
        """Lets the requests in flight end and gives the result."""
        process = self._running()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(LONGEST_RUN_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        assert self._result is not None, f"the load generator died: {list(self._lines)}"
        return self._result

    @property
    def answered(self) -> int:
        return int(self._progress["ok"])

    @property
    def failed(self) -> int:
        return int(self._progress["failed"])

    @property
    def pids(self) -> set[int]:
        """Every worker that has answered since the beginning."""
        return {int(pid) for pid in self._progress["pids"] if pid}

    def answered_by(self, release: str) -> int:
        return int(self._progress["releases"].get(release, 0))

    def wait_for_more(self, count: int = 200) -> None:
        """Until so many further requests were answered (or failed): the load really saw what happened."""
        goal = self.answered + self.failed + count
        wait_for(lambda: self.answered + self.failed >= goal, f"{count} more answers", evidence=self._seen)

    def wait_for_release(self, release: str, count: int = 50) -> None:
        """Until that release has answered users that often."""
        goal = self.answered_by(release) + count
        wait_for(lambda: self.answered_by(release) >= goal, f"answers of {release}", evidence=self._seen)

    def _seen(self) -> dict[str, Any]:
        return self._progress

    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def _read(self) -> None:
        stdout = self._running().stdout
        assert stdout is not None
        for line in stdout:
            self._lines.append(line.rstrip()[:2000])
            message = json.loads(line) if line.startswith("{") else {}
            if message.get("event") == "started":
                self._started.set()
            elif message.get("event") == "progress":
                self._progress = message
            elif message.get("event") == "result":
                self._result = message


def lost(result: dict[str, Any]) -> str:
    """Empty when no request failed; else what was lost, for an assertion's message."""
    if not result["failed"]:
        return ""
    shown = []
    for failure in result["failures"][:12]:
        after_seconds = failure["at"] - result["started_at"]
        shown.append(f"+{after_seconds:.3f}s {failure['kind']} {failure['outcome']} {failure['detail']}")
    return f"{result['failed']} of {result['requests']} requests failed:\n" + "\n".join(shown)
