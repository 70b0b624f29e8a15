"""Oatie Ops: deploy, supervise, check and recover a web service. The library's one public face.

Names are imported when they are first used (PEP 562), so that importing the package stays instant.
"""

from __future__ import annotations

from oatie_ops._version import __version__
from oatie_ops.lazy import lazily

TYPE_CHECKING = False  # type checkers take it for true; the import of typing is half of `oatie --version`
if TYPE_CHECKING:
    from oatie_ops.degradation.manager import degradation_manager
    from oatie_ops.degradation.middleware import OatieMiddleware
    from oatie_ops.environment import EnvironmentDetector
    from oatie_ops.performance.monitor import resource_monitor
    from oatie_ops.performance.optimizer import startup_optimizer
    from oatie_ops.recovery.breaker.circuit import CircuitBreaker
    from oatie_ops.recovery.breaker.config import CircuitBreakerConfig
    from oatie_ops.recovery.breaker.rejection import CircuitOpenError
    from oatie_ops.recovery.fallback import ServiceFallback
    from oatie_ops.recovery.manager import error_recovery_manager
    from oatie_ops.scaling.engine import scaling_engine

# Public name -> the module that defines it.
_LAZY = {
    "CircuitBreaker": "oatie_ops.recovery.breaker.circuit",
    "CircuitBreakerConfig": "oatie_ops.recovery.breaker.config",
    "CircuitOpenError": "oatie_ops.recovery.breaker.rejection",
    "EnvironmentDetector": "oatie_ops.environment",
    "OatieMiddleware": "oatie_ops.degradation.middleware",
    "ServiceFallback": "oatie_ops.recovery.fallback",
    "degradation_manager": "oatie_ops.degradation.manager",
    "error_recovery_manager": "oatie_ops.recovery.manager",
    "resource_monitor": "oatie_ops.performance.monitor",
    "scaling_engine": "oatie_ops.scaling.engine",
    "startup_optimizer": "oatie_ops.performance.optimizer",
}

__all__ = [
    "CircuitBreaker",
    "CircuitBreakerConfig",
    "CircuitOpenError",
    "EnvironmentDetector",
    "OatieMiddleware",
    "ServiceFallback",
    "__version__",
    "degradation_manager",
    "error_recovery_manager",
    "resource_monitor",
    "scaling_engine",
    "startup_optimizer",
]

__getattr__, __dir__ = lazily(globals(), _LAZY)
