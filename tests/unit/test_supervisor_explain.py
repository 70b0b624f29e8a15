"""A gate that fails says what / why / how to fix it, from what was seen."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.config.settings import AppSettings
from oatie_ops.supervisor.explain import GateEvidence, explain_gate
from oatie_ops.supervisor.probe import ProbeResult
from oatie_ops.supervisor.spec import ReleaseSpec
from oatie_ops.supervisor.workers import Ended

SPEC = ReleaseSpec(
    "7", Path("/srv/reports/.oatie/releases/7/app"), AppSettings(run="main:app", ready="/ready")
)
PROGRAM = dataclasses.replace(SPEC, app=AppSettings(command=("node", "server.js"), ready="/ready"))

# As faulthandler writes it: every thread, the innermost line first.
STUCK = [
    "connecting",
    "Thread 0x00007f30f313d6c0 (most recent call first):",
    '  File "/usr/lib/python3.11/threading.py", line 982 in run',
    "",
    "Current thread 0x00007f30f4e0fb80 (most recent call first):",
    '  File "/srv/venv/lib/python3.11/site-packages/psycopg/waiting.py", line 3 in wait',
    f'  File "{SPEC.directory}/shop/db.py", line 8 in connect',
    f'  File "{SPEC.directory}/main.py", line 2 in <module>',
    '  File "<frozen importlib._bootstrap>", line 241 in _call_with_frames_removed',
    '  File "/srv/venv/lib/python3.11/site-packages/oatie_ops/supervisor/worker.py", line 97 in run_worker',
]


def seen(spec: ReleaseSpec = SPEC, **facts: Any) -> GateEvidence:
    defaults: dict[str, Any] = {"waited_seconds": 3.0, "booted": True}
    return GateEvidence(spec=spec, **(defaults | facts))


@pytest.mark.parametrize(
    ("evidence", "why", "fix"),
    [
        (
            seen(
                booted=False,
                boot_error={
                    "error": "SyntaxError: invalid syntax",
                    "where": "/srv/reports/.oatie/releases/7/app/main.py:3",
                    "deterministic": True,
                },
            ),
            "main:app cannot be imported: SyntaxError: invalid syntax at main.py:3",
            "mend the code",
        ),
        (
            seen(
                booted=False,
                boot_error={
                    "error": "ModuleNotFoundError: No module named 'flask.json'",
                    "where": "",
                    "deterministic": True,
                },
            ),
            "No module named 'flask.json'",
            "if flask is to be installed, name it in requirements.txt",
        ),
        (
            seen(
                booted=False,
                boot_error={
                    "error": "ModuleNotFoundError: No module named 'main'",
                    "where": "",
                    "deterministic": True,
                },
            ),
            "No module named 'main'",
            "app.run in oatie.toml if the name is wrong",
        ),
        (
            seen(booted=False, boot_error={"error": "startup failed", "where": "", "deterministic": False}),
            "failed while starting: startup failed",
            "traceback",
        ),
        (
            seen(booted=False, ended=Ended(0, None)),
            "ended with exit code 0 after 3.0 s",
            "stay in the foreground",
        ),
        (
            seen(booted=False, ended=Ended(None, 9)),
            "ended by SIGKILL (killed; out of memory?)",
            "printed nothing",
        ),
        (
            seen(booted=False, ended=Ended(3, None), log_tail=["no URL"]),
            "ended with exit code 3",
            "log lines",
        ),
        (
            seen(booted=False, timed_out=True, waited_seconds=3.00778),
            "still starting after 3 s",
            "app.ready_timeout",
        ),
        (
            seen(booted=False, timed_out=True, waited_seconds=3.0, log_tail=STUCK),
            "still starting after 3 s, at shop/db.py:8",
            "app.ready_timeout",
        ),
        (
            seen(last_probe=ProbeResult("/ready", 301, location="https://x.example/ready")),
            "GET /ready answered 301 (redirect to https://x.example/ready)",
            "answers 200 itself",
        ),
        (seen(last_probe=ProbeResult("/ready", 404)), "GET /ready answered 404", "add the route /ready"),
        (
            seen(last_probe=ProbeResult("/ready", 400, body="Bad Host")),
            "answered 400: Bad Host",
            "ready_host",
        ),
        (
            seen(
                last_probe=ProbeResult(
                    "/ready", 500, body="<!doctype html> <h1>Oops &amp; more</h1> <p>no <s"
                )
            ),
            "GET /ready answered 500: Oops & more no (asked",
            "not ready",
        ),
        (seen(last_probe=ProbeResult("/ready", 503, body="no database")), "503: no database", "not ready"),
        (
            seen(last_probe=ProbeResult("/ready", None, error="timed out after 5 s")),
            "timed out after 5 s",
            "what the ready path waits for",
        ),
        (
            seen(
                PROGRAM,
                last_probe=ProbeResult("/ready", None, error="connection refused"),
                private_port=40001,
                listening_ports=[3000],
            ),
            "nothing answers on port 40001, which it was given in $PORT for 3.0 s: it listens on port 3000",
            "listen on $PORT",
        ),
        (
            seen(
                PROGRAM,
                last_probe=ProbeResult("/ready", None, error="connection refused"),
                private_port=40001,
            ),
            "it listens on no port",
            "listen on $PORT of 127.0.0.1, or raise app.ready_timeout",
        ),
        (
            seen(
                PROGRAM,
                last_probe=ProbeResult("/ready", None, error="connection refused"),
                private_port=40001,
                listening_ports=[40001],
            ),
            "it opened that port only when the time was over",
            "app.ready_timeout",
        ),
    ],
)
def test_each_kind_of_failure_has_its_own_words(evidence: GateEvidence, why: str, fix: str) -> None:
    error = explain_gate(evidence)
    assert error.what == "release 7 did not become ready"
    assert why in error.why
    assert fix in error.fix


def test_of_a_stack_the_application_s_own_part_is_shown() -> None:
    error = explain_gate(seen(booted=False, timed_out=True, log_tail=STUCK))
    shown = [line.removeprefix("  | ") for line in error.details]
    assert shown == [STUCK[0], *STUCK[4:8]]


def test_the_last_log_lines_are_shown() -> None:
    error = explain_gate(seen(booted=False, ended=Ended(1, None), log_tail=["Traceback", "KeyError: 'URL'"]))
    assert error.details == ("  | Traceback", "  | KeyError: 'URL'")
    assert error.data["exit_code"] == 1
