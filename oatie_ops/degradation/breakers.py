"""An operator who degrades a service that is called, not served, opens its circuit breaker in every worker.

The breaker's own file carries it and its end, so it ends by itself as the word does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from oatie_ops.degradation.decision import FULL, Decision, Now
from oatie_ops.degradation.word import Owner
from oatie_ops.paths import StatePaths

log = logging.getLogger(__name__)


def follow(paths: StatePaths, services: Iterable[str], counting: Mapping[str, Decision], now: Now) -> None:
    """For services whose decisions have changed. What has no breaker is left alone."""
    if not paths.breakers.is_dir():
        return
    from oatie_ops.recovery.breaker.circuit import CircuitBreaker
    from oatie_ops.recovery.breaker.config import CircuitBreakerConfig
    from oatie_ops.recovery.breaker.declared import file_of, read
    from oatie_ops.recovery.breaker.shared import look
    from oatie_ops.recovery.breaker.state import State

    declared = read(paths.breakers)
    for service in services:
        path = file_of(paths.breakers, service)
        if not path.exists() and service not in declared:
            continue
        circuit, decision = look(path), counting.get(service)
        forced = circuit is not None and circuit.mode is State.FORCED_OPEN
        wanted = decision is not None and decision.rank is Owner.OPERATOR and decision.level == FULL
        if not wanted and not forced:
            continue
        try:
            breaker = CircuitBreaker(service, declared.get(service, CircuitBreakerConfig()), shared=path)
            if decision is not None and wanted:
                breaker.force_open(decision.left_seconds(now) or None)
            else:
                breaker.reset()
        except OSError as error:
            log.warning("the breaker of %s was left as it is: %s", service, error)
