"""What the certificate of a TLS connection tells, and when that is a reason to warn."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from typing import Any

from oatie_ops.health.model import Result, Status

WARN_DAYS = 14.0
FAIL_DAYS = 0.0
DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Expiry:
    """Below so many days left it warns or fails."""

    warn_days: float = WARN_DAYS
    fail_days: float = FAIL_DAYS

    def judge(self, left_days: float) -> Result:
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


def left_days(writer: asyncio.StreamWriter) -> float | None:
    """None where there is no TLS, or the certificate was not verified: then Python does not decode it."""
    certificate = writer.get_extra_info("peercert")
    if not certificate or "notAfter" not in certificate:
        return None
    # Certificates are dated by the wall clock, so this one place asks it.
    return (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / DAY_SECONDS
