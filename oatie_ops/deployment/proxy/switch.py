"""Which release Caddy sends requests to: the newest file in a directory that Caddy looks at per request.

A change through Caddy's admin API replaces its whole configuration, and that closes idle keep-alive
connections: 10 switches under 12 keep-alive clients cut 11 of them. Caddy's `file` matcher is asked for each
request and touches no connection, so a switch is a new file, and turning back is its removal: 0 cut in the
same measurement. The name of the file carries everything; its content is empty.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SLOTS = 16
PATTERN = "live.*"
# The matcher gives the name to Caddy's `map`, which takes the ports out.
PORTS_REGEX = r"live\.\d+\.[^.]+" + r"\.(\d+)" * SLOTS + "$"
_NAME = re.compile(r"live\.(\d{10})\.([^.]+)((?:\.\d+)+)")


@dataclass(frozen=True)
class Live:
    """``ports`` of the loopback, each once; ``sequence`` grows with every switch."""

    sequence: int
    release: str
    ports: tuple[int, ...]

    @property
    def name(self) -> str:
        """Each slot has a port: with fewer replicas than slots they take turns."""
        slots = [self.ports[number % len(self.ports)] for number in range(SLOTS)]
        return ".".join(["live", f"{self.sequence:010}", self.release, *map(str, slots)])

    @classmethod
    def parse(cls, name: str) -> Live | None:
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        ports = [int(port) for port in found[3].split(".")[1:]]
        return cls(int(found[1]), found[2], tuple(dict.fromkeys(ports)))


class Switch:
    """Files are never renamed and the old one goes only later, so a look never finds none of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def all(self) -> list[Live]:
        """The newest, which gets the requests, first."""
        if not self.directory.is_dir():
            return []
        found = filter(None, (Live.parse(place.name) for place in self.directory.iterdir()))
        return sorted(found, key=lambda live: -live.sequence)

    def now(self) -> Live | None:
        return next(iter(self.all()), None)

    def to(self, release: str, ports: Sequence[int]) -> Live:
        """Requests that come from now on go there."""
        newest = self.now()
        live = Live(newest.sequence + 1 if newest else 1, release, tuple(ports))
        self.directory.mkdir(parents=True, exist_ok=True)
        place = self.directory / live.name
        place.touch(mode=0o644)
        self._make_newest(place)
        return live

    def withdraw(self, live: Live) -> None:
        """What served before it gets the requests again."""
        (self.directory / live.name).unlink(missing_ok=True)

    def keep_only(self, live: Live) -> None:
        for other in self.all():
            if other != live:
                self.withdraw(other)

    def keep_newest(self, count: int) -> None:
        for other in self.all()[count:]:
            self.withdraw(other)

    def clear(self) -> None:
        for live in self.all():
            self.withdraw(live)
        if self.directory.is_dir() and not any(self.directory.iterdir()):
            self.directory.rmdir()

    def _make_newest(self, place: Path) -> None:
        """Caddy chooses by the time of modification, which two quick switches may share."""
        import os

        others = [other.stat().st_mtime_ns for other in self.directory.glob(PATTERN) if other != place]
        mine = place.stat().st_mtime_ns
        if others and mine <= max(others):
            later = max(others) + 10_000_000
            os.utime(place, ns=(later, later))
