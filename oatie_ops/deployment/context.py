"""What the steps of one run share: the facts, the tools, and what they find out on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from oatie_ops.deployment.facts import Facts, live
from oatie_ops.deployment.interrupts import Interrupts
from oatie_ops.deployment.lock import DeployLock
from oatie_ops.deployment.manifest import Manifest, write
from oatie_ops.deployment.run_journal import RunJournal
from oatie_ops.deployment.targets.base import DeployTarget, SwitchTarget
from oatie_ops.deployment.targets.engine import RolloutTarget
from oatie_ops.deployment.who import Who
from oatie_ops.paths import StatePaths
from oatie_ops.store import Store
from oatie_ops.supervisor.spec import ReleaseSpec

T_co = TypeVar("T_co", bound=DeployTarget, covariant=True)


@dataclass
class Deployment(Generic[T_co]):
    """``release`` is None until its number is taken; ``lock`` and store are kept until `close`.

    ``previous`` is the release recorded as serving, ``replaces`` whether anything serves in fact.
    ``switch_open``: the supervisor may have workers of the new release. ``gap_ms``: how long nothing
    answered, where a program was stopped before its successor could start. ``kept_data``: databases of a
    removed release, where they are now.
    """

    facts: Facts
    paths: StatePaths
    journal: RunJournal
    target: T_co
    interrupts: Interrupts
    who: Who
    lock: DeployLock
    wait_lock_seconds: float = 0.0
    release: int | None = None
    previous: int | None = None
    replaces: bool = False
    switch_open: bool = False
    gap_ms: float | None = None
    kept_data: tuple[Path, ...] = ()
    made: Manifest | None = None
    opened: Store | None = None

    @property
    def number(self) -> int:
        assert self.release is not None, "the lock step takes the number"
        return self.release

    @property
    def store(self) -> Store:
        assert self.opened is not None, "the lock step opens the store"
        return self.opened

    def store_if_any(self) -> Store | None:
        """Before the lock, nothing may be made: only a store that is there already is opened."""
        if self.opened is None and self.paths.database.exists():
            self.opened = Store.open(self.paths.database)
        return self.opened

    def close(self) -> None:
        if self.opened is not None:
            self.opened.close()
        self.lock.release()

    @property
    def known_previous(self) -> int | None:
        return self.facts.previous if self.release is None else self.previous

    @property
    def directory(self) -> Path:
        return self.paths.releases / str(self.number)

    @property
    def manifest(self) -> Manifest:
        assert self.made is not None, "the snapshot writes the manifest"
        return self.made

    @property
    def spec(self) -> ReleaseSpec:
        return live(self.manifest.spec(), self.facts.settings)

    def record(
        self,
        app: Path,
        *,
        python: str | None = None,
        build_key: str | None = None,
        place: dict[str, Any] | None = None,
        image: str | None = None,
    ) -> None:
        """Writes the manifest: with what this release is run, now and in any later rollback to it."""
        stored = self.store.releases.get(self.number)
        assert stored is not None
        self.made = Manifest(
            number=self.number,
            created_at=stored.created_at,
            app=self.facts.app,
            directory=app,
            python=python,
            build_key=build_key,
            source=stored.source,
            place=place,
            image=image,
        )
        write(self.directory, self.made)


Switching = Deployment[SwitchTarget]
RollingOut = Deployment[RolloutTarget]
AnyDeployment = Deployment[DeployTarget]
