"""From exec to the first 200."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator

from tests.benchmarks.report import Figure, judged, median
from tests.benchmarks.servers import GUNICORN, OATIE, UVICORN, checkout, present, running_in


def starting(rounds: int) -> Iterator[Figure]:
    """A tiny application and one that takes 0.5 s to import, all peers in turn within each round.

    Each peer has one directory for all rounds. The first start in it, when nothing has been compiled or
    remembered yet, is shown for `oatie` as "first" and is in no ratio.
    """
    for import_seconds, most_of_gunicorn in ((0.0, 1.3), (0.5, 1.1)):
        what = "start" if not import_seconds else f"start, {import_seconds} s import"
        seconds: dict[str, list[float]] = defaultdict(list)
        with contextlib.ExitStack() as stack:
            places = {
                peer: stack.enter_context(checkout(import_seconds=import_seconds)) for peer in present()
            }
            for _ in range(rounds + 1):
                for peer, project in places.items():
                    with running_in(project, peer) as server:
                        seconds[peer.name].append(server.first_answer_seconds)
        firsts = {name: values.pop(0) for name, values in seconds.items()}
        yield Figure(what, OATIE.name, firsts[OATIE.name] * 1000, "ms to first 200", note="first")
        yield from _ratios(what, seconds, most_of_gunicorn)


def _ratios(what: str, seconds: dict[str, list[float]], most_of_gunicorn: float) -> Iterator[Figure]:
    for name, values in seconds.items():
        yield Figure(what, name, median(values) * 1000, "ms to first 200")
    ours = seconds[OATIE.name]
    for peer, most in ((UVICORN, 1.0), (GUNICORN, most_of_gunicorn)):
        if theirs := seconds.get(peer.name):
            ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
            unit = f"x {peer.name} --workers 2"
            yield judged(what, OATIE.name, ratio, unit, f"<= {most}", lambda v, m=most: v <= m)
