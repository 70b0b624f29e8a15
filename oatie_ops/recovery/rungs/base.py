"""What an action is, and what actions may use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from oatie_ops.health.threads import CheckThreads
from oatie_ops.identity import ProcessIdentity


class ActionFailed(Exception):
    """It was tried and did not work; the text is one line for people and holds no secret."""


class Refused(ActionFailed):
    """It could not even be begun."""


@dataclass(frozen=True)
class Occasion:
    """Why an action runs. ``output`` is what the failing check found, ``attempt`` counts from 1."""

    service: str
    status: str
    output: str
    rung: int
    attempt: int
    actor: str


class Action(Protocol):
    async def run(self, occasion: Occasion) -> str:
        """Acts; one line for people about what was done. Cancelled at its deadline.

        Raises `ActionFailed`, or `OSError`.
        """
        ...


class Workers(Protocol):
    """The supervisor, as far as it can give the application new processes."""

    async def reload(self, actor: str) -> dict[str, Any]:
        """New workers of the same release, zero-drop; the ``result`` event."""
        ...

    async def restart_hard(self, actor: str) -> int:
        """Ends all workers and waits until as many new ones serve; how many."""
        ...


class Rollout(Protocol):
    """A target whose engine can replace all instances of the running release (swarm, kubernetes, docker)."""

    async def restart(self) -> str:
        """Returns when the engine calls it complete; one line about what it did. Raises `OatieError`.

        Cancelled at the rung's deadline; what the engine has begun by then goes on.
        """
        ...


Degrade = Callable[[str, str, str], Awaitable[str]]
"""What to degrade, the failing service, and why; one line about who obeys. It lasts until `Restore`."""
Restore = Callable[[str, str], Awaitable[None]]
"""What was degraded, and the service that is well again."""
Pages = Callable[[str, str, str], Awaitable[None]]
"""Channel, service and text. Raises `ActionFailed` where it is known not to arrive."""


@dataclass(frozen=True)
class Tools:
    """None: this process has no such thing. ``kept`` is told which processes a command has left running:
    they belong to the operator and must outlive us.
    """

    root: Path
    threads: CheckThreads
    workers: Workers | None = None
    rollout: Rollout | None = None
    degrade: Degrade | None = None
    restore: Restore | None = None
    page: Pages | None = None
    kept: Callable[[Iterable[ProcessIdentity]], None] = lambda _processes: None
