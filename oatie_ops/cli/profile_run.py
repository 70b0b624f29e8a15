"""Runs the starts of ``oatie profile``: what is started, how often, against what, and what is written."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from oatie_ops.cli.choice import choose
from oatie_ops.cli.choices import require_one_of
from oatie_ops.cli.context import Context
from oatie_ops.cli.filling import read_release
from oatie_ops.cli.output import emit_json, emit_report, say, warn
from oatie_ops.cli.waiting import Waiting
from oatie_ops.errors import OatieError, UsageError
from oatie_ops.exit_codes import ExitCode
from oatie_ops.performance.compare import Comparison, Verdict, confirm, suspect
from oatie_ops.performance.phases import Start, to_json
from oatie_ops.performance.profiles import Inside, Profile
from oatie_ops.performance.samples import samples_path
from oatie_ops.store.errors import StoreError
from oatie_ops.store.samplefile import SampleFile
from oatie_ops.store.starts import Starts
from oatie_ops.supervisor.spec import ReleaseSpec

if TYPE_CHECKING:
    from oatie_ops.supervisor.scratch import Scratch

SCHEMA = "oatie.profile/v1"
DEFAULT_RUNS, VERIFY_RUNS = 5, 20
VERDICT_CODES = {
    Verdict.CONFIRMED_SLOWER: ExitCode.FAILED,
    Verdict.SUSPECTED_SLOWER: ExitCode.DEGRADED,
}
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    app: str | None
    runs: int | None
    checkout: bool
    as_json: bool
    html: Path | None
    speedscope: Path | None
    budget_seconds: float | None
    compare: str | None
    verify: bool

    @property
    def how_often(self) -> int:
        return self.runs or (VERIFY_RUNS if self.verify else DEFAULT_RUNS)


@dataclass(frozen=True)
class Measured:
    starts: tuple[Start, ...]
    old_starts: tuple[Start, ...]
    inside: Inside | None


def run(wanted: Wanted) -> int:
    """Raises the `OatieError` of a start that failed."""
    for path in (wanted.html, wanted.speedscope):
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(
                f"{path} cannot be written", why=f"there is no directory {path.absolute().parent}"
            )
    context = _context(wanted)
    choice = choose(context.loaded, context.paths, dev=wanted.checkout or wanted.app is not None)
    old = _release(wanted.compare, context) if wanted.compare is not None else None
    if not wanted.as_json:
        say(f"oatie: profiling the start of {choice.what}, {wanted.how_often} runs")
    with Waiting(quiet=wanted.as_json) as waiting:
        measured = _measure(choice.spec, old if wanted.verify else None, context, wanted, waiting.update)
    comparison = None
    if old is not None:
        comparison = _compare(wanted, measured, old.name, context)
    profile = Profile(
        what=choice.spec.app.run or " ".join(choice.spec.app.command or ()),
        release=choice.spec.name,
        starts=measured.starts,
        inside=measured.inside,
        own_packages=_own_packages(choice.spec),
        comparison=comparison,
        compared_with=wanted.compare,
        budget_seconds=wanted.budget_seconds,
    )
    _keep(profile, context)
    _write(profile, wanted)
    if wanted.as_json:
        emit_json({"schema": SCHEMA, **profile.as_dict()})
    else:
        from oatie_ops.cli.profile_text import render

        emit_report("\n".join(render(profile)))
    if profile.within_budget is False:
        return ExitCode.FAILED
    return VERDICT_CODES.get(comparison.verdict, ExitCode.OK) if comparison else ExitCode.OK


def _context(wanted: Wanted) -> Context:
    if wanted.app is None:
        return Context()
    if ":" not in wanted.app:
        raise UsageError(
            f"{wanted.app!r} names no application",
            fix="write module:attribute, such as main:app; a program goes into app.command of oatie.toml",
        )
    return Context(overrides={"app.run": wanted.app})


def _release(name: str, context: Context) -> ReleaseSpec:
    """Raises `UsageError` for one that is not there (any more)."""
    found = [d.name for d in context.paths.releases.glob("*") if d.name.isdecimal()]
    if not found:
        raise UsageError("there is no release to compare with", fix="`oatie deploy` makes one")
    require_one_of("release", name, sorted(found, key=int))
    return read_release(context.paths.releases / name, context.loaded).spec()


def _measure(
    new: ReleaseSpec, old: ReleaseSpec | None, context: Context, wanted: Wanted, tell: Tell
) -> Measured:
    from oatie_ops.supervisor.scratch import scratch

    async def measure() -> Measured:
        async with scratch(context.loaded.settings.services) as starter:
            return await _runs(starter, new, old, wanted.how_often, tell)

    told: list[signal.Signals] = []

    async def interruptible() -> Measured:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(measure())

        def end(number: signal.Signals) -> None:
            told.append(number)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end, number)
        return await task

    try:
        return asyncio.run(interruptible())
    except asyncio.CancelledError:
        if told[:1] == [signal.SIGTERM]:
            raise SystemExit(ExitCode.TERMINATED) from None
        raise KeyboardInterrupt from None


async def _runs(
    starter: Scratch, new: ReleaseSpec, old: ReleaseSpec | None, count: int, tell: Tell
) -> Measured:
    """The watched run is the first, because only the first can see what had to be compiled."""
    inside = None
    if new.app.run is not None:
        tell("watching one start from within")
        inside = await starter.start_watched(new)
    starts: list[Start] = []
    before: list[Start] = []
    for number in range(count):
        tell(f"run {number + 1} of {count}")
        # In turn, and the first of a pair changes, so that neither always finds the warmer machine.
        order = [(new, starts)] if old is None else [(old, before), (new, starts)]
        for spec, found in order if number % 2 == 0 else reversed(order):
            found.append(await starter.start(spec))
    return Measured(tuple(starts), tuple(before), inside)


def _compare(wanted: Wanted, measured: Measured, old: str, context: Context) -> Comparison:
    new = [start.seconds for start in measured.starts]
    if wanted.verify:
        return confirm(list(zip((start.seconds for start in measured.old_starts), new, strict=True)))
    return suspect(_history(old, context), new)


def _history(release: str, context: Context) -> list[float]:
    """Profiles of the release; its workers' starts are others (several at once, a warm fork server)."""
    try:
        file = SampleFile(samples_path(context.paths.home), read_only=True)
    except FileNotFoundError:
        return []
    try:
        return [row.seconds for row in Starts(file).latest(kind="profile", release=release)]
    finally:
        file.close()


