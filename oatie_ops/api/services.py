"""What a supervisor runs beside its workers: the check loop and the ops API that shows it."""

from __future__ import annotations

import asyncio

from oatie_ops.api.app import create_ops_app
from oatie_ops.api.context import OpsContext
from oatie_ops.api.recorder import Recorder
from oatie_ops.health.alerts.pager import Pager
from oatie_ops.health.board import Change
from oatie_ops.health.loop import HealthLoop
from oatie_ops.health.meter import Meter
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
    recovery = supervised(view, lambda: loop.snapshot, loop.look, pager.page)
    context = OpsContext(
        view,
        lambda: loop.snapshot,
        recorder.audit,
        meter=meter,
        beat=loop.beat,
        windows_changed=loop.look_soon,
        notifications=lambda: pager.counts,
        in_flight=lambda: loop.in_flight,
        events=lambda: recorder.counts,
        recovery=recovery,
    )
    apps = create_ops_app(context)

    async def run() -> None:
        pager.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(loop.run(), name="health")
                if recovery.wanted:
                    tasks.create_task(recovery.run(), name="recovery")
        finally:
            pager.stop()
            recorder.close()

    return OpsServices(public=apps.public, trusted=apps.trusted, run=run)


def _source(view: SupervisorView) -> dict[str, str]:
    """What an alert says about where it comes from."""
    return {"app": view.settings.app.name, "url": str((view.status().get("ops") or {}).get("url") or "")}
