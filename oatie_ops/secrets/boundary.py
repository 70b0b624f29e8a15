"""Where the redactor stands in the way of values: stdout, stderr, log records.

`install` is for a program, not for a library. What does not pass here (a database, a file, a pipe of a
child) asks `oatie_ops.secrets.redact.redactor()` itself.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
import traceback
from typing import Any, TextIO

from oatie_ops.secrets.logs import cap_sdk_loggers
from oatie_ops.secrets.redact import Redactor, StreamRedactor, redactor


class RedactingStream(io.TextIOBase):
    """A text stream in front of another one. What may be the beginning of a value waits for what follows,
    or for `flush`; ``buffer`` redacts bytes likewise."""

    def __init__(self, inner: TextIO, known: Redactor | None = None) -> None:
        self._inner = inner
        self._stream = StreamRedactor(known or redactor())
        self._lock = threading.RLock()  # a signal handler may write while its own thread does

    def write(self, text: str) -> int:
        data = text.encode("utf-8", "surrogateescape" if _is_escaped(text) else "surrogatepass")
        with self._lock:
            self._pass_on(self._stream.feed(data))
        return len(text)

    def write_redacted(self, text: str) -> None:
        """What holds no value any more, such as a JSON document whose strings were redacted one by one.

        Looked at again as a whole, a number in it could be taken for a value, and it were no JSON any more.
        """
        with self._lock:
            self.flush()
            self._inner.write(text)

    def write_bytes(self, data: bytes) -> int:
        with self._lock:
            self._pass_on(self._stream.feed(data))
        return len(data)

    def flush(self) -> None:
        with self._lock:
            self._pass_on(self._stream.flush())
            self._inner.flush()

    def _pass_on(self, data: bytes) -> None:
        if data:
            self._inner.write(data.decode("utf-8", "surrogateescape"))

    @property
    def buffer(self) -> RedactingBuffer:
        return RedactingBuffer(self)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._inner.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._inner.errors

    def isatty(self) -> bool:
        return self._inner.isatty()

    def fileno(self) -> int:
        return self._inner.fileno()

    def writable(self) -> bool:
        return True

    def reconfigure(self, **options: Any) -> None:
        self._inner.reconfigure(**options)  # type: ignore[attr-defined]


def _is_escaped(text: str) -> bool:
    return not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text)


class RedactingBuffer(io.RawIOBase):
    """What ``sys.stdout.buffer`` is, in front of the same redactor."""

    def __init__(self, stream: RedactingStream) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._stream.write_bytes(bytes(data))

    def flush(self) -> None:
        self._stream.flush()


class RedactedRecord(logging.LogRecord):
    """A log record whose message and traceback hold no value, whichever handler gets it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if self.exc_info and self.exc_info[0] is not None:
            self.exc_text = redactor().redact("".join(traceback.format_exception(*self.exc_info)).rstrip())

    def getMessage(self) -> str:
        return redactor().redact(super().getMessage())


def install() -> None:
    """Puts the redactor in front of this program's outputs. Doing it twice does nothing."""
    cap_sdk_loggers()
    logging.setLogRecordFactory(RedactedRecord)
    if not isinstance(sys.stdout, RedactingStream) and sys.stdout is not None:
        sys.stdout = RedactingStream(sys.stdout)
    if not isinstance(sys.stderr, RedactingStream) and sys.stderr is not None:
        sys.stderr = RedactingStream(sys.stderr)
