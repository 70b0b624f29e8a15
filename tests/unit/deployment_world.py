"""A deploy in a temporary directory with everything real except the supervisor, which is a few lines here.

The store, the lock, the snapshot, the journal and the engine are the real ones; `FakeTarget` keeps what the
supervisor would (who serves, which candidate there is) and can be told to fail at any verb.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from oatie_ops.config.settings import AppSettings, DeploySettings, Settings
from oatie_ops.deployment import manifest
from oatie_ops.deployment.conduct import conduct
from oatie_ops.deployment.context import Deployment
from oatie_ops.deployment.events import Event, Events, Result, Step
from oatie_ops.deployment.facts import Facts, gather_deploy, gather_rollback
from oatie_ops.deployment.host import Host, Port
from oatie_ops.deployment.interrupts import Interrupts
from oatie_ops.deployment.lock import DeployLock
from oatie_ops.deployment.plan import Plan, plan
from oatie_ops.deployment.run_journal import RunJournal
from oatie_ops.deployment.targets.base import Running, Tell
from oatie_ops.deployment.who import Who
from oatie_ops.errors import OatieError
from oatie_ops.identity import ProcessIdentity
from oatie_ops.paths import StatePaths
from oatie_ops.store import Store
from oatie_ops.supervisor.spec import ReleaseSpec

Hook = Callable[[], None]
PLENTY_BYTES = 10 * 2**30


@dataclass
class FakeTarget:
    """``before`` maps a verb to what happens at its start: raise, send a signal, anything."""

    serving: str | None = None
    candidate: str | None = None
    promoted: bool = False
    supervised: bool = False
    before: dict[str, Hook] = field(default_factory=dict)
    verbs: list[str] = field(default_factory=list)
    cutover_ms: float = 3.0
    lingering: frozenset[str] = frozenset()  # releases whose last clients have not left yet

    def running(self) -> Running | None:
        if not self.supervised:
            return None
        workers = 2 if self.serving else 0
        return Running(
            supervisor_pid=os.getpid(),
            release=self.serving,
            state="running",
            app_url="http://127.0.0.1:8080",
            ops_url=None,
            port=8080,
            candidate=self.candidate,
            stage="promoted" if self.promoted else "gated" if self.candidate else None,
            serving_releases=frozenset(filter(None, (self.candidate if self.promoted else self.serving,))),
            serving_workers=workers,
            worker_releases=frozenset({self.serving} if self.serving else ()) | self.lingering,
            worker_rss_bytes=(30 * 2**20,) * workers,
        )

    def start_supervisor(self) -> int:
        self._verb("start_supervisor")
        self.supervised = True
        return 4711

    def leave_if_empty(self) -> None:
        self._verb("leave_if_empty")
        self.supervised = self.serving is not None

    def spawn(self, spec: ReleaseSpec, *, health_check: bool, tell: Tell) -> tuple[int, ...]:
        self._verb("spawn")
        self.candidate = spec.name
        return (101, 102)

    def gate(self, tell: Tell) -> float:
        self._verb("gate")
        tell("worker 1: GET /ready: status 503")
        return 0.2

    def promote(self) -> float:
        self._verb("promote")
        self.promoted = True
        return self.cutover_ms

    def drain(self, tell: Tell) -> str:
        self._verb("drain")
        return "every connection left by itself"

    def bake(self, seconds: float, max_error_ratio: float, tell: Tell) -> None:
        self._verb("bake")

    def commit(self) -> tuple[str, ...]:
        self._verb("commit")
        assert self.promoted, "committed without a promotion"
        self.serving, self.candidate, self.promoted = self.candidate, None, False
        return ()

    def abort(self) -> None:
        self._verb("abort")
        self.candidate, self.promoted = None, False

    def lose_lease(self) -> None:
        """What a real supervisor does when the deploying process is gone."""
        self.candidate, self.promoted = None, False
        self.supervised = self.serving is not None

    def _verb(self, name: str) -> None:
        self.verbs.append(name)
        self.before.get(name, lambda: None)()


def refuse(message: str = "it broke") -> Hook:
    def hook() -> None:
        raise OatieError(message, why="it was weak", fix="strengthen it", details=["last log line"])

    return hook


class World:
    """A checkout with one file, its state, and what serves."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "checkout"
        self.root.mkdir()
        (self.root / "main.py").write_text("app = None\n")
        self.settings = Settings(
            root=self.root,
            app=AppSettings(name="shop", run="main:app", port=8080, ready="/ready"),
            deploy=DeploySettings(bake_seconds=5.0),
        )
        self.paths = StatePaths(self.root / ".oatie")
        self.target = FakeTarget()
        self.events: list[Event] = []

    def configure(self, **deploy: object) -> None:
        self.settings = replace(self.settings, deploy=replace(self.settings.deploy, **deploy))  # type: ignore[arg-type]

    def facts(self, *, health_check: bool = True) -> Facts:
        found = gather_deploy(self.settings, self.paths, self.target.running(), health_check=health_check)
        return replace(found, host=healthy_host(self.paths.home))

    def rollback_facts(self, number: int) -> Facts:
        made = manifest.read(self.paths.releases / str(number))
        with self.store() as store:
            previous = store.releases.serving()
        found = gather_rollback(self.settings, self.paths, self.target.running(), made, previous)
        return replace(found, host=healthy_host(self.paths.home))

    def deploy(self, interrupts: Interrupts | None = None) -> Result:
        return self.carry_out(self.facts(), interrupts)

    def rollback(self, number: int) -> Result:
        return self.carry_out(self.rollback_facts(number))

    def carry_out(self, facts: Facts, interrupts: Interrupts | None = None) -> Result:
        made = plan(facts)
        run = self.run_of(facts, made, interrupts or Interrupts())
        return conduct(made, run, Events([self.events.append]))

    def run_of(self, facts: Facts, made: Plan, interrupts: Interrupts) -> Deployment:
        return Deployment(
            facts=facts,
            paths=self.paths,
            journal=RunJournal(facts.kind, "ada", [step.name for step in made.steps]),
            target=self.target,
            interrupts=interrupts,
            who=Who("ada", "tty 1"),
            lock=DeployLock(self.paths.deploy_lock),
        )

    def end_run(self) -> None:
        """The journal's owner is this test; from now on it is a process that has ended."""
        dead = {**ProcessIdentity.current().to_dict(), "started": "never"}
        with sqlite3.connect(self.paths.database) as connection:
            connection.execute("UPDATE runs SET owner = ?", (json.dumps(dead),))

    def store(self) -> Store:
        return Store.open(self.paths.database)

    def release_directories(self) -> list[str]:
        return sorted(place.name for place in self.paths.releases.iterdir())

    def done(self) -> list[str]:
        return [e.step for e in self.events if isinstance(e, Step) and e.state == "done"]


def healthy_host(home: Path) -> Host:
    return Host(
        python=(3, 12),
        venv_problem="",
        state_home=home,
        state_problem="",
        disk_free_bytes=PLENTY_BYTES,
        memory_available_bytes=PLENTY_BYTES,
        app_port=Port("127.0.0.1", 8080),
    )
