"""From results to a status: one pure function, the same for every check type."""

from __future__ import annotations

from dataclasses import replace

from oatie_ops.health.model import CheckState, Instant, Result, Status


def initial(now: Instant) -> CheckState:
    return CheckState(status=Status.UNKNOWN, since=now)


def evaluate(previous: CheckState, result: Result, rise: int, fall: int, now: Instant) -> CheckState:
    """The state after one more ``result``.

    A status gets worse after ``fall`` results in a row that are at least that bad, and better after
    ``rise`` results in a row that are at least that good (as ``rise``/``fall`` of HAProxy, extended to
    ``warn``). Out of ``unknown`` the first result that says anything counts at once: there is nothing to
    hold on to. A result of ``unknown`` neither helps nor harms, but ``fall`` of them make the status unknown.
    """
    counted = _counted(previous, result, now)
    status = _status(counted, result.status, rise, fall)
    return counted if status is counted.status else replace(counted, status=status, since=now)


def _counted(state: CheckState, result: Result, now: Instant) -> CheckState:
    """With the result taken in, and the status as it was."""
    if result.status is Status.UNKNOWN:
        return replace(state, unknowns=state.unknowns + 1, checked_at=now, last=result)
    passed, failed = result.status is Status.PASS, result.status is Status.FAIL
    return CheckState(
        status=state.status,
        since=state.since,
        checked_at=now,
        last=result,
        passes=state.passes + 1 if passed else 0,
        not_fails=0 if failed else state.not_fails + 1,
        not_passes=0 if passed else state.not_passes + 1,
        fails=state.fails + 1 if failed else 0,
        unknowns=0,
    )


def _status(counted: CheckState, result: Status, rise: int, fall: int) -> Status:
    current = counted.status
    if result is Status.UNKNOWN:
        return Status.UNKNOWN if counted.unknowns >= fall else current
    if current is Status.UNKNOWN:
        return result
    if current is not Status.FAIL and counted.fails >= fall:
        return Status.FAIL
    if current is Status.PASS and counted.not_passes >= fall:
        return Status.WARN
    if current is not Status.PASS and counted.passes >= rise:
        return Status.PASS
    if current is Status.FAIL and counted.not_fails >= rise:
        return Status.WARN
    return current
