"""`oatie degrade` as the tests of switches use it."""

from __future__ import annotations

from collections.abc import Mapping

from tests.real.harness import Completed, Project
from tests.real.waiting import wait_for

NOT_ALL_YET = 3


def degrade(project: Project, *arguments: str, env: Mapping[str, str] | None = None) -> Completed:
    """Until every worker obeys: on a busy machine one may take longer than the command waits for it."""

    def obeyed() -> Completed | None:
        done = project.oatie("degrade", *arguments, env=env)
        return None if done.code == NOT_ALL_YET else done.expect(0)

    return wait_for(obeyed, f"every worker to obey: degrade {' '.join(arguments)}")
