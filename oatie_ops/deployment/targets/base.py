"""What a switch target can do: start a candidate beside what serves, gate it, switch, or step back.

The verbs are called in this order; `abort` is right at any point before `commit` and may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from oatie_ops.errors import OatieError
from oatie_ops.supervisor.spec import ReleaseSpec

Tell = Callable[[str], None]


class SpawnFailed(OatieError):
    """The new workers could not be started."""


class GateFailed(OatieError):
    """A new worker did not become ready; no user has seen the release."""


class PromotionFailed(OatieError):
    """The new workers could not take over."""


class BakeFailed(OatieError):
    """The new workers served, and did not prove themselves."""


class SupervisorStopped(OatieError):
    """Somebody stopped the supervisor in the middle of the switch."""


@dataclass(frozen=True)
class Running:
    """What serves at the moment. ``release`` is a release's number, or `spec.CHECKOUT`, or None.

    Until a switch is committed, ``release`` stays the one before it, although the candidate's workers may
    serve already (``stage`` promoted): `answering` is what users get.
    """

    supervisor_pid: int
    release: str | None
    state: str  # running | degraded | failed | starting | stopping
    app_url: str | None
    ops_url: str | None
    port: int | None = None  # where its application listens
    host: str | None = None
    candidate: str | None = None  # the release of a switch that is under way
    stage: str | None = None  # of that switch: opened | spawned | gated | promoted
    serving_workers: int = 0
    worker_releases: frozenset[str] = frozenset()
    serving_releases: frozenset[str] = frozenset()
    worker_pids: tuple[int, ...] = ()
    worker_rss_bytes: tuple[int, ...] = ()

    @property
    def serves(self) -> bool:
        return not self.stopping and self.release is not None and self.serving_workers > 0

    @property
    def stopping(self) -> bool:
        return self.state == "stopping"

    @property
    def answering(self) -> str | None:
        if not self.stopping and self.candidate in self.serving_releases:
            return self.candidate
        return self.release if self.serves else None

    def has_candidate(self, name: str) -> bool:
        """Does a switch to this release go on, or is it still being stepped back from?

        Workers that only wait for their last connection, beside a release that serves, are no part of it.
        """
        if self.candidate == name:
            return True
        return self.leaves(name) and not self.stopping and not self.serving_releases - {name}

    def leaves(self, name: str) -> bool:
        """Are there workers of this release although another one, or none, is the serving one?"""
        return self.release != name and name in self.worker_releases


class DeployTarget(Protocol):
    """What every target can do: tell what serves, and take a release for good."""

    def running(self) -> Running | None:
        """None where nothing runs."""
        ...

    def leave_if_empty(self) -> None:
        """Ends what was started for a release and serves nothing; otherwise does nothing."""
        ...

    def commit(self) -> tuple[str, ...]:
        """Retires what served before, for good. Returns only if the candidate is what serves.

        The sentences tell an operator what else is different from now on.
        """
        ...


class SwitchTarget(DeployTarget, Protocol):
    """``tell`` receives what is being waited for. Failures are `OatieError`s that explain themselves."""

    def start_supervisor(self) -> int:
        """Starts one without workers; its pid. It leaves by itself when its first switch is aborted."""
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

    def abort(self) -> None:
        """The old release serves again and the candidate is gone."""
        ...
