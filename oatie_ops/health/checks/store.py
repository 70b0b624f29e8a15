"""Is what health knows being remembered? The keeper's own experience, so the store is not asked again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools
from oatie_ops.health.model import CheckSpec, Result, Status


@dataclass(frozen=True)
class StoreCheck:
    problem: Callable[[], str]

    async def run(self, attempt: Attempt) -> Result:
        problem = self.problem()
        if problem:
            # Nothing that users do depends on it, so it is no failure.
            return Result(Status.WARN, f"history and maintenance are not being kept: {problem}")
        return Result(Status.PASS, "the state database takes what is written")


def build(spec: CheckSpec, tools: Tools) -> Check:
    if tools.store_problem is None:
        raise CheckUnusable("nothing is being remembered in this process")
    return StoreCheck(tools.store_problem)
