"""From exec to the first 200."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.benchmarks.report import Figure, judged, median
from tests.benchmarks.servers import GUNICORN, OATIE, UVICORN, present, running


def starting(rounds: int) -> Iterator[Figure]:
    """A tiny application and one that takes 0.5 s to import, all peers in turn within each round."""
    for import_seconds, most_of_gunicorn in ((0.0, 1.3), (0.5, 1.1)):
        seconds: dict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            for peer in present():
                with running(peer, import_seconds=import_seconds) as server:
                    seconds[peer.name].append(server.first_answer_seconds)
        what = "start" if not import_seconds else f"start, {import_seconds} s import"
        for name, values in seconds.items():
            yield Figure(what, name, median(values) * 1000, "ms to first 200")
        ours = seconds[OATIE.name]
        for peer, most in ((UVICORN, 1.0), (GUNICORN, most_of_gunicorn)):
            if theirs := seconds.get(peer.name):
                ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
                unit = f"x {peer.name} --workers 2"
                yield judged(what, OATIE.name, ratio, unit, f"<= {most}", lambda v, m=most: v <= m)
