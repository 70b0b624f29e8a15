"""An unexpected exception: one line for the operator, everything else in a file only they can read."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from oatie_ops import __version__
from oatie_ops.errors import OatieError, PrerequisiteMissing
from oatie_ops.redaction import redact


class UnexpectedError(OatieError):
    """A bug in oatie, or something in the system that it does not know how to explain."""


def crash_error(error: Exception, argv: Sequence[str]) -> OatieError:
    """Writes the crash file and returns the error to show for it. Never raises."""
    if isinstance(error, FileNotFoundError) and not _here():
        return PrerequisiteMissing(
            "the directory that this was started in is not there any more",
            why="it was removed or replaced after the shell went into it",
            fix="go into the application's directory anew (`cd`), and run the same command again",
        )
    summary = redact(traceback.format_exception_only(error)[-1].strip())
    try:
        file = write_crash_file(error, argv)
        fix = f"the traceback is in {file}; please report it with that file"
    except OSError as failure:
        sys.stderr.write(redact("".join(traceback.format_exception(error))))
        fix = f"the traceback is above (no crash file: {failure}); please report it"
    return UnexpectedError("oatie failed unexpectedly", why=summary, fix=fix)


def _here() -> bool:
    try:
        return bool(Path.cwd())
    except FileNotFoundError:
        return False


def write_crash_file(error: Exception, argv: Sequence[str]) -> Path:
    """In the state directory's logs where there is one, else among the temporary files; mode 0600."""
    text = "\n".join(
        [
            f"oatie {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"command: oatie {' '.join(argv)}",
            "",
            "".join(traceback.format_exception(error)),
        ]
    )
    name = f"oatie-crash-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}-"
    descriptor, path = tempfile.mkstemp(prefix=name, suffix=".txt", dir=_directory())
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(redact(text))
    return Path(path)


def _directory() -> Path:
    from oatie_ops.cli.context import Context

    try:
        logs = Context().paths.logs
    except Exception:  # noqa: BLE001 - it may be what crashed; the other place is as good
        return Path(tempfile.gettempdir())
    return logs if logs.is_dir() and os.access(logs, os.W_OK) else Path(tempfile.gettempdir())
