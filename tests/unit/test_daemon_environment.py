"""What a daemon takes over from the environment that it was started in."""

from __future__ import annotations

import pytest

from oatie_ops.supervisor.daemon import _environment


def test_a_ci_runner_cannot_find_the_daemon_when_its_job_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for mark in ("RUNNER_TRACKING_ID", "JENKINS_NODE_COOKIE", "JENKINS_SERVER_COOKIE", "HUDSON_COOKIE"):
        monkeypatch.setenv(mark, "github_1")
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    left = _environment()
    assert "github_1" not in left.values()
    assert left["DATABASE_URL"] == "sqlite://"
