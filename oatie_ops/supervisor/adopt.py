"""At the end of a deploy: the supervisor goes by today's oatie.toml, not by that of its start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from oatie_ops.config import live
from oatie_ops.degradation.install import install
from oatie_ops.degradation.rules import source_of
from oatie_ops.errors import OatieError
from oatie_ops.recovery.breaker.declared import publish_declared
from oatie_ops.supervisor.supervisor import Supervisor

log = logging.getLogger(__name__)


async def prepare(supervisor: Supervisor, told: Mapping[str, Any]) -> None:
    """Before the candidate's workers boot; the end of a switch that was not committed takes it back."""
    if live.difference(supervisor.settings, told).applied:
        await asyncio.to_thread(publish_declared, live.with_live(supervisor.settings, told), supervisor.paths)


async def adopt(supervisor: Supervisor, told: Mapping[str, Any]) -> tuple[str, ...]:
    """What an operator should know of it. Never raises: the release is committed."""
    found = live.difference(supervisor.settings, told)
    if not found.applied:
        return found.sentences()
    before = supervisor.settings
    supervisor.settings = live.with_live(before, told)
    try:
        await asyncio.to_thread(install, supervisor.paths, source_of(supervisor.settings))
        await supervisor.apply_settings()
    except Exception as error:
        log.exception("the new settings could not be applied")
        supervisor.settings = before
        why = f"{error.what}: {error.why}" if isinstance(error, OatieError) else str(error)
        return (
            f"the supervisor goes on by the settings from before, as it could not take over today's "
            f"({why}); `oatie stop`, then `oatie start`, takes them over",
        )
    supervisor.machinery.sink.note("; ".join(found.sentences()))
    return found.sentences()
