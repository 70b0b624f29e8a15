"""Checks inside a real supervisor, which reaps every child: exit codes are kept, and so is the history."""

from __future__ import annotations

from typing import Any

import pytest

from tests.real.harness import Project
from tests.real.waiting import wait_for

FAST = {"interval": "200ms", "rise": 1, "fall": 1}


def services(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = project.oatie("health", "--json").json["services"]
    return found


@pytest.mark.slow
def test_commands_keep_their_exit_codes_under_the_reaper_and_history_outlives_the_supervisor(
    project: Project,
) -> None:
    leaver = "sleep 0.3 & exit 2"  # leaves an orphan behind, which the supervisor is given
    project.configure(
        services={
            "well": {"check": {"type": "command", "run": ["true"], **FAST}},
            "ill": {
                "check": {"type": "command", "run": ["sh", "-c", leaver], "exit_codes": "nagios", **FAST}
            },
            "job": {"check": {"type": "heartbeat", "every": "1h"}},
        }
    )
    project.deployed("1")

    def settled() -> dict[str, Any] | None:
        found = services(project)
        runs = found["well"]["latency"]["samples"]
        return found if runs >= 10 and found["ill"]["status"] == "fail" else None

    found = wait_for(settled, "ten runs of the commands")
    assert found["well"]["status"] == "pass"
    assert found["ill"]["checks"]["command"]["observed_value"] == 2
    assert [t["after"] for t in found["well"]["transitions"]] == ["pass"], "no exit code was ever lost"
    assert found["job"]["status"] == "unknown"
    samples = found["well"]["latency"]["samples"]

    project.oatie("stop").expect(0)
    project.start()

    def recalled() -> bool:
        again = services(project)  # answers may come before the store was read
        return again["well"]["latency"]["samples"] >= samples and bool(again["ill"]["transitions"])

    wait_for(recalled, "the history from before the restart", evidence=lambda: services(project))
