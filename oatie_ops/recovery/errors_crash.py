"""The end of a worker that nobody wanted, as an error of its application."""

from __future__ import annotations

import time
from functools import cache

from oatie_ops.recovery import errors_channel
from oatie_ops.recovery.errors import ErrorLog
from oatie_ops.recovery.errors_fingerprint import of_words, parameterised
from oatie_ops.recovery.errors_report import ErrorReport
from oatie_ops.redaction import redact


def record_crash(path: str, what: str, evidence: str, *, service: str = "app", release: str = "") -> None:
    """Tells it by the same channel as workers tell theirs; again, while nobody listens yet."""
    now = time.time()
    found = of_words("WorkerEnded", parameterised(what))
    _log(path).add(
        ErrorReport(
            found.key,
            service,
            found.kind,
            "",
            redact(what),
            "critical",
            1,
            now,
            now,
            release,
            redact(evidence),
        )
    )


@cache
def _log(path: str) -> ErrorLog:
    return ErrorLog(lambda report: errors_channel.send(path, report))
