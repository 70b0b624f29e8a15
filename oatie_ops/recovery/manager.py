"""`error_recovery_manager`: services by name, each with breaker, fallback, retries and strategies."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from oatie_ops.recovery import errors, execution, stream
from oatie_ops.recovery.breaker import declared
from oatie_ops.recovery.breaker.circuit import CircuitBreaker
from oatie_ops.recovery.breaker.config import CircuitBreakerConfig
from oatie_ops.recovery.breaker.declared import file_of
from oatie_ops.recovery.breaker.events import Change
from oatie_ops.recovery.breaker.state import State
from oatie_ops.recovery.call_key import call_keys
from oatie_ops.recovery.errors_fingerprint import of_words
from oatie_ops.recovery.errors_report import ErrorReport
from oatie_ops.recovery.errors_services import status
from oatie_ops.recovery.fallback import ServiceFallback
from oatie_ops.recovery.retry import Retry
from oatie_ops.recovery.service import Service, Strategy

P = ParamSpec("P")
R = TypeVar("R")


_managers: weakref.WeakSet[ErrorRecoveryManager] = weakref.WeakSet()


class ErrorRecoveryManager:
    """Any number of threads and tasks may use it. A service that was not registered is, when it is first
    named, with the breaker that oatie.toml declares for it, or the default one.

    Under ``oatie start`` all workers of the host share their breakers, and errors reach the supervisor.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """``directory``: where breakers are shared and declared; ``OATIE_BREAKERS`` without it."""
        self._directory = directory
        self._services: dict[str, Service] = {}
        self._lock = threading.Lock()
        self._declared: dict[str, CircuitBreakerConfig] | None = None
        _managers.add(self)

    # --- registering ------------------------------------------------------------------------------------

    def register_service(
        self,
        service_name: str,
        config: CircuitBreakerConfig | None = None,
        fallback: ServiceFallback | None = None,
        *,
        retry: Retry | None = None,
    ) -> CircuitBreaker:
        """Its breaker. Registering it again replaces what is given and keeps the rest; one with an equal
        configuration keeps what the breaker has counted."""
        with self._lock:
            known = self._services.get(service_name)
            if known is None or (config is not None and config != known.breaker.config):
                breaker = self._make_breaker(service_name, config)
                known = Service(
                    breaker,
                    None if known is None else known.fallback,
                    None if known is None else known.retry,
                    strategies=() if known is None else known.strategies,
                )
                self._services[service_name] = known
            known.fallback = fallback or known.fallback
            known.retry = retry or known.retry
            return known.breaker

    def register_fallback(self, fallback: ServiceFallback) -> ServiceFallback:
        """For its own service, in place of the one before; the fallback itself comes back."""
        self.service(fallback.service_name).fallback = fallback
        return fallback

    def register_recovery_strategy(
        self,
        service_name: str,
        strategy: Callable[[BaseException], Any],
        *,
        errors: tuple[type[Exception], ...] = (Exception,),
    ) -> None:
        """Called with the error of a failed call (sync or async), or without where it takes none, at most
        every 30 s for a service. Unless it raises or returns False, the call is made once more. Strategies
        are tried in this order. An async one is interrupted after the ``timeout`` of the breaker.

        ``errors``: the exceptions that it is for. Raises `TypeError` for what is no function.
        """
        if not callable(strategy):
            raise TypeError("a recovery strategy must be a function")
        service = self.service(service_name)
        service.strategies = (*service.strategies, Strategy(strategy, errors))

    def breaker(self, service_name: str) -> CircuitBreaker:
        """The one that every call of the service goes through; registers what was not."""
        return self.service(service_name).breaker

    def service(self, service_name: str) -> Service:
        """All that is kept of it: breaker, fallback, retry, strategies, counts; registers what was not."""
        found = self._services.get(service_name)
        if found is None:
            self.register_service(service_name)
            found = self._services[service_name]
        return found

    # --- calling ----------------------------------------------------------------------------------------

    def execute_with_recovery(
        self, service_name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Calls it through the service's breaker; where it fails, tries again (`Retry`), then the strategies,
        then the fallback. Raises the call's own error, or `CircuitOpenError`, where nothing helped.

        An async function gives a coroutine. A generator is not begun anew: where it fails before its first
        item, the items of the fallback come instead.
        """
        service = self.service(service_name)
        keys = () if service.fallback is None else call_keys(function, args, kwargs)
        call = execution.Call(service, function, args, kwargs, keys)
        if iscoroutinefunction(function):
            return cast(R, execution.run_async(call))
        if isgeneratorfunction(function):
            return cast(R, stream.run(call))
        if isasyncgenfunction(function):
            return cast(R, stream.run_async(call))
        return cast(R, execution.run(call))

    # --- looking ----------------------------------------------------------------------------------------

    def get_error_summary(self) -> dict[str, Any]:
        """Of this process: ``total_errors``, ``group_count``, counts ``by_service`` and ``by_severity``,
        ``recoveries`` (by way: how they ended), ``last_at`` in epoch seconds, and the newest ``groups`` of
        equal errors (`oatie_ops.recovery.errors_report.ErrorReport`).
        """
        return errors.get_summary()

    def get_service_health(self, service_name: str | None = None) -> dict[str, Any]:
        """Of one service, or by service of all that are registered. In this process.

        ``status`` ("healthy", "degraded", "unhealthy", or "unknown" for what was never named), ``breaker``
        (state, ``retry_after`` in seconds, failures, rejected), ``degraded`` (a fallback serves), counts of
        calls, and the last error with its time in epoch seconds.
        """
        if service_name is not None:
            found = self._services.get(service_name)
            return {"service": service_name, "status": "unknown"} if found is None else _health(found)
        return {name: _health(service) for name, service in sorted(self._services.items())}

    def reset(self) -> None:
        """Forgets every service; for tests."""
        with self._lock:
            self._services.clear()
            self._declared = None

    # --- within -----------------------------------------------------------------------------------------

    def _make_breaker(self, service_name: str, config: CircuitBreakerConfig | None) -> CircuitBreaker:
        directory = self._directory
        if directory is None and (named := os.environ.get(declared.VARIABLE)):
            directory = Path(named)
        if directory is not None and self._declared is None:
            self._declared = declared.read(directory)
        if config is None and self._declared is not None:
            config = self._declared.get(service_name)
        shared = None if directory is None or not directory.is_dir() else file_of(directory, service_name)
        return CircuitBreaker(service_name, config, shared=shared, listeners=(_tell_opened,))

    def after_fork(self) -> None:
        """In the child: whoever held a lock was not taken along."""
        self._lock = threading.Lock()
        for service in self._services.values():
            service.after_fork()


def _health(service: Service) -> dict[str, Any]:
    breaker = service.breaker
    state = breaker.state
    word = status("unknown", {"state": state.value})
    return {
        "service": service.name,
        "status": "degraded" if word == "healthy" and service.degraded else word,
        "breaker": {
            "state": state.value,
            "retry_after": breaker.retry_after,
            "failures": breaker.failure_count,
            "rejected": breaker.rejected,
        },
        "degraded": service.degraded,
        "calls": service.calls,
        "failed": service.failures,
        "served_instead": service.served_instead,
        "last_error": service.last_error,
        "last_error_at": service.last_error_at,
    }


def _tell_opened(change: Change) -> None:
    """A breaker that opens is an event of its own, worse than each of the errors that opened it."""
    if change.after is not State.OPEN or change.shadow:
        return
    now = time.time()
    found = of_words("CircuitOpened", change.service)
    message = f"its circuit breaker opened for {change.retry_after:.3g} s"
    errors.log().add(
        ErrorReport(
            found.key,
            change.service,
            found.kind,
            "",
            f"{message}: {change.error}" if change.error else message,
            "critical",
            1,
            now,
            now,
            os.environ.get("OATIE_RELEASE", ""),
        )
    )


error_recovery_manager = ErrorRecoveryManager()


def _after_fork() -> None:
    for manager in _managers:
        manager.after_fork()


os.register_at_fork(after_in_child=_after_fork)
