"""Runs one check once, within its deadline. The loop and the one-shot command both go through here."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.threads import StillHanging
from oatie_ops.printable import printable
from oatie_ops.redaction import redact

MAX_OUTPUT_CHARACTERS = 500

log = logging.getLogger(__name__)


async def run_check(check: Check, spec: CheckSpec, previous: Status) -> Result:
    """Never raises (but for cancellation) and never takes longer than ``spec.timeout_seconds``."""
    attempt = Attempt(previous=previous)
    began = time.perf_counter()
    try:
        async with asyncio.timeout(spec.timeout_seconds):
            result = await check.run(attempt)
    except TimeoutError:
        result = _timed_out(spec, attempt)
    except StillHanging as error:
        what = attempt.waiting_for or spec.name
        result = Result(Status.FAIL, f"{what}: {error}", trouble="timeout")
    except OSError as error:
        result = Result(Status.FAIL, error.strerror or str(error) or type(error).__name__)
    except Exception as error:
        log.exception("the check %s of service %s crashed", spec.name, spec.service)
        result = Result(Status.UNKNOWN, f"the check itself crashed: {type(error).__name__}", trouble="error")
    seconds = time.perf_counter() - began
    if result.status is Status.PASS and seconds > (spec.warn_after_seconds or seconds):
        output = f"{result.output}, but slowly: {seconds:.3g} s (allowed: {spec.warn_after_seconds:g} s)"
        result = replace(result, status=Status.WARN, output=output)
    return replace(result, output=clean(redact(result.output)), duration_seconds=seconds)


def clean(text: str) -> str:
    """One line that a terminal can show: what a server sent may hold escape sequences or be endless."""
    shown = " ".join(printable(text).split())
    return shown if len(shown) <= MAX_OUTPUT_CHARACTERS else f"{shown[: MAX_OUTPUT_CHARACTERS - 1]}…"


def _timed_out(spec: CheckSpec, attempt: Attempt) -> Result:
    where = f" while {attempt.waiting_for}" if attempt.waiting_for else ""
    if attempt.measuring:
        return Result(Status.FAIL, f"timed out after {spec.timeout_seconds:g} s{where}", trouble="timeout")
    return Result(Status.UNKNOWN, f"not measured within {spec.timeout_seconds:g} s{where}")
