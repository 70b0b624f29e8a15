"""Which share of the time a service was up, of the last hour, day and week, in bounded memory.

Time is put into buckets by a steady clock (epoch seconds that no step of the wall clock moves).
"""

from __future__ import annotations

from collections.abc import Iterable

from oatie_ops.health.model import Status
from oatie_ops.health.standing import Uptime

HOUR, DAY, WEEK = 3600, 86_400, 604_800
FINE_SECONDS = 300
COARSE_SECONDS = HOUR

Bucket = tuple[int, float, float]  # start (epoch seconds), seconds up, seconds down
Pair = tuple[float, float]  # seconds up, seconds down
NOTHING: Pair = (0.0, 0.0)


class UptimeLedger:
    """Five-minute buckets of the last hour and hours of the last week: 180 at the most.

    Each result of a check asks for the summary, and between two of them only the newest buckets differ: the
    sums of all others are kept for as long as no bucket comes or goes.
    """

    def __init__(self) -> None:
        self._fine: dict[int, list[float]] = {}
        self._coarse: dict[int, list[float]] = {}
        # Those of the last hour, day and week, and the five minutes in which they hold; None: in no more.
        self._older: tuple[Pair, Pair, Pair] = (NOTHING, NOTHING, NOTHING)
        self._older_in: int | None = None

    def merge(self, fine: Iterable[Bucket], coarse: Iterable[Bucket]) -> None:
        """Adds what another ledger counted at other times."""
        self._fine, self._coarse = _merged(self._fine, fine), _merged(self._coarse, coarse)
        self._older_in = None

    def add(self, status: Status, seconds: float, now: float) -> None:
        """The ``seconds`` up to ``now`` were spent in ``status``; unknown counts neither way."""
        if status is Status.UNKNOWN or seconds <= 0:
            return
        which = 1 if status is Status.FAIL else 0
        if (now - seconds) // FINE_SECONDS != self._older_in:
            self._older_in = None
        _spread(self._fine, FINE_SECONDS, which, seconds, now)
        _spread(self._coarse, COARSE_SECONDS, which, seconds, now)
        _drop(self._fine, now - HOUR - FINE_SECONDS)
        _drop(self._coarse, now - WEEK - COARSE_SECONDS)

    def summary(self, now: float) -> Uptime:
        fine, coarse = (int(now // size) * size for size in (FINE_SECONDS, COARSE_SECONDS))
        if now // FINE_SECONDS != self._older_in:
            self._older = (
                _sum(self._fine, now - HOUR, fine),
                _sum(self._coarse, now - DAY, coarse),
                _sum(self._coarse, now - WEEK, coarse),
            )
            # On the very edge of a bucket the oldest still counts, and a moment later does not.
            self._older_in = int(now // FINE_SECONDS) if now > fine else None
        lately, this_hour = self._fine.get(fine, NOTHING), self._coarse.get(coarse, NOTHING)
        hour, day, week = self._older
        up, down = week[0] + this_hour[0], week[1] + this_hour[1]
        return Uptime(
            _share(hour[0] + lately[0], hour[1] + lately[1]),
            _share(day[0] + this_hour[0], day[1] + this_hour[1]),
            _share(up, down),
            round(up + down, 1),
        )

    def buckets(self) -> tuple[list[Bucket], list[Bucket]]:
        return _listed(self._fine), _listed(self._coarse)


def _spread(buckets: dict[int, list[float]], size: int, which: int, seconds: float, now: float) -> None:
    at = now - seconds
    while at < now:
        start = int(at // size) * size
        end = min(now, start + size)
        buckets.setdefault(start, [0.0, 0.0])[which] += end - at
        at = end


def _drop(buckets: dict[int, list[float]], before: float) -> None:
    # In order of time, so only the oldest have to be looked at.
    while buckets and (oldest := next(iter(buckets))) < before:
        del buckets[oldest]


def _sum(buckets: dict[int, list[float]], since: float, before: int) -> Pair:
    found = [pair for start, pair in buckets.items() if since <= start < before]
    return sum(pair[0] for pair in found), sum(pair[1] for pair in found)


def _share(up: float, down: float) -> float | None:
    total = up + down
    return round(up / total, 6) if total > 0 else None


def _listed(buckets: dict[int, list[float]]) -> list[Bucket]:
    return [(start, round(up, 3), round(down, 3)) for start, (up, down) in buckets.items()]


def _merged(buckets: dict[int, list[float]], others: Iterable[Bucket]) -> dict[int, list[float]]:
    for start, up, down in others:
        pair = buckets.setdefault(int(start), [0.0, 0.0])
        pair[0] += up
        pair[1] += down
    return dict(sorted(buckets.items()))
