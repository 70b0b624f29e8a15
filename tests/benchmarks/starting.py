"""From exec to the first 200."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial

from tests.benchmarks.measuring import interleaved, ratio, summed_up
from tests.benchmarks.peers import GUNICORN, OATIE, UVICORN, Peer
from tests.benchmarks.report import Figure, Options, Report
from tests.benchmarks.servers import checkout, left_out, present, running_in
from tests.real.harness import Project

ROUNDS, QUICK_ROUNDS = 9, 2
IMPORT_SECONDS = 0.5
FIRST = "oatie, in a fresh checkout"
# Most that `oatie` may take, as a multiple of each, for a tiny application and for one that imports long.
AGAINST: dict[float, dict[str, float]] = {
    0.0: {UVICORN.name: 1.0, GUNICORN.name: 1.3},
    IMPORT_SECONDS: {UVICORN.name: 1.0, GUNICORN.name: 1.1},
}


def run(options: Options) -> Report:
    """A tiny application and (but in a quick run) one that takes 0.5 s to import."""
    kinds = [0.0] if options.quick else [0.0, IMPORT_SECONDS]
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    figures = [figure for import_seconds in kinds for figure in _start(import_seconds, rounds, options)]
    return Report("starting", "A server's start, two workers", tuple(figures), left_out())


def _start(import_seconds: float, rounds: int, options: Options) -> Iterator[Figure]:
    """One directory for each peer; the first start in it, when nothing is compiled yet, is not counted."""
    what = "start" if not import_seconds else f"start, {import_seconds} s import"
    with contextlib.ExitStack() as stack:
        rivals: dict[str, Callable[[], float]] = {}
        for peer in present(options):
            project = stack.enter_context(checkout(import_seconds=import_seconds))
            rivals[peer.name] = partial(_first_answer, project, peer)
        project = stack.enter_context(checkout(import_seconds=import_seconds))
        rivals[FIRST] = partial(_very_first_answer, project)
        found = interleaved(rivals, rounds, options)
    first = found.pop(FIRST)
    yield from summed_up(f"first {what}", {OATIE.name: first}, "ms to first 200", scale=1000)
    if UVICORN.name in found:
        value, unit = ratio(first, found[UVICORN.name]), f"x {UVICORN.name} --workers 2"
        yield Figure(f"first {what}", OATIE.name, value, unit, limit=AGAINST[import_seconds][UVICORN.name])
    yield from summed_up(what, found, "ms to first 200", scale=1000, notes={"PM2": "one process"})
    for name, most in AGAINST[import_seconds].items():
        if name in found:
            value = ratio(found[OATIE.name], found[name])
            yield Figure(what, OATIE.name, value, f"x {name} --workers 2", limit=most)


def _very_first_answer(project: Project) -> float:
    """Without a state directory: the configuration has to be validated, the store to be made."""
    shutil.rmtree(project.state.home, ignore_errors=True)
    return _first_answer(project, OATIE)


def _first_answer(project: Project, peer: Peer) -> float:
    with running_in(project, peer) as server:
        return server.first_answer_seconds
