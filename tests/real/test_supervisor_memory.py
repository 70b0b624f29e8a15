"""What a supervisor weighs once everything that it can do was asked of it. Memory is no timing."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.real.harness import Project
from tests.real.waiting import wait_for

MOST_BYTES = 60 * 2**20
ASKED = (
    "/health",
    "/health/live",
    "/health/ready",
    "/health/startup",
    "/health/detailed",
    "/health/services",
    "/health/metrics",
    "/health/history",
    "/health/maintenance",
    "/health/dashboard",
    "/health/dashboard/html",
    "/health/dashboard/brief",
    "/api/performance/overview",
    "/api/performance/resources/current",
    "/api/performance/resources/trends?hours=24",
    "/api/performance/startup/stats",
    "/api/performance/scaling/recommendations",
    "/api/performance/errors/summary",
    "/api/performance/errors/services",
    "/api/performance/errors/recovery",
    "/api/performance/errors/recovery/history",
    "/api/performance/errors/degradation/status",
    "/openapi.json",
)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["foreground", "deploy"])
def test_supervisor_that_was_asked_for_everything_stays_small(project: Project, how: str) -> None:
    if how == "foreground":
        project.version("1")
        project.start()
    else:
        project.deployed("1")
    wait_for(lambda: project.get("/health/ready", port=project.ops_port) == 200, "the ops API")
    with socket.create_connection(("127.0.0.1", project.ops_port), timeout=30) as stream:
        stream.sendall(b"GET /health/dashboard/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert stream.recv(64).startswith(b"HTTP/1.1 200")
        for path in ASKED:
            answer = project.ask(path, port=project.ops_port, timeout_seconds=60)
            # 503 is an answer of health as well: the machine of the test may be out of something
            assert answer is not None and answer[0] in (200, 503), (path, answer)
        # With the stream open; what the answers took is given back within `TRIM_SECONDS`.
        wait_for(
            lambda: 0 < _rss_bytes(project) <= MOST_BYTES,
            "60 MB or less",
            evidence=lambda: f"{_rss_bytes(project) / 2**20:.1f} MB",
        )


def _rss_bytes(project: Project) -> int:
    return int(project.status()["supervisor"]["rss_bytes"])


def test_serving_the_ops_api_needs_no_web_framework_that_describes_itself() -> None:
    program = (
        "import sys, oatie_ops.supervisor.main, oatie_ops.supervisor.control, oatie_ops.api.services\n"
        "heavy = {'fastapi', 'httpx', 'docker', 'kubernetes', 'psycopg', 'redis', 'rich', 'yaml', 'boto3'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
