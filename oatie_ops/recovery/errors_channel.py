"""From a worker to its supervisor: one Unix datagram per report, sent without waiting, or not at all.

The supervisor names its socket in ``OATIE_ERRORS``. Any program may send to it: one JSON object with at least
``kind`` and ``message`` (`docs`: ``oatie_ops/guide/library.md``).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from oatie_ops.recovery.errors_report import SEVERITIES, ErrorReport

VARIABLE = "OATIE_ERRORS"
MAX_BYTES = 60_000
# What is longer is not cut in the worker: what is left of a secret that was cut in two is not found any more.
MAX_SAMPLE, MAX_MESSAGE = 24_000, 8_000


def fit(report: ErrorReport) -> dict[str, Any]:
    data = asdict(report)
    if len(report.sample) > MAX_SAMPLE:
        data["sample"] = ""
    if len(report.message) > MAX_MESSAGE:
        data["message"] = f"(a message of {len(report.message)} characters)"
    return data


def send(path: str, report: ErrorReport) -> bool:
    """False where nobody listens, or the supervisor does not keep up."""
    payload = json.dumps(fit(report)).encode()
    if len(payload) > MAX_BYTES:
        payload = json.dumps({**fit(report), "sample": "", "message": ""}).encode()
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_BYTES)
        sock.sendto(payload, socket.MSG_DONTWAIT, path)
        return True
    return False


def parse(payload: bytes, now: float) -> ErrorReport:
    """Raises `ValueError`. Whoever sends may be any program: nothing is believed beyond its limits."""
    try:
        data = json.loads(payload)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(data, Mapping):
        raise ValueError("not an object")
    from oatie_ops.recovery.errors_fingerprint import of_words, parameterised

    kind, message = _word(data, "kind", 200) or "Error", _word(data, "message", MAX_MESSAGE)
    severity = _word(data, "severity", 20)
    count = data.get("count", 1)
    first, last = _moment(data, "first_at", now), _moment(data, "last_at", now)
    return ErrorReport(
        fingerprint=_word(data, "fingerprint", 64) or of_words(kind, parameterised(message)).key,
        service=_word(data, "service", 100) or "app",
        kind=kind,
        culprit=_word(data, "culprit", 300),
        message=message,
        severity=severity if severity in SEVERITIES else "error",
        count=count if isinstance(count, int) and 1 <= count <= 10**9 else 1,
        first_at=min(first, last),
        last_at=last,
        release=_word(data, "release", 100),
        sample=_word(data, "sample", MAX_SAMPLE),
        recovery=_word(data, "recovery", 100),
        outcome=_word(data, "outcome", 100),
    )


def _word(data: Mapping[str, Any], name: str, limit: int) -> str:
    value = data.get(name)
    return value if isinstance(value, str) and len(value) <= limit else ""


def _moment(data: Mapping[str, Any], name: str, now: float) -> float:
    value = data.get(name)
    recent = isinstance(value, int | float) and now - 86_400 <= value <= now + 5
    return float(value) if recent else now  # type: ignore[arg-type]


def bind(path: Path) -> socket.socket:
    """The supervisor's end, for its owner alone. Raises `OSError`."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    previous = os.umask(0o177)
    try:
        sock.bind(os.fspath(path))
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(previous)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    return sock
