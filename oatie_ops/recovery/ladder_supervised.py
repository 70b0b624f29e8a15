"""Recovery as a part of a supervisor: its workers, its check loop, its queue of alerts."""

from __future__ import annotations

from collections.abc import Callable, Collection

from oatie_ops.degradation.conductor import Conductor
from oatie_ops.health.model import Snapshot, Status
from oatie_ops.health.threads import CheckThreads
from oatie_ops.recovery.ladder import Rung
from oatie_ops.recovery.ladder_climber import Climber
from oatie_ops.recovery.ladder_journal import Journal
from oatie_ops.recovery.ladder_loop import Recovery
from oatie_ops.recovery.ladder_proof import Look
from oatie_ops.recovery.ladder_switches import HeldSwitches
from oatie_ops.recovery.rungs.base import ActionFailed, Tools
from oatie_ops.supervised import SupervisorView

# What a deploy or a reload under way would be disturbed by, and refuses.
OF_WORKERS = ("worker", "process", "app")
Page = Callable[[Collection[str], str, str], None]
"""Channels, service, text: queued, and delivered for as long as it takes."""


def supervised(
    view: SupervisorView,
    snapshot: Callable[[], Snapshot],
    look: Look,
    page: Page,
    switches: Conductor | None = None,
) -> Recovery:
    """``switches`` None: nothing can be degraded."""
    settings = view.settings

    async def page_one(channel: str, service: str, text: str) -> None:
        state = snapshot().services.get(service)
        if state is not None and state.status in (Status.PASS, Status.WARN):
            raise ActionFailed(f"{service} is well, so nobody was told")
        page([channel], service, text)

    def busy(rung: Rung) -> bool:
        running = view.status()
        if running["state"] == "stopping":
            return True
        return rung.target in OF_WORKERS and running["switch"] is not None

    switched = HeldSwitches(switches) if switches else None
    tools = Tools(
        settings.root,
        CheckThreads(),
        workers=view,
        degrade=switched.degrade if switched else None,
        restore=switched.restore if switched else None,
        page=page_one,
        kept=view.keep,
    )
    climber = Climber(tools, Journal(view.paths.database), snapshot, look)
    return Recovery(
        settings,
        view.paths.recovery_lock,
        climber,
        lambda service, text: page(list(settings.alerts), service, text),
        busy=busy,
    )
