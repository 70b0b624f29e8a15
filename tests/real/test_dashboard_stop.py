"""A supervisor that stops ends the streams that are open, and says nothing about it."""

from __future__ import annotations

import http.client

from tests.real.harness import Project
from tests.real.waiting import wait_for


def test_stop_ends_an_open_stream_without_a_word(project: Project) -> None:
    project.version("1")
    supervisor = project.background("start")
    wait_for(
        lambda: project.get("/health/live", port=project.ops_port) == 200,
        "the ops API",
        evidence=supervisor.so_far,
    )
    connection = http.client.HTTPConnection("127.0.0.1", project.ops_port, timeout=60)
    try:
        connection.request("GET", "/health/dashboard/events")
        stream = connection.getresponse()
        assert stream.readline().startswith(b"retry:")
        project.oatie("stop").expect(0)
        stream.read()  # an IncompleteRead, if it were cut off
    finally:
        connection.close()
    done = supervisor.wait().expect(0)
    assert "Traceback" not in done.said
    assert "Exception in ASGI" not in done.said
