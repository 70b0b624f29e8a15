"""What a supervisor runs beside its workers: the check loop and the ops API that shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from oatie_ops.api.app import create_ops_app
from oatie_ops.api.context import OpsContext
from oatie_ops.api.recorder import Recorder
from oatie_ops.api.refusals import QUIET_SECONDS
from oatie_ops.degradation.automatic import Condition
from oatie_ops.degradation.conductor import Conductor
from oatie_ops.degradation.decider import Decider, overload_of
from oatie_ops.degradation.overlay import overlaid
from oatie_ops.errors import OatieError
from oatie_ops.health.alerts.pager import Pager
from oatie_ops.health.alerts.send import send
from oatie_ops.health.board import Change
from oatie_ops.health.loop import HealthLoop
from oatie_ops.health.meter import Meter
from oatie_ops.health.model import Snapshot, Status
from oatie_ops.recovery.breaker.declared import config_of
from oatie_ops.recovery.errors_inbox import ErrorsInbox
from oatie_ops.recovery.errors_services import breakers
from oatie_ops.recovery.ladder_supervised import supervised
from oatie_ops.supervised import SupervisorView
from oatie_ops.supervisor.memory import give_back
from oatie_ops.supervisor.options import OpsServices


class Watch:
    """All that goes by the settings; made anew when a deploy brings other ones."""

    def __init__(self, view: SupervisorView, meter: Meter, recorder: Recorder) -> None:
        self._view = view
        self.settings = view.settings

        def changed(change: Change) -> None:
            meter.change(change)
            recorder.change(change)
            self.recovery.look_soon()
            self.switches.look_soon()

        self.loop = HealthLoop(
            view.settings,
            view.paths.home,
            view.status,
            on_change=changed,
            on_result=meter.result,
            database=view.paths.database,
        )
        meter.expect(self.loop.snapshot)
        self.pager = Pager(
            view.settings.alerts,
            view.paths.database,
            lambda: self.loop.snapshot,
            lambda: _source(view),
            deliver=partial(send, root=view.settings.root),
        )
        watched = {
            name for each in view.settings.services.values() for name in (each.degrade or {}).get("auto", ())
        }
        decider = Decider(
            view.settings.services.values(),
            overload_of(view.settings.switches),
            lambda: _conditions(self.loop.snapshot, watched),
            lambda: _load(view),
            lambda: _open_breakers(view),
        )
        self.switches = Conductor(view, decider)
        self.recovery = supervised(
            view, lambda: self.loop.snapshot, self.loop.look, self.pager.page, self.switches
        )

    async def run(self) -> None:
        """Until cancelled."""
        self.pager.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.loop.run(), name="health")
                if self.recovery.wanted:
                    tasks.create_task(self.recovery.run(), name="recovery")
                tasks.create_task(self.switches.run(), name="switches")
                tasks.create_task(_share(self._view, self.switches), name="switches of other hosts")
        finally:
            self.pager.stop()
            self.recovery.close()


class Watching:
    """Runs one `Watch` at a time, and lets the routes see the one that runs."""

    def __init__(self, view: SupervisorView, recorder: Recorder) -> None:
        self._view, self._recorder = view, recorder
        self._meter = Meter()
        self._watch = Watch(view, self._meter, recorder)
        self._tasks: asyncio.TaskGroup | None = None
        self._running: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self.context = OpsContext(
            view,
            self._snapshot,
            recorder.audit,
            meter=self._meter,
            beat=self._beat,
            windows_changed=self._look_soon,
            notifications=lambda: self._watch.pager.counts,
            in_flight=lambda: self._watch.loop.in_flight,
            events=lambda: recorder.counts,
            recovery=self._watch.recovery,
            switches=self._watch.switches,
            measured=view.measured,
            ledgers=self._ledgers,
        )

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            self._begin()
            await asyncio.get_running_loop().create_future()

    async def apply(self) -> None:
        """Goes by the settings of now. What fails while it is made leaves everything as it was."""
        async with self._turn:
            if self._watch.settings is self._view.settings:
                return
            # In a thread, because some checks import what takes a while.
            made = await asyncio.to_thread(Watch, self._view, self._meter, self._recorder)
            if self._running is not None:
                self._running.cancel()
                await asyncio.wait([self._running])
            self._watch = made
            self.context.recovery, self.context.switches = made.recovery, made.switches
            if self._tasks is not None:
                self._begin()
            give_back()  # the watch from before

    # Of the one that runs when the question comes, not of the first.

    def _snapshot(self) -> Snapshot:
        watch = self._watch
        return overlaid(watch.loop.snapshot, watch.switches.counting(), watch.switches.now())

    def _beat(self, service: str, status: Status, output: str) -> bool:
        return self._watch.loop.beat(service, status, output)

    def _look_soon(self) -> None:
        self._watch.loop.look_soon()

    def _ledgers(self) -> Mapping[str, Any]:
        return self._watch.loop.uptime_buckets()

    def _begin(self) -> None:
        assert self._tasks is not None
        self._running = self._tasks.create_task(self._watch.run(), name="watch")


def ops_services(view: SupervisorView) -> OpsServices:
    """Imported and called in a thread, once the workers are booted: this is most of a supervisor's start."""
    recorder = Recorder(view.paths.database)
    watching = Watching(view, recorder)
    context = watching.context
    apps = create_ops_app(context)
    inbox = ErrorsInbox(view.paths.errors_socket, recorder.errors)

    async def run() -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(inbox.run(), name="errors")
                tasks.create_task(watching.run(), name="watching")
                tasks.create_task(_tell_refusals(context), name="refusals")
        finally:
            context.refusals.tell_due(all_of_them=True)
            recorder.close()

    return OpsServices(
        public=apps.public,
        trusted=apps.trusted,
        run=run,
        why_no_token=context.tokens.why_unusable,
        refused=context.refused_early,
        apply=watching.apply,
    )


