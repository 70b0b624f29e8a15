"""Error tracking in a process: `record` notes an exception, and costs its caller neither time nor an error.

Equal errors are counted together. A thread tells the supervisor, where there is one, at most once a second
per group; what cannot be told now is told later. Exceptions themselves are never kept, only their text.
"""

from __future__ import annotations

import os
import re
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from oatie_ops.recovery import errors_channel
from oatie_ops.recovery.errors_fingerprint import Fingerprint, fingerprint, message_of
from oatie_ops.recovery.errors_report import SEVERITIES, ErrorReport, summary
from oatie_ops.redaction import redact

MAX_GROUPS = 200
TELL_SECONDS = 1.0
IDLE_SECONDS = 30.0
SAMPLE_FRAMES = 30
# Above this many a second the traceback is not looked at any more where the same line raised before.
DETAILED_PER_SECOND = 50
MAX_KNOWN = 500

# RFC 3986 §3.2.1: an address may hold "user:password@"; what a driver says of a failed connection names it
# whole, whether the password was declared a secret or not.
_CREDENTIALS = re.compile(r"(://[^\s/?#@:]*:)[^\s/?#@]+@")

Send = Callable[[ErrorReport], bool]


class ErrorLog:
    """Groups of this process, newest last. ``send`` None: they stay here."""

    def __init__(
        self, send: Send | None, *, clock: Callable[[], float] = time.time, release: str = ""
    ) -> None:
        self._send = send
        self._clock = clock
        self._release = release
        self._lock = threading.Lock()
        self._groups: OrderedDict[tuple[str, str], ErrorReport] = OrderedDict()
        self._untold: OrderedDict[tuple[str, str], ErrorReport] = OrderedDict()
        self._known: OrderedDict[tuple[object, ...], Fingerprint] = OrderedDict()
        self._second, self._detailed = 0, 0
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def record(
        self,
        error: BaseException,
        *,
        service: str = "app",
        severity: str = "error",
        where: str = "",
        recovery: str = "",
        outcome: str = "",
    ) -> str:
        """The fingerprint. ``where``: a line for the head of the sample."""
        print_ = self._fingerprint(error)
        group = (service, print_.key)
        now = self._clock()
        known = self._groups.get(group)
        report = ErrorReport(
            print_.key,
            service,
            print_.kind,
            print_.culprit,
            _tellable(message_of(error)),
            severity if severity in SEVERITIES else "error",
            1,
            now,
            now,
            self._release,
            "" if known is not None and known.sample else redact(where) + _rendered(error),
            recovery,
            outcome,
        )
        self.add(report)
        return print_.key

    def add(self, report: ErrorReport) -> None:
        group = (report.service, report.fingerprint)
        with self._lock:
            _join(self._groups, group, report)
            if self._send is None:
                return
            self.dropped += _join(self._untold, group, report)
            if self._thread is None:
                self._thread = threading.Thread(target=self._tell, name="oatie-errors", daemon=True)
                self._thread.start()
        self._wake.set()

    def groups(self) -> list[ErrorReport]:
        with self._lock:
            return list(self._groups.values())

    def flush(self) -> bool:
        """Tells what is untold, now. Whether all was told."""
        assert self._send is not None
        while True:
            with self._lock:
                if not self._untold:
                    return True
                group, report = self._untold.popitem(last=False)
            if not self._send(report):
                with self._lock:
                    newer = self._untold.get(group)
                    self._untold[group] = report if newer is None else report.joined(newer)
                    self._untold.move_to_end(group, last=False)
                return False

    def _tell(self) -> None:
        """Ends when nothing was recorded for a while; the next error starts it again."""
        while True:
            if not self._wake.wait(IDLE_SECONDS):
                with self._lock:
                    if not self._wake.is_set():
                        self._thread = None
                        return
            self._wake.clear()
            if not self.flush():
                self._wake.set()
            time.sleep(TELL_SECONDS)

    def _fingerprint(self, error: BaseException) -> Fingerprint:
        line = _line(error)
        second = int(self._clock())
        with self._lock:
            if second != self._second:
                self._second, self._detailed = second, 0
            self._detailed += 1
            known = self._known.get(line) if self._detailed > DETAILED_PER_SECOND else None
        if known is not None:
            return known
        found = fingerprint(error)
        with self._lock:
            self._known[line] = found
            while len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return found


def _join(
    groups: OrderedDict[tuple[str, str], ErrorReport], group: tuple[str, str], report: ErrorReport
) -> int:
    """Of how many errors nothing is left, because there are too many groups."""
    known = groups.pop(group, None)
    groups[group] = report if known is None else known.joined(report)
    return groups.popitem(last=False)[1].count if len(groups) > MAX_GROUPS else 0


def _line(error: BaseException) -> tuple[object, ...]:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return (type(error), message_of(error)[:200])
    code = trace.tb_frame.f_code
    return (type(error), code.co_filename, trace.tb_lineno)


def _rendered(error: BaseException) -> str:
    with suppress(Exception):
        text = "".join(traceback.TracebackException.from_exception(error, limit=-SAMPLE_FRAMES).format())
        return _tellable(text)
    return ""


def _tellable(text: str) -> str:
    return _CREDENTIALS.sub(r"\1***@", redact(text))


_log: ErrorLog | None = None
_making = threading.Lock()


def log() -> ErrorLog:
    """That of this process; it tells the supervisor where ``OATIE_ERRORS`` names one."""
    global _log  # noqa: PLW0603
    with _making:
        if _log is None:
            path = os.environ.get(errors_channel.VARIABLE)
            send = None if not path else lambda report: errors_channel.send(path, report)
            _log = ErrorLog(send, release=os.environ.get("OATIE_RELEASE", ""))
        return _log


def record(
    error: BaseException,
    *,
    service: str = "app",
    severity: str = "error",
    context: Mapping[str, Any] | None = None,
    recovery: str = "",
    outcome: str = "",
) -> str | None:
    """Notes an exception; never waits, never raises. The fingerprint of its group, None where it failed.

    ``severity``: info, warning, error, critical. ``recovery``: what was tried against it ("retry",
    "fallback"); ``outcome``: how that ended. ``context``: method and path of a request, for the sample.
    """
    try:
        words = [str(context[key]) for key in ("method", "path") if context.get(key)] if context else []
        where = f"{' '.join(words)}\n" if words else ""
        return log().record(
            error, service=service, severity=severity, where=where, recovery=recovery, outcome=outcome
        )
    except Exception:  # noqa: BLE001 - the error that is noted goes on its way, whatever happens here
        return None


def get_summary() -> dict[str, Any]:
    """Of this process."""
    return summary(log().groups())


def _after_fork() -> None:
    global _log, _making
    _log, _making = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
