"""Recovery as a part of a supervisor: its workers, its check loop, its queue of alerts."""

from __future__ import annotations

from collections.abc import Callable, Collection

from oatie_ops.health.model import Snapshot
from oatie_ops.health.threads import CheckThreads
from oatie_ops.recovery.ladder_climber import Climber
from oatie_ops.recovery.ladder_journal import Journal
from oatie_ops.recovery.ladder_loop import Recovery
from oatie_ops.recovery.ladder_proof import Look
from oatie_ops.recovery.rungs.base import Tools
from oatie_ops.supervisor.view import SupervisorView

Page = Callable[[Collection[str], str, str], None]
"""Channels, service, text: queued, and delivered for as long as it takes."""


def supervised(view: SupervisorView, snapshot: Callable[[], Snapshot], look: Look, page: Page) -> Recovery:
    settings = view.settings

    async def page_one(channel: str, service: str, text: str) -> None:
        page([channel], service, text)

    tools = Tools(settings.root, CheckThreads(), workers=view, page=page_one, kept=view.keep)
    climber = Climber(tools, Journal(view.paths.database), snapshot, look)
    return Recovery(
        settings,
        view.paths.recovery_lock,
        climber,
        lambda service, text: page(list(settings.alerts), service, text),
    )
