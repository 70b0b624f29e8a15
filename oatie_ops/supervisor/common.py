"""What a supervisor and its workers both need: imported once, before the one is forked from the other."""

from __future__ import annotations

import asyncio  # noqa: F401

import oatie_ops.degradation.bulletin
import oatie_ops.degradation.page
import oatie_ops.supervisor.death
import oatie_ops.supervisor.protocol
import oatie_ops.supervisor.server_import
import oatie_ops.supervisor.spec
import oatie_ops.supervisor.stats  # noqa: F401