async def _tell_refusals(context: OpsContext) -> None:
    """Those that are summed up in a line, also when no more of them come. Until cancelled."""
    while True:
        await asyncio.sleep(QUIET_SECONDS)
        context.refusals.tell_due()


async def _share(view: SupervisorView, switches: Conductor) -> None:
    """Joins the other hosts of ``[switches] share``; without it nothing is stale."""
    url = view.settings.switches.get("share")
    if not url:
        await switches.mark_stale("")
        return
    from oatie_ops.degradation.share import host_name
    from oatie_ops.degradation.share_loop import ShareLoop, carrier_for

    try:
        carrier = await asyncio.to_thread(carrier_for, str(url), view.settings.app.name)
    except OatieError as error:
        await switches.mark_stale(f"{error.why}; {error.fix}")
        return
    loop = ShareLoop(carrier, switches, host_name(view.paths.home))
    switches.on_change = loop.changed
    await loop.run()


def _conditions(snapshot: Snapshot, watched: Collection[str]) -> dict[str, Condition]:
    """What automatic switches go by: the checks themselves, without the switches laid over them.

    Asked every second, so of those only that somebody's ``auto`` names.
    """
    found = {name: snapshot.services[name] for name in watched if name in snapshot.services}
    return {name: Condition(state.status.value, state.output) for name, state in found.items()}


def _open_breakers(view: SupervisorView) -> list[str]:
    """Services that the workers do not call any more; half-open ones are called again, to find out."""
    services = view.settings.services.values()
    if not any((service.degrade or {}).get("auto") for service in services):
        return []
    configs = {each.name: config_of(each.breaker) for each in services if each.breaker}
    found = breakers(view.paths.breakers, configs)
    return [name for name, breaker in found.items() if breaker["state"] in ("open", "forced_open")]


def _load(view: SupervisorView) -> tuple[float, float]:
    """How late the worst event loop is (seconds), and requests under way for each worker."""
    workers = [worker for worker in view.status()["workers"] if worker["state"] == "serving"]
    lag = max((float(worker.get("lag_seconds") or 0.0) for worker in workers), default=0.0)
    return lag, sum(int(worker["in_flight"] or 0) for worker in workers) / max(1, len(workers))


def _source(view: SupervisorView) -> dict[str, str]:
    """What an alert says about where it comes from."""
    return {"app": view.settings.app.name, "url": str((view.status().get("ops") or {}).get("url") or "")}
