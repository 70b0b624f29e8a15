"""Thresholds with memory: a value that hovers around a limit does not make the status flap."""

from __future__ import annotations

from dataclasses import dataclass

from oatie_ops.health.model import CheckSpec, Status

LEAVE_BELOW = 3.0


@dataclass(frozen=True)
class Thresholds:
    """Entered at ``*_enter`` and left only below ``*_leave``. ``fail_*`` None: never worse than a warning."""

    warn_enter: float
    warn_leave: float
    fail_enter: float | None = None
    fail_leave: float | None = None

    def status(self, previous: Status, value: float) -> Status:
        if self._over(value, previous is Status.FAIL, self.fail_enter, self.fail_leave):
            return Status.FAIL
        alarmed = previous in (Status.WARN, Status.FAIL)
        if self._over(value, alarmed, self.warn_enter, self.warn_leave):
            return Status.WARN
        return Status.PASS

    @staticmethod
    def _over(value: float, inside: bool, enter: float | None, leave: float | None) -> bool:
        if enter is None:
            return False
        return value >= enter or (inside and leave is not None and value >= leave)


def declared(spec: CheckSpec, otherwise: Thresholds, leave_below: float = LEAVE_BELOW) -> Thresholds:
    """``warn`` and ``fail`` of the file, left at ``*_leave``, or ``leave_below`` lower."""
    options = spec.options
    if "warn" not in options or "fail" not in options:
        return otherwise
    warn, fail = float(options["warn"]), float(options["fail"])
    warn_leave = float(options.get("warn_leave", warn - leave_below))
    return Thresholds(warn, warn_leave, fail, float(options.get("fail_leave", fail - leave_below)))
