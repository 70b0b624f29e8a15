"""From the snapshot of the check loop to what the ladders look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from oatie_ops.health.model import CheckState, ServiceState, Snapshot, Status
from oatie_ops.health.schedule import DOUBT_FACTOR, MIN_DOUBT_SECONDS
from oatie_ops.recovery.ladder_state import Seen


def see(snapshot: Snapshot) -> Mapping[str, Seen]:
    return {name: _seen(state) for name, state in snapshot.services.items()}


def _seen(state: ServiceState) -> Seen:
    return Seen(
        status=state.status,
        output=state.output,
        maintenance=state.maintenance is not None,
        consequence_of=state.consequence_of,
        flapping=state.flapping,
        patience_seconds=_patience(state),
        doubtful=any(_doubtful(entry.state) for entry in state.checks),
    )


def _doubtful(check: CheckState) -> bool:
    return check.undecided and check.last is not None and check.last.status is Status.FAIL


def _patience(state: ServiceState) -> float:
    """How long its checks need to see that it works again: they run faster while they are in doubt."""
    return max(
        (
            max(MIN_DOUBT_SECONDS, entry.spec.interval_seconds / DOUBT_FACTOR) * (entry.spec.rise + 1)
            + entry.spec.timeout_seconds
            for entry in state.checks
        ),
        default=0.0,
    )
