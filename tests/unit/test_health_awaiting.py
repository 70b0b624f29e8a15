"""A check whose driver is missing works once it is there, without a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.load import load
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.awaiting import Awaiting
from oatie_ops.health.checks.base import DriverMissing, Tools, Unmeasured
from oatie_ops.health.model import CheckSpec, Status
from oatie_ops.health.threads import CheckThreads

DRIVER = "a_driver_that_nobody_has"
MISSING = DriverMissing(DRIVER, "redis")
SPEC = CheckSpec("cache", "redis", "redis", {})


def test_it_is_unknown_until_the_driver_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    half_there = True

    async def story() -> list[Any]:
        tools = Tools(load(tmp_path, environ={}).settings, CheckThreads(), tmp_path)

        def make() -> Any:
            return Awaiting(SPEC, tools, MISSING, make) if half_there else Unmeasured("measured")

        nonlocal half_there
        check = Awaiting(SPEC, tools, MISSING, make)
        seen = [await check.run(Attempt())]
        (tmp_path / f"{DRIVER}.py").write_text("")
        seen.append(await check.run(Attempt()))  # it is there, and something that it needs is not
        half_there = False
        return [*seen, await check.run(Attempt()), await check.run(Attempt())]

    before, half, *after = asyncio.run(story())
    for result in (before, half):
        assert result.status is Status.UNKNOWN
        assert f"needs the driver {DRIVER}: pip install 'oatie-ops[redis]'" in result.output
    assert [result.output for result in after] == ["measured", "measured"]
