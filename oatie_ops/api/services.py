"""What a supervisor runs beside its workers: the check loop and the ops API that shows it."""

from __future__ import annotations

import asyncio

from oatie_ops.api.app import create_ops_app
from oatie_ops.api.context import OpsContext
from oatie_ops.api.recorder import Recorder
from oatie_ops.degradation.automatic import Condition
from oatie_ops.degradation.conductor import Conductor
from oatie_ops.degradation.decider import Decider, overload_of
from oatie_ops.degradation.overlay import overlaid
from oatie_ops.errors import OatieError
from oatie_ops.health.alerts.pager import Pager
from oatie_ops.health.board import Change
from oatie_ops.health.loop import HealthLoop
from oatie_ops.health.meter import Meter
from oatie_ops.health.model import Snapshot
from oatie_ops.recovery.declared import config_of
from oatie_ops.recovery.errors_inbox import ErrorsInbox
from oatie_ops.recovery.errors_services import breakers
from oatie_ops.recovery.ladder_supervised import supervised
from oatie_ops.supervisor.main import OpsServices
from oatie_ops.supervisor.view import SupervisorView


def ops_services(view: SupervisorView) -> OpsServices:
    """Imported and called in a thread, once the workers are booted: this is most of a supervisor's start."""
    recorder = Recorder(view.paths.database)
    meter = Meter()

    def changed(change: Change) -> None:
        meter.change(change)
        recorder.change(change)
        recovery.look_soon()
        switches.look_soon()

    loop = HealthLoop(
        view.settings,
        view.paths.home,
        view.status,
        on_change=changed,
        on_result=meter.result,
        database=view.paths.database,
    )
    meter.expect(loop.snapshot)
    pager = Pager(
        view.settings.alerts,
        view.paths.database,
        lambda: loop.snapshot,
        lambda: _source(view),
    )
    decider = Decider(
        view.settings.services.values(),
        overload_of(view.settings.switches),
        lambda: _conditions(loop.snapshot),
        lambda: _load(view),
        lambda: _open_breakers(view),
    )
    switches = Conductor(view, decider)
    recovery = supervised(view, lambda: loop.snapshot, loop.look, pager.page, switches)
    context = OpsContext(
        view,
        lambda: overlaid(loop.snapshot, switches.counting(), switches.now()),
        recorder.audit,
        meter=meter,
        beat=loop.beat,
        windows_changed=loop.look_soon,
        notifications=lambda: pager.counts,
        in_flight=lambda: loop.in_flight,
        events=lambda: recorder.counts,
        recovery=recovery,
        switches=switches,
        measured=view.measured,
        ledgers=loop.uptime_buckets,
    )
    apps = create_ops_app(context)
    inbox = ErrorsInbox(view.paths.errors_socket, recorder.errors)

    async def run() -> None:
        pager.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(loop.run(), name="health")
                tasks.create_task(inbox.run(), name="errors")
                if recovery.wanted:
                    tasks.create_task(recovery.run(), name="recovery")
                tasks.create_task(switches.run(), name="switches")
                tasks.create_task(_share(view, switches), name="switches of other hosts")
        finally:
            pager.stop()
            recovery.close()
            recorder.close()

    return OpsServices(
        public=apps.public,
        trusted=apps.trusted,
        run=run,
        why_no_token=context.tokens.why_unusable,
        refused=context.refused_early,
    )


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


def _conditions(snapshot: Snapshot) -> dict[str, Condition]:
    """What automatic switches go by: the checks themselves, without the switches laid over them."""
    return {name: Condition(state.status.value, state.output) for name, state in snapshot.services.items()}


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
    return lag, sum(int(worker["in_flight"]) for worker in workers) / max(1, len(workers))


def _source(view: SupervisorView) -> dict[str, str]:
    """What an alert says about where it comes from."""
    return {"app": view.settings.app.name, "url": str((view.status().get("ops") or {}).get("url") or "")}