def _keep(profile: Profile, context: Context) -> None:
    """For comparisons to come, where there is a state directory already. A profile is shown all the same."""
    path = samples_path(context.paths.home)
    if not path.parent.is_dir():
        return
    try:
        file = SampleFile(path)
        try:
            for start in profile.starts:
                kept = replace(start, facts={"modules": profile.inside.modules if profile.inside else None})
                Starts(file).add(time.time(), "profile", profile.release, start.seconds, to_json(kept))
        finally:
            file.close()
    except StoreError as error:
        warn(f"this profile is not kept for comparisons: {error.what}: {error.why}")


def _own_packages(spec: ReleaseSpec) -> frozenset[str]:
    """Top-level names that belong to the application: what it is called by, and what lies beside it."""
    names = {(spec.app.run or "").partition(":")[0].partition(".")[0]}
    for directory in (spec.directory, spec.directory / "src"):
        names |= set(_modules(directory))
    return frozenset(name for name in names if name)


def _modules(directory: Path) -> Iterable[str]:
    if not directory.is_dir():
        return
    for entry in directory.iterdir():
        if entry.suffix == ".py":
            yield entry.stem
        elif entry.is_dir() and (entry / "__init__.py").exists():
            yield entry.name


def _write(profile: Profile, wanted: Wanted) -> None:
    from oatie_ops._version import __version__

    try:
        if wanted.html is not None:
            from oatie_ops.performance.page import page

            wanted.html.write_text(page(profile, __version__), encoding="utf-8")
        if wanted.speedscope is not None:
            import json

            from oatie_ops.performance.speedscope import document

            wanted.speedscope.write_text(json.dumps(document(profile, f"oatie {__version__}")))
    except OSError as error:
        raise OatieError(
            f"{error.filename} cannot be written", why=error.strerror or str(error), fix="choose another file"
        ) from error
