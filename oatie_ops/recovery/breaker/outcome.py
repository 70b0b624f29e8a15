"""What a call was worth: success, failure, or nothing that tells about the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oatie_ops.recovery.breaker.config import CircuitBreakerConfig, Outcome


def of_exception(error: BaseException, config: CircuitBreakerConfig) -> Outcome:
    """Cancellation, `KeyboardInterrupt`, `SystemExit` and `GeneratorExit` are the caller's doing: ignored."""
    if not isinstance(error, Exception):
        return Outcome.IGNORED
    if config.predicate is not None:
        judged = _judged(config.predicate, error)
        if judged is not None:
            return judged if isinstance(judged, Outcome) else Outcome.FAILURE if judged else Outcome.IGNORED
    if config.successes and isinstance(error, config.successes):
        return Outcome.SUCCESS
    if config.ignore and isinstance(error, config.ignore):
        return Outcome.IGNORED
    return Outcome.FAILURE if isinstance(error, config.failures) else Outcome.IGNORED


def of_result(result: Any, config: CircuitBreakerConfig) -> Outcome:
    if config.result_predicate is None:
        return Outcome.SUCCESS
    judged = config.result_predicate(result)
    if isinstance(judged, Outcome):
        return judged
    return Outcome.FAILURE if judged else Outcome.SUCCESS


def _judged(
    predicate: Callable[[BaseException], bool | Outcome | None], error: BaseException
) -> bool | Outcome | None:
    try:
        return predicate(error)
    except Exception:  # noqa: BLE001 - the caller must see the error of the call, not that of its judge
        return None
