"""The end of a worker that nobody wanted, as an error of its application."""

from __future__ import annotations

import time

from oatie_ops.recovery import errors_channel
from oatie_ops.recovery.errors_fingerprint import of_words, parameterised
from oatie_ops.recovery.errors_report import ErrorReport
from oatie_ops.redaction import redact


def record_crash(path: str, what: str, evidence: str, *, service: str = "app", release: str = "") -> bool:
    """Tells it by the same channel as workers tell theirs. False where nobody listens yet."""
    now = time.time()
    found = of_words("WorkerEnded", parameterised(what))
    report = ErrorReport(
        found.key, service, found.kind, "", redact(what), "critical", 1, now, now, release, redact(evidence)
    )
    return errors_channel.send(path, report)
