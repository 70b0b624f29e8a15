"""How a run of `oatie deploy` or `oatie rollback` looks: live on a terminal, plain lines elsewhere, or JSON.

Progress is talk, so it goes to stderr; the JSON lines are the result, so they go to stdout.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from oatie_ops.cli import output
from oatie_ops.deployment.events import Event, Notice, Output, Planned, PlannedStep, Step, StepState, Undoing

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

HEARTBEAT_SECONDS = 10.0
QUIET_SECONDS = 1.0  # what is over sooner is not worth a line
LIVE_FRAMES_PER_SECOND = 8
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SECONDS_WIDTH = 9


class Display(Protocol):
    """A listener for events that is entered for the length of the run."""

    def __call__(self, event: Event) -> None: ...

    def opening(self) -> None:
        """Shows what the run is going to do, before anybody is asked and anything is done."""
        ...

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def display(*, as_json: bool, schema: str) -> Display:
    if as_json:
        return JsonLines(schema)
    return LiveSteps() if output.use_animation(sys.stderr) else PlainLines()


class JsonLines:
    """Every event as one line on stdout, each with the ``schema`` that it follows."""

    def __init__(self, schema: str) -> None:
        self._schema = schema

    def __call__(self, event: Event) -> None:
        output.emit_json_line({**event.as_dict(), "schema": self._schema})

    def opening(self) -> None:
        return

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        return


class PlainLines:
    """A line when a step starts, when it ends, and now and then while it waits: for logs and CI."""

    def __init__(
        self,
        say: Callable[[str], None] = output.say,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._say, self._now = say, now
        self._plan = Planned("", ())
        self._waiting, self._waiting_at = "", 0.0

    def __call__(self, event: Event) -> None:
        match event:
            case Planned():
                self._plan = event
            case Step():
                self._step(event)
            case Output():
                self._line(f"{event.step} | {event.line}")
            case Notice() | Undoing():
                self._line(event.message)

    def opening(self) -> None:
        self._line(self._plan.title)
        for note in self._plan.notes:
            self._line(f"note: {note}")

    def __enter__(self) -> PlainLines:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def _step(self, event: Step) -> None:
        note = f": {event.message}" if event.message else ""
        match event.state:
            case "started":
                self._waiting, self._waiting_at = "", self._now()
                self._line(f"{event.step}: {why(self._plan, event.step)}")
            case "waiting":
                self._wait(event)
            case "undoing":
                self._line(f"{event.step}: undoing{note}")
            case _:
                self._line(f"{event.step}: {event.state} after {seconds(event.seconds)}{note}")

    def _wait(self, event: Step) -> None:
        """What takes a while, once, then a sign of life every ten seconds."""
        due = self._now() - self._waiting_at >= HEARTBEAT_SECONDS
        if event.seconds >= QUIET_SECONDS and (due or not self._waiting):
            self._waiting, self._waiting_at = event.message, self._now()
            self._line(f"{event.step}: still waiting after {seconds(event.seconds)}: {event.message}")

    def _line(self, text: str) -> None:
        self._say(f"{time.strftime('%H:%M:%S', time.localtime(self._now()))} {text}")


@dataclass
class Row:
    """One step as it is drawn."""

    planned: PlannedStep
    state: StepState | None = None
    began: float = 0.0
    seconds: float = 0.0
    message: str = ""
    failed: bool = False


GLYPHS: dict[StepState | None, tuple[str, str]] = {
    None: ("·", "dim"),
    "done": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "undone": ("↩", "yellow"),
}


class LiveSteps:
    """The list of steps, redrawn: what is done, what runs and for how long, what it waits for."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True, highlight=False)
        self._plan = Planned("", ())
        self._rows: dict[str, Row] = {}
        self._live: Live | None = None

    def opening(self) -> None:
        self._console.print(self._plan.title, style="bold", markup=False)
        for note in self._plan.notes:
            self._console.print(f"note: {note}", style="dim", markup=False)

    def __enter__(self) -> LiveSteps:
        from rich.live import Live

        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=LIVE_FRAMES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            with suppress(OSError):  # the terminal is gone
                self._live.stop()
            self._live = None

    def __call__(self, event: Event) -> None:
        match event:
            case Planned():
                self._plan = event
                self._rows = {step.name: Row(step) for step in event.steps}
            case Step():
                self._step(event)
            case Output():
                self._rows[event.step].message = event.line
            case Undoing():
                self._console.print(event.message, style="yellow", markup=False)
            case Notice():
                self._console.print(event.message, markup=False)

    def _step(self, event: Step) -> None:
        row = self._rows[event.step]
        if event.state in ("started", "undoing"):
            row.began = time.monotonic()
        if event.state != "undone" and not (row.failed and event.state == "undoing"):
            row.message = event.message
        row.failed = row.failed or event.state == "failed"
        row.state, row.seconds = event.state, event.seconds

    def _draw(self) -> RenderableType:
        from rich.console import Group

        return Group(*(self._line(row) for row in self._rows.values()))

    def _line(self, row: Row) -> Text:
        from rich.text import Text

        running = row.state in ("started", "waiting", "undoing")
        glyph, style = self._glyph(row, running)
        taken = time.monotonic() - row.began if running else row.seconds
        message = row.message or (row.planned.why if running else "")
        width = max(len(name) for name in self._rows)
        return Text.assemble(
            (f"{glyph} ", style),
            (f"{row.planned.name:<{width}}", "bold" if running else "dim" if row.state is None else ""),
            (f"{'' if row.state is None else seconds(taken):>{SECONDS_WIDTH}}  ", "dim"),
            (message, "red" if row.failed else "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )

    @staticmethod
    def _glyph(row: Row, running: bool) -> tuple[str, str]:
        if running:
            return SPINNER[int(time.monotonic() * LIVE_FRAMES_PER_SECOND) % len(SPINNER)], "cyan"
        return GLYPHS["failed"] if row.failed else GLYPHS[row.state]


def why(plan: Planned, name: str) -> str:
    return next((step.why for step in plan.steps if step.name == name), name)


def seconds(value: float) -> str:
    """``0.2 s``, ``14 s``, ``3 min 20 s``: as exact as a person wants it."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 100:
        return f"{value:.0f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"
