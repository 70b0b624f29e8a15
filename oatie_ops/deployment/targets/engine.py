"""What a target that runs containers can do on top of switching or rolling out (docker, swarm, kubernetes).

A new target is one class with these verbs and one entry in `oatie_ops.deployment.targets.registry`:

* a *switch* target (docker) also has those of `SwitchTarget`: start a candidate, gate it, switch, step back;
* a *rollout* target (swarm, kubernetes) also has those of `RolloutTarget`: hand the release to the engine,
  watch it to its real end, undo.

Nothing here, and nothing that decides, imports an SDK: that is done in the one adapter of each engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from oatie_ops.deployment.problem import Problem
from oatie_ops.deployment.targets.base import DeployTarget, Tell
from oatie_ops.deployment.targets.inside import Said
from oatie_ops.supervisor.spec import ReleaseSpec

Manner = Literal["switch", "rollout"]
Decision = Literal["finish", "undo"]
# Name and coordinates of an engine, as JSON: enough to find again what was deployed there, whatever the
# configuration says by then.
Place = dict[str, Any]


@dataclass(frozen=True)
class Preparation:
    """One thing that has to be there before a candidate starts: accessories, a proxy, a network, secrets."""

    name: str
    why: str
    undo: str = ""


@dataclass(frozen=True)
class EngineFacts:
    """What looking at the engine has found, before anything is changed.

    ``found`` is the line of the step `prerequisites`; ``image`` says what the image is made from;
    ``replicas`` is how many containers of a release serve, ``unit`` what this engine calls them.
    ``counts_errors``: of a switch target, whether its bake sees the share of 5xx.
    """

    target: str
    manner: Manner
    found: str
    image: str
    replicas: int
    unit: str = "container"
    counts_errors: bool = True
    problems: tuple[Problem, ...] = ()
    preparations: tuple[Preparation, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Replica:
    """One container or pod as it is now. ``address``: ``host:port`` of the application, where reachable."""

    id: str
    name: str
    release: str
    state: str  # starting | serving | draining | stopped | failed
    healthy: bool | None = None
    node: str = ""
    address: str = ""
    started_at: float | None = None
    restarts: int = 0
    pid: int | None = None
    rss_bytes: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class LogQuery:
    """``since``: seconds since the epoch. ``lines``: at most the last so many; None: all."""

    follow: bool = False
    replica: str | None = None
    since: float | None = None
    lines: int | None = 100


class Engine(DeployTarget, Protocol):
    """Every call has a deadline. Failures are `OatieError`s that explain themselves."""

    name: ClassVar[str]

    def place(self) -> Place: ...

    def look(self, *, release: int, rollback: bool) -> EngineFacts:
        """Changes nothing; an engine that does not answer is one of the problems."""
        ...

    def build(self, release: str, output: Tell) -> str:
        """Makes or pulls the image of the release; its reference, pinned by digest or id."""
        ...

    def remove_image(self, release: str) -> None:
        """The undo of `build`; harmless where there is none."""
        ...

    def release_command(self, spec: ReleaseSpec, command: str, timeout_seconds: float, output: Tell) -> None:
        """Runs it once, in a container of the release. Raises `CommandFailed` or `CommandTimedOut`."""
        ...

    def prepare(self, name: str, spec: ReleaseSpec, tell: Tell) -> str:
        """Does one of the preparations that `look` named; says what it did."""
        ...

    def unprepare(self, name: str) -> None:
        """Takes away what `prepare` has made in this run, and nothing that was there before."""
        ...

    def bake(self, seconds: float, max_error_ratio: float, tell: Tell) -> None:
        """Watches the release under real traffic while it can still be turned back."""
        ...

    def settle(self, release: str, *, committing: bool) -> Decision:
        """Puts in order what a killed run left at the engine: forward where it was committing and the release
        serves, else back. Idempotent; leaves no container, network, route or service of the release."""
        ...

    def prune(self, kept: Collection[str]) -> list[str]:
        """Removes what is left of releases that are not kept; says what."""
        ...

    def replicas(self) -> list[Replica]: ...

    def inside(self, replica: Replica, argv: Sequence[str]) -> Said:
        """Runs a command in the container of a replica; several threads ask at once. Its own deadline counts.

        Raises `NoProgram` where there is none of this name, `OutOfReach` where no way leads there.
        """
        ...

    def status(self) -> dict[str, Any]:
        """In the shape of ``oatie status --json`` (`oatie_ops.deployment.targets.status`)."""
        ...

    def start(self, release: str, spec: ReleaseSpec, tell: Tell) -> None:
        """What was stopped runs again; returns when it is healthy."""
        ...

    def stop(self, timeout_seconds: float | None, tell: Tell) -> int:
        """Returns how many replicas were stopped; they stay known, so that `start` finds them."""
        ...

    def restart(self, spec: ReleaseSpec, tell: Tell) -> None:
        """Replaces or restarts the replicas one after the other, without a gap (`oatie recover`)."""
        ...

    def scale(self, spec: ReleaseSpec, replicas: int, tell: Tell) -> None: ...

    def logs(self, query: LogQuery) -> Iterator[bytes]:
        """Lines as `oatie_ops.supervisor.logline` has them."""
        ...


class RolloutTarget(Engine, Protocol):
    """The engine does the rollout; these hand it over, follow it, and turn it back."""

    def apply(self, spec: ReleaseSpec, tell: Tell) -> str:
        """Hands the release to the engine; says what changed."""
        ...

    def watch(self, *, health_check: bool, tell: Tell) -> str:
        """Returns when the rollout has really ended and the release serves; raises `GateFailed` otherwise,
        as early as it is certain, and at the deadline."""
        ...

    def undo(self) -> None:
        """What served before `apply` serves again. Returns when that is so; may be repeated."""
        ...
