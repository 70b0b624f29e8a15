"""How a run is shown: JSON lines, plain lines for logs, and the live list."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from oatie_ops.cli.progress import HEARTBEAT_SECONDS, JsonLines, LiveSteps, PlainLines, seconds
from oatie_ops.deployment.events import (
    Event,
    Failure,
    Notice,
    Output,
    Planned,
    PlannedStep,
    Result,
    Step,
    Undoing,
)
from oatie_ops.errors import OatieError
from oatie_ops.exit_codes import ExitCode

PLAN = Planned(
    "deploy shop: release 2",
    (PlannedStep("build", "pip install", ""), PlannedStep("gate", "must answer", "stop it")),
    ("the data is shared",),
)
RUN: list[Event] = [
    Step("build", "started"),
    Output("build", "Collecting flask"),
    Step("build", "done", 2.5, "1 of 1 commands ran"),
    Step("gate", "started"),
    Step("gate", "waiting", 1.0, "worker 1: status 503"),
    Step("gate", "failed", 30.0, "release 2 did not become ready"),
    Undoing("gate failed, undoing build"),
    Step("gate", "undoing", 0.0, "stop it"),
    Step("gate", "undone", 0.1),
]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def plain(events: list[Event], clock: Clock | None = None) -> list[str]:
    lines: list[str] = []
    screen = PlainLines(lines.append, clock or Clock())
    screen(PLAN)
    screen.opening()
    with screen:
        for event in events:
            screen(event)
    return [line.split(" ", 1)[1] for line in lines]


def test_plain_lines_tell_the_story_in_order() -> None:
    assert plain(RUN) == [
        "deploy shop: release 2",
        "note: the data is shared",
        "build: pip install",
        "build | Collecting flask",
        "build: done after 2.5 s: 1 of 1 commands ran",
        "gate: must answer",
        "gate: still waiting after 1.0 s: worker 1: status 503",
        "gate: failed after 30 s: release 2 did not become ready",
        "gate failed, undoing build",
        "gate: undoing: stop it",
        "gate: undone after 0.1 s",
    ]


def test_a_long_wait_is_one_line_and_then_a_sign_of_life_now_and_then() -> None:
    clock = Clock()
    lines: list[str] = []
    screen = PlainLines(lines.append, clock)
    for second in range(25):
        clock.now = float(second)
        screen(Step("gate", "waiting", clock.now, "status 503"))
    assert len(lines) == 1 + 23 // HEARTBEAT_SECONDS


def test_json_is_one_event_a_line_and_the_result_has_exactly_its_keys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = JsonLines("oatie.deploy/v1")
    error = OatieError("it broke", why="weak", fix="strengthen", details=["a", "b\nc"])
    last = Result("rolled_back", 2, 1, ExitCode.ROLLED_BACK)
    for event in [PLAN, *RUN, Notice("ä ↩"), Failure(error, ExitCode.ROLLED_BACK), last]:
        screen(event)
    lines = capsys.readouterr().out.splitlines()
    parsed = [json.loads(line) for line in lines]
    assert [event["event"] for event in parsed[-3:]] == ["notice", "error", "result"]
    assert parsed[-2]["error"]["details"] == ["a", "b\nc"]
    assert parsed[-1] == {
        "event": "result",
        "status": "rolled_back",
        "release": "2",
        "previous": "1",
        "exit_code": 7,
        "schema": "oatie.deploy/v1",
    }
    assert parsed[-2]["error"]["exit_code"] == parsed[-1]["exit_code"]
    assert {event["schema"] for event in parsed} == {"oatie.deploy/v1"}
    assert parsed[0]["steps"][1] == {"name": "gate", "why": "must answer", "undo": "stop it"}


def drawn(events: list[Event]) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    screen = LiveSteps(console)
    screen(PLAN)
    with screen:
        for event in events:
            screen(event)
    return stream.getvalue()


def test_the_live_list_ends_as_the_whole_story() -> None:
    last_frame = drawn(RUN).rpartition("gate failed, undoing build")[2]
    assert "✓" in last_frame
    assert "1 of 1 commands ran" in last_frame
    # A step that failed and was undone stays a failure, with its reason.
    assert "✗" in last_frame
    assert "release 2 did not become ready" in last_frame


def test_the_live_list_shows_the_last_line_that_a_build_printed() -> None:
    assert "Collecting flask" in drawn(RUN[:2])


def test_a_wait_of_a_moment_is_not_worth_a_line() -> None:
    assert plain([Step("gate", "waiting", 0.1, "worker 2: starting")]) == plain([])


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (30.2, "30 s"), (200.0, "3 min 20 s")]
)
def test_durations_are_as_exact_as_a_person_wants_them(value: float, text: str) -> None:
    assert seconds(value) == text
