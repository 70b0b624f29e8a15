"""Another number of workers for the serving release, without losing a request; and remembering it.

The number holds over reloads, deploys and restarts of the supervisor for as long as ``workers`` of the
configuration says what it said when the number was given. Who changes the configuration, decides anew.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from oatie_ops.config.settings import AppSettings, ScaleSettings, Settings
from oatie_ops.errors import Locked, OatieError, UsageError
from oatie_ops.paths import StatePaths
from oatie_ops.records import dataclass
from oatie_ops.supervisor.fleet import Fleet
from oatie_ops.supervisor.machinery import Machinery
from oatie_ops.supervisor.progress import Emit, silent, step
from oatie_ops.supervisor.switch import Switch

FILE_NAME = "scale.json"
POLL_SECONDS = 0.05
SLACK_SECONDS = 5.0


class Resizable(Protocol):
    """What of a supervisor has to do with its number of workers."""

    fleet: Fleet
    machinery: Machinery
    paths: StatePaths
    settings: Settings
    stopping: asyncio.Event

    @property
    def switch(self) -> Switch | None: ...

    def serving_count(self) -> int: ...


@dataclass(frozen=True)
class Remembered:
    """``declared`` is what the configuration said then. ``auto``: the supervisor follows the load."""

    workers: int
    declared: int
    actor: str
    at: float
    auto: bool = False
    min: int = 1
    max: int = 1


def remembered(home: Path, declared: int) -> Remembered | None:
    """None where nothing was decided, the configuration says something else now, or the file is damaged."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        found = Remembered(**json.loads((home / FILE_NAME).read_text(encoding="utf-8")))
        if found.declared == declared and isinstance(found.workers, int) and found.workers >= 1:
            return found
    return None


def remember(home: Path, decision: Remembered) -> None:
    """In one step: a reader sees the old or the new one. Raises `OSError`."""
    path = home / FILE_NAME
    fresh = path.with_suffix(".new")
    try:
        fresh.write_text(json.dumps(asdict(decision)), encoding="utf-8")
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def forget(home: Path) -> None:
    (home / FILE_NAME).unlink(missing_ok=True)


def require_in_bounds(what: str, number: int, bounds: ScaleSettings) -> None:
    """Raises `UsageError`."""
    if not bounds.min <= number <= bounds.max:
        raise UsageError(
            f"{what}={number} is outside of the bounds",
            why=f"[scale] says min = {bounds.min}, max = {bounds.max}",
            fix="change [scale] in oatie.toml, or choose another number",
        )


