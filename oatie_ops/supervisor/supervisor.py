"""The long-lived process: owns the socket, the workers, the switches; answers the CLI and the ops API."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, field
from typing import TYPE_CHECKING, Any

from oatie_ops._version import __version__
from oatie_ops.config.settings import Settings
from oatie_ops.errors import Locked, OatieError
from oatie_ops.identity import ProcessIdentity
from oatie_ops.paths import StatePaths
from oatie_ops.records import dataclass
from oatie_ops.recovery.breaker.declared import publish_declared
from oatie_ops.supervisor.fleet import TICK_SECONDS, Fleet
from oatie_ops.supervisor.generations import Generations
from oatie_ops.supervisor.listen import PublicSocket
from oatie_ops.supervisor.machinery import Machinery
from oatie_ops.supervisor.memory import rss_bytes
from oatie_ops.supervisor.notify import Notifier
from oatie_ops.supervisor.progress import Emit, silent
from oatie_ops.supervisor.reaper import children, started_by_recovery
from oatie_ops.supervisor.reload import Coalesced, carry_out, with_todays_secrets
from oatie_ops.supervisor.scaling import Scaling
from oatie_ops.supervisor.spec import ReleaseSpec
from oatie_ops.supervisor.state import state_of, switch_status, worker_status
from oatie_ops.supervisor.switch import Stage, Switch
from oatie_ops.supervisor.urls import human_urls
from oatie_ops.supervisor.workers import Worker
from oatie_ops.traffic.totals import Totals

if TYPE_CHECKING:
    from oatie_ops.performance.measured import Measured
    from oatie_ops.performance.sampler import Sampler

# A supervisor that a deploy started has this long to be given its first release.
EMPTY_SECONDS = 60.0
# What ends after SIGKILL ends within this.
KILL_SECONDS = 5.0


async def _nothing_to_apply() -> None:
    """Until the ops API is there, everything that goes by the settings is yet to be made."""


@dataclass
class Supervisor:
    """Everything that happens to the application goes through here, on one event loop."""

    settings: Settings
    paths: StatePaths
    machinery: Machinery
    notifier: Notifier
    first_public: PublicSocket
    fleet: Fleet = field(init=False)
    generations: Generations = field(init=False)
    scaling: Scaling = field(init=False)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    started_at: float = field(default_factory=time.time)
    started_empty: bool = False
    drain_seconds: float = 0.0
    quick: bool = False
    ops_address: tuple[str, int] | None = None
    ops_failure: str = ""
    sampler: Sampler | None = None
    apply_settings: Callable[[], Awaitable[None]] = _nothing_to_apply
    _reload_failed: bool = False
    _configured_at: float = field(default_factory=time.time)
    _reloads: Coalesced = field(init=False)
    _kept: set[ProcessIdentity] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.fleet = Fleet(self.machinery, self.settings.app)
        self.generations = Generations(self.fleet, self.machinery, self.first_public)
        self._reloads = Coalesced(self._reload_noting)
        self.scaling = Scaling(self)
        self.fleet.desired = self.scaling.wanted(self.settings.app.workers)

    async def tick_forever(self) -> None:
        """The only thing that wakes an idle supervisor."""
        while not self.stopping.is_set():
            await asyncio.sleep(TICK_SECONDS)
            self.fleet.tick()
            self.notifier.watchdog()

    async def exit_if_left_empty(self) -> None:
        """A supervisor without a release and without a switch under way has nothing to do."""
        await asyncio.sleep(EMPTY_SECONDS)
        if self.fleet.generation is None and self.switch is None:
            self.stop()

    def stop(self, *, quick: bool = False, drain_seconds: float | None = None) -> float:
        """Graceful the first time, at once the second. Seconds after which it is over at the latest."""
        app = self.fleet.generation.spec.app if self.fleet.generation else self.settings.app
        self.drain_seconds = app.drain_seconds if drain_seconds is None else drain_seconds
        self.quick = self.quick or quick or self.stopping.is_set()
        self.stopping.set()
        if self.quick:
            for worker in [worker for generation in self.generations.alive() for worker in generation.living]:
                worker.expected_end = True
                worker.kill()
        return (0.0 if self.quick else self.drain_seconds) + app.stop_timeout_seconds + KILL_SECONDS

    async def shut_down(self) -> None:
        """Lets every connection leave, within one ``drain`` for all, then ends the workers.

        A switch under way is not undone: nobody is going to serve after this.
        """
        self.notifier.stopping("draining")
        if self.switch is not None:
            await self.switch.give_up()
        generations = self.generations.alive()
        self.fleet.release()
        await asyncio.gather(*(generation.drain_all() for generation in generations))
        for generation in generations:
            generation.public.refuse()
        deadline = time.monotonic() + self.drain_seconds
        drained = asyncio.gather(*(generation.wait_drained(deadline) for generation in generations))
        while not drained.done() and not self.quick:
            await asyncio.wait({drained}, timeout=0.1)
        drained.cancel()
        grace = 0.0 if self.quick else None
        await asyncio.gather(*(generation.retire(grace) for generation in generations))
        if self.machinery.front is not None:
            await self.machinery.front.close()
        self._end_adopted()

    def _end_adopted(self) -> None:
        """What workers left behind in sessions of their own, and the kernel then gave to us."""
        for pid in children().keys() - self.machinery.reaper.expected():
            if ProcessIdentity.of(pid) in self._kept or started_by_recovery(pid):
                continue
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def open_switch(
        self, spec: ReleaseSpec, *, workers: int | None = None, health_check: bool = True
    ) -> Switch:
        self._require_no_switch()
        if self.stopping.is_set():
            raise OatieError("the supervisor is stopping", fix="start it again with `oatie start`")
        generation = self.generations.make(spec)
        self.generations.switch = switch = Switch(
            f"s{generation.number}",
            generation,
            self.fleet,
            self.machinery,
            workers=workers or self.scaling.wanted(spec.app.workers),
            health_check=health_check,
            max_error_ratio=self.settings.deploy.bake_max_error_ratio,
            leave=self.generations.let_leave,
            on_own_abort=self._forget_switch,
        )
        return switch

    def _require_no_switch(self) -> None:
        if self.switch is not None:
            raise Locked(
                "another switch is under way",
                why=f"release {self.switch.candidate.spec.name} is being {self.switch.stage}",
                fix="wait for it to end (`oatie status` shows it)",
            )
        self.scaling.require_idle()

    def _forget_switch(self) -> None:
        self.generations.switch = None

    def find_switch(self, switch_id: str) -> Switch:
        if self.switch is None or self.switch.id != switch_id:
            raise OatieError(
                f"there is no switch {switch_id} under way",
                why="it was aborted or committed meanwhile",
                fix="see `oatie status`, then deploy again",
            )
        return self.switch

    async def close_switch(self, switch: Switch) -> None:
        """The end of a switch's lease: what was not committed is undone."""
        await switch.abort()
        if switch.stage is Stage.COMMITTED:
            self._reload_failed, self._configured_at = False, time.time()
        elif switch.declared is not None and self.switch in (None, switch):
            await asyncio.to_thread(publish_declared, self.settings, self.paths)
        if self.switch is switch:
            self._forget_switch()
        if self.started_empty and self.fleet.generation is None:
            self.stop()

    async def scale(self, workers: int | None, actor: str, emit: Emit = silent) -> dict[str, Any]:
        return await self.scaling.scale(workers, actor, emit)

    async def reload(self, actor: str, emit: Emit = silent) -> dict[str, Any]:
        """New workers of the serving release, gated, zero-drop. Returns (and emits) the ``result`` event."""
        self._require_no_switch()
        self._reload_failed = True  # until the switch is committed
        current = self.fleet.generation
        if current is None:
            raise OatieError(
                "nothing to reload", why="no release is serving", fix="deploy one with `oatie deploy`"
            )
        spec = await with_todays_secrets(current.spec, self.settings)
        switch = self.open_switch(spec, workers=self.fleet.desired)
        self.notifier.reloading("reloading")
        self.machinery.sink.note(f"reload of release {current.spec.name} asked by {actor}")
        try:
            result = await carry_out(switch, self.machinery.sink, emit)
        finally:
            await self.close_switch(switch)
            self.announce_ready()
        emit(result)
        return result

    async def restart_hard(self, actor: str) -> int:
        """Ends all workers and waits until as many new ones serve; how many. Cancelled at a deadline."""
        self._require_no_switch()
        if self.fleet.generation is None or self.stopping.is_set():
            raise OatieError(
                "nothing to restart", why="no release is serving", fix="deploy one with `oatie deploy`"
            )
        self.machinery.sink.note(f"hard restart of all workers asked by {actor}")
        return await self.fleet.replace_all()

    def keep(self, processes: Iterable[ProcessIdentity]) -> None:
        """These came to us as orphans and must outlive us."""
        self._kept = {known for known in self._kept if known.alive()} | set(processes)

    def announce_ready(self) -> None:
        if not self.stopping.is_set():
            self.notifier.ready(self.headline())

    def reload_soon(self, actor: str) -> None:
        """For SIGHUP: any number of them while one reload runs make one more reload."""
        self._reloads.ask(actor)

    async def _reload_noting(self, actor: str) -> None:
        try:
            await self.reload(actor)
        except OatieError as error:
            self.machinery.sink.note(f"reload refused: {error.what} ({error.why})")

    def status(self) -> dict[str, Any]:
        """The object of ``GET /control/status``; times are epoch seconds."""
        generation = self.fleet.generation
        serving = generation.spec.app if generation else self.settings.app
        state, detail = self.state()
        return {
            "supervisor": {
                "pid": os.getpid(),
                "started_at": self.started_at,
                "version": __version__,
                "rss_bytes": rss_bytes(os.getpid()),
            },
            "release": generation.spec.name if generation else self.switch and self.switch.old_name(),
            "state": state,
            "detail": detail,
            "workers": [worker_status(worker, self.machinery.stats) for worker in self.all_workers()],
            "wanted_workers": self.fleet.desired,
            "restarts": self.fleet.restarts,
            "last_reload": {"successful": not self._reload_failed, "success_at": self._configured_at},
            "last_end": None if self.fleet.last_end is None else asdict(self.fleet.last_end),
            "switch": switch_status(self.switch),
            "app": {
                "url": self.app_url(),
                "port": self.public.port,
                "host": self.public.host,
                "name": serving.name,
                "ready": serving.ready,
                "ready_host": serving.ready_host,
            },
            "ops": {"url": self.ops_url()},
        }

    def all_workers(self) -> list[Worker]:
        """Those that serve first; then those of a switch under way and those that are leaving."""
        return self.generations.workers()

    def look_at_switches(self) -> dict[int, int]:
        """Makes every serving worker look at once; by pid, the places where they tell that they did."""
        serving = self.fleet.generation.serving if self.fleet.generation else []
        return {worker.pid: worker.slot for worker in serving if worker.look()}

    def measured(self) -> Measured | None:
        """What the sampler measured last; None before its first look."""
        return self.sampler.latest if self.sampler is not None else None

    def traffic(self) -> Totals | None:
        """What all workers counted, the ended ones included; None for a program, which counts nothing."""
        generation = self.fleet.generation
        app = generation.spec.app if generation else self.settings.app
        return None if app.run is None else self.machinery.stats.totals()

    def state(self) -> tuple[str, str]:
        """In one word, and why; see `state_of`."""
        return state_of(self.fleet, self.serving_count(), stopping=self.stopping.is_set())

    def headline(self) -> str:
        state, detail = self.state()
        if detail:
            return f"{state}: {detail}"
        serving = self.serving_count()
        return f"{state}, {serving} worker{'s' * (serving != 1)}, {self.app_url()}"

    def serving_count(self) -> int:
        return self.generations.serving_count()

    @property
    def public(self) -> PublicSocket:
        """Where the application is reached now."""
        return self.generations.public

    @property
    def switch(self) -> Switch | None:
        """The one that is under way, if any."""
        return self.generations.switch

    def app_url(self) -> str:
        return human_urls(self.public.host, self.public.port)[0]

    def ops_url(self) -> str | None:
        if self.ops_address is None:
            return None
        url = human_urls(*self.ops_address)[0]
        return url.replace("http://", "https://", 1) if self.settings.ops.tls_certificate else url
