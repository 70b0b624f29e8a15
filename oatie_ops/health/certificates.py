"""What the certificate of a TLS connection tells, and when that is a reason to warn.

Python decodes none that it did not verify, so for those the one field that matters is read here: X.509's
``notAfter`` (RFC 5280 §4.1), in DER (ITU-T X.690).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from oatie_ops.health.model import Result, Status

WARN_DAYS = 14.0
FAIL_DAYS = 0.0
DAY_SECONDS = 86_400.0
UNREADABLE = float("-inf")
_VERSION, _UTC_TIME, _GENERALIZED_TIME = 0xA0, 0x17, 0x18


@dataclass(frozen=True)
class Expiry:
    """Below so many days left it warns or fails."""

    warn_days: float = WARN_DAYS
    fail_days: float = FAIL_DAYS

    @property
    def asked_for(self) -> bool:
        """Somebody set a limit, which holds for a certificate that is not verified, too."""
        return (self.warn_days, self.fail_days) != (WARN_DAYS, FAIL_DAYS)

    def judge(self, left_days: float) -> Result:
        if left_days == UNREADABLE:
            return Result(Status.FAIL, "its certificate does not tell when it expires")
        if left_days < 0:
            return Result(
                Status.FAIL, f"its certificate expired {-left_days:.0f} days ago", left_days, "days"
            )
        status = (
            Status.FAIL
            if left_days < self.fail_days
            else Status.WARN
            if left_days < self.warn_days
            else Status.PASS
        )
        return Result(status, f"its certificate expires in {left_days:.0f} days", round(left_days, 2), "days")


def declared(options: Any) -> Expiry:
    return Expiry(
        float(options.get("expiry_warn_days", WARN_DAYS)), float(options.get("expiry_fail_days", FAIL_DAYS))
    )


def left_days(writer: asyncio.StreamWriter, expiry: Expiry) -> float | None:
    """None where there is no TLS, or the certificate was not verified and no limit was asked for."""
    certificate = writer.get_extra_info("peercert")
    if certificate and "notAfter" in certificate:
        ends: float = ssl.cert_time_to_seconds(certificate["notAfter"])
    elif expiry.asked_for:
        encoded = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        ends = ends_at(encoded) if encoded else UNREADABLE
    else:
        return None
    # Certificates are dated by the wall clock, so this one place asks it.
    return (ends - time.time()) / DAY_SECONDS


def ends_at(certificate: bytes) -> float:
    """``notAfter`` of a DER certificate in epoch seconds, or `UNREADABLE`. Pure."""
    try:
        _, at, _ = _element(certificate, 0)  # Certificate
        _, at, _ = _element(certificate, at)  # tbsCertificate
        for _ in range(4 if certificate[at] == _VERSION else 3):  # version, serialNumber, signature, issuer
            _, _, at = _element(certificate, at)
        _, at, _ = _element(certificate, at)  # validity
        _, _, at = _element(certificate, at)  # notBefore
        tag, start, end = _element(certificate, at)
        form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}[tag]
        return datetime.strptime(certificate[start:end].decode("ascii"), form).replace(tzinfo=UTC).timestamp()
    except (IndexError, KeyError, ValueError):
        return UNREADABLE


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Its tag, where its content starts, and where it ends. Raises `IndexError`."""
    length, start = data[at + 1], at + 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[at + 2 : start])
    return data[at], start, start + length