class Scaling:
    """The order ``scale`` of one supervisor; one at a time."""

    def __init__(self, supervisor: Resizable) -> None:
        self._supervisor = supervisor
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self.decided: Remembered | None = None
        self.told = ""  # what following the load said last

    @property
    def following(self) -> Remembered | None:
        """The bounds within which the load decides; None: it does not."""
        scale = self._supervisor.settings.scale
        if self.decided is not None:
            return self.decided if self.decided.auto else None
        if not scale.auto:
            return None
        count, declared = self._supervisor.fleet.desired, self.declared
        return Remembered(count, declared, "oatie.toml", 0.0, True, scale.min, scale.max)

    async def wait_for_change(self, seconds: float) -> None:
        """Until ``--auto`` is turned on or off, also while nobody waited, or so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        self._changed.clear()

    def status(self) -> dict[str, Any]:
        following = self.following
        return {
            "auto": following is not None,
            "min": following.min if following else self._supervisor.settings.scale.min,
            "max": following.max if following else self._supervisor.settings.scale.max,
            "declared": self.declared,
            "decided_by": self.decided.actor if self.decided else None,
            "said": self.told if following else "",
        }

    @property
    def declared(self) -> int:
        return self._app().workers

    def wanted(self, declared: int) -> int:
        """How many workers a release that declares so many gets."""
        found = remembered(self._supervisor.paths.home, declared)
        self.decided = found
        return found.workers if found else declared

    async def scale(self, workers: int | None, actor: str, emit: Emit = silent) -> dict[str, Any]:
        """Resizes and remembers. ``workers`` None: back to what is declared. Returns (and emits) the result.

        More: every new worker has to be ready in time, or what was there before stays. Fewer: those that go
        accept no more, finish what they have, and end. Raises `OatieError` where it is refused at once.
        """
        self._require_possible(workers)
        before, target = self._supervisor.fleet.desired, workers or self.declared
        async with self._lock:
            began = time.monotonic()
            try:
                await self._resize(before, target, emit)
            except OatieError as error:
                await self._supervisor.fleet.scale(before)
                self._note(f"scaling to {target} workers failed: {error.why or error.what}")
                result = {"event": "result", "status": "failed", "workers": before, "error": error.as_dict()}
                emit(result)
                return result
            try:
                self._remember(workers, actor)
            except OSError as error:
                lost = f"the number holds until the supervisor ends; it cannot be kept: {error.strerror}"
                self._note(lost)
                emit(step("unkept", lost))
        self._note(f"scaled from {before} to {target} workers, asked by {actor}")
        took = round(time.monotonic() - began, 3)
        result = {"event": "result", "status": "scaled", "workers": target, "before": before, "seconds": took}
        emit(result)
        return result

    def set_auto(self, auto: bool, least: int, most: int, actor: str) -> Remembered:
        """Whether the load decides from now on, between ``least`` and ``most``."""
        current = self._supervisor.fleet.desired
        self.decided = Remembered(current, self.declared, actor, time.time(), auto, least, most)
        try:
            remember(self._supervisor.paths.home, self.decided)
        except OSError as error:
            self._note(f"whether the load decides cannot be kept: {error.strerror}")
        self._changed.set()
        bounds = f" between {least} and {most}" if auto else ""
        self._note(f"scaling by the load{bounds} turned {'on' if auto else 'off'} by {actor}")
        return self.decided

    def require_idle(self) -> None:
        """Raises `Locked`."""
        if self._lock.locked():
            raise Locked("a resize is under way", fix="wait for it to end (`oatie status` shows it)")

    def _require_possible(self, workers: int | None) -> None:
        supervisor = self._supervisor
        if supervisor.switch is not None:
            raise Locked(
                "a switch is under way",
                why=f"release {supervisor.switch.candidate.spec.name} is being {supervisor.switch.stage}",
                fix="wait for it to end (`oatie status` shows it)",
            )
        self.require_idle()
        if supervisor.stopping.is_set():
            raise OatieError("the supervisor is stopping", fix="start it again with `oatie start`")
        generation = supervisor.fleet.generation
        if generation is None:
            raise OatieError(
                "nothing to resize", why="no release is serving", fix="deploy one: `oatie deploy`"
            )
        if workers is None:
            return
        require_in_bounds("workers", workers, supervisor.settings.scale)
        if workers > 1 and generation.owns_port:
            raise UsageError(
                "a program that binds the port itself cannot have more than one process",
                fix='set socket = "activation" in [app] for a program that takes LISTEN_FDS',
            )

    async def _resize(self, before: int, target: int, emit: Emit) -> None:
        fleet, app = self._supervisor.fleet, self._app()
        if target > before:
            emit(step("boot", f"{target - before} more workers boot"))
            await fleet.scale(target)
            deadline = time.monotonic() + app.boot_timeout_seconds + app.ready_timeout_seconds + SLACK_SECONDS
            while self._supervisor.serving_count() < target:
                failure = fleet.failure
                if failure is not None:
                    raise OatieError(
                        f"a new worker is not ready, so {before} workers serve on",
                        why=failure.why or failure.what,
                        fix="see `oatie logs`",
                    )
                if time.monotonic() > deadline or self._supervisor.stopping.is_set():
                    raise OatieError(f"the new workers were not ready in time, so {before} serve on")
                await asyncio.sleep(POLL_SECONDS)
            emit(step("ready", f"{target} workers serve"))
        elif target < before:
            emit(step("drain", f"{before - target} workers finish what they have"))
            await fleet.scale(target)
            emit(step("gone", f"{target} workers serve"))

    def _remember(self, workers: int | None, actor: str) -> None:
        """A number that a person gives ends following the load."""
        home, following = self._supervisor.paths.home, self.following
        if workers is None:
            forget(home)
            self.decided = None
            return
        now = time.time()
        if following is not None and actor.startswith("autoscale"):
            bounds = (True, following.min, following.max)
            self.decided = Remembered(workers, self.declared, actor, now, *bounds)
        else:
            self.decided = Remembered(workers, self.declared, actor, now)
        remember(home, self.decided)

    def _app(self) -> AppSettings:
        """Of the release that serves; of the configuration, as long as there is none."""
        generation = self._supervisor.fleet.generation
        return generation.spec.app if generation else self._supervisor.settings.app

    def _note(self, message: str) -> None:
        self._supervisor.machinery.sink.note(message)
