"""What a switch target can do: start a candidate beside what serves, gate it, switch, or step back.

The verbs are called in this order; `abort` is right at any point before `commit` and may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from oatie_ops.supervisor.spec import ReleaseSpec

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Running:
    """What serves at the moment. ``release`` is a release's number, or `spec.CHECKOUT`, or None."""

    supervisor_pid: int
    release: str | None
    state: str  # running | degraded | failed | starting | stopping
    app_url: str | None
    ops_url: str | None
    port: int | None = None  # where its application listens; it cannot change while it runs
    candidate: str | None = None  # the release of a switch that is under way
    serving_workers: int = 0
    worker_releases: frozenset[str] = frozenset()
    worker_pids: tuple[int, ...] = ()
    worker_rss_bytes: tuple[int, ...] = ()

    @property
    def serves(self) -> bool:
        return self.release is not None and self.serving_workers > 0

    def has_candidate(self, name: str) -> bool:
        """Does a switch to this release go on, or are workers of it left from one?"""
        return self.candidate == name or (self.release != name and name in self.worker_releases)


class SwitchTarget(Protocol):
    """``tell`` receives what is being waited for. Failures are `OatieError`s that explain themselves."""

    def running(self) -> Running | None:
        """None where no supervisor runs."""
        ...

    def start_supervisor(self) -> int:
        """Starts one without workers; its pid. It leaves by itself when its first switch is aborted."""
        ...

    def leave_if_empty(self) -> None:
        """Ends a supervisor that serves nothing, and returns when it is gone; otherwise does nothing."""
        ...

    def spawn(self, spec: ReleaseSpec, *, health_check: bool, tell: Tell) -> tuple[int, ...]:
        """Opens the switch and starts the candidate's workers, which no user can reach. Their pids."""
        ...

    def gate(self, tell: Tell) -> float:
        """Waits until each new worker is ready. The seconds that it took."""
        ...

    def promote(self) -> float:
        """New connections go to the candidate from here on. The cut-over in milliseconds."""
        ...

    def drain(self, tell: Tell) -> str:
        """Waits until the old workers have no connection left, or their time is over; says which it was."""
        ...

    def bake(self, seconds: float, max_error_ratio: float, tell: Tell) -> None:
        """Watches the new workers under real traffic while the old ones are still warm."""
        ...

    def commit(self) -> None:
        """Retires the old workers for good. Returns only if the candidate is what serves."""
        ...

    def abort(self) -> None:
        """The old release serves again and the candidate is gone."""
        ...
