"""The library of error recovery under one name: ``from oatie_ops.error_recovery import …``. Lazy."""

from __future__ import annotations

from oatie_ops.lazy import lazily

TYPE_CHECKING = False
if TYPE_CHECKING:
    from oatie_ops.degradation.manager import DegradationManager, degradation_manager
    from oatie_ops.recovery.breaker.circuit import CircuitBreaker
    from oatie_ops.recovery.breaker.config import CircuitBreakerConfig, Outcome
    from oatie_ops.recovery.breaker.rejection import CircuitOpenError
    from oatie_ops.recovery.breaker.state import State
    from oatie_ops.recovery.fallback import ServiceFallback
    from oatie_ops.recovery.manager import ErrorRecoveryManager, error_recovery_manager
    from oatie_ops.recovery.retry import Retry, RetryBudget

# Public name -> the module that defines it.
_LAZY = {
    "CircuitBreaker": "oatie_ops.recovery.breaker.circuit",
    "CircuitBreakerConfig": "oatie_ops.recovery.breaker.config",
    "CircuitOpenError": "oatie_ops.recovery.breaker.rejection",
    "DegradationManager": "oatie_ops.degradation.manager",
    "ErrorRecoveryManager": "oatie_ops.recovery.manager",
    "Outcome": "oatie_ops.recovery.breaker.config",
    "Retry": "oatie_ops.recovery.retry",
    "RetryBudget": "oatie_ops.recovery.retry",
    "ServiceFallback": "oatie_ops.recovery.fallback",
    "State": "oatie_ops.recovery.breaker.state",
    "degradation_manager": "oatie_ops.degradation.manager",
    "error_recovery_manager": "oatie_ops.recovery.manager",
}

__all__ = [
    "CircuitBreaker",
    "CircuitBreakerConfig",
    "CircuitOpenError",
    "DegradationManager",
    "ErrorRecoveryManager",
    "Outcome",
    "Retry",
    "RetryBudget",
    "ServiceFallback",
    "State",
    "degradation_manager",
    "error_recovery_manager",
]

__getattr__, __dir__ = lazily(globals(), _LAZY)
