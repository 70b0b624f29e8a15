"""Finds what could be run here without importing any of it: applications, programs, declared commands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

DEMO_RUN = "oatie_ops.demo.app:app"
# From here on somebody wrote down what is served; below, it is a guess from the sources.
DECLARED_CONFIDENCE = 0.92


@dataclass(frozen=True)
class Candidate:
    """Exactly one of ``run`` and ``command``. ``evidence`` is what a person can look up, such as
    ``main.py:12 app = FastAPI()``; ``confidence`` from 0 to 1 orders candidates and means nothing else.

    ``build`` are commands that a release of it needs, ``ready`` a path that it answers for probes.
    ``in_src``: imported from src/, which only an installation puts on the import path.
    """

    run: str | None
    command: tuple[str, ...] | None
    kind: str
    evidence: str
    confidence: float
    name: str = ""
    build: tuple[str, ...] = ()
    ready: str | None = None
    in_src: bool = False

    @property
    def what(self) -> str:
        return self.run or " ".join(self.command or ())


@dataclass(frozen=True)
class Obstacle:
    """A file that may hold the application, and why that cannot be told or used.

    ``potential`` is the confidence that a candidate in it would have had; 0 for one that says nothing of
    applications, which counts only where no candidate was found. ``fix`` is what to do about it.
    """

    path: str
    line: int
    what: str
    potential: float
    fix: str

    @property
    def text(self) -> str:
        return f"{self.path}:{self.line} {self.what}"


DEMO = Candidate(DEMO_RUN, None, "demo", "the built-in demo: no application was found here", 0.0, "demo")


@dataclass(frozen=True)
class Discovery:
    """``candidates``, best first, and the ``obstacles`` that may hide a better one."""

    candidates: tuple[Candidate, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()

    @property
    def chosen(self) -> Candidate | None:
        """What is to run; None where it would be a guess that a mended file could prove wrong.

        The demo only where nothing looks like an application: a file that cannot be read is no "nothing".
        """
        if not self.candidates:
            return None if self.obstacles else DEMO
        best = self.candidates[0]
        guessed = best.confidence < DECLARED_CONFIDENCE
        if guessed and any(obstacle.potential >= best.confidence for obstacle in self.obstacles):
            return None
        return best

    @property
    def others(self) -> tuple[Candidate, ...]:
        """Applications that might have been meant as well; none where what was chosen is written down."""
        best = self.chosen
        if best is None or not self.candidates or best.confidence >= DECLARED_CONFIDENCE:
            return ()
        return tuple(other for other in self.candidates[1:] if not _is_its_factory(other, best))


def discover(root: Path) -> list[Candidate]:
    """Best first; empty where nothing was found. Never raises for what the files hold."""
    return list(look(root).candidates)


def look(root: Path) -> Discovery:
    """Never raises for what the files hold."""
    from oatie_ops.config.discover_build import python_build
    from oatie_ops.config.discover_programs import programs
    from oatie_ops.config.discover_python import scan

    seen = scan(root)
    name = directory_name(root)
    candidates = [
        replace(
            candidate,
            name=name,
            build=candidate.build or (python_build(root, candidate.in_src) if candidate.run else ()),
        )
        for candidate in _best_first([*programs(root), *seen.candidates])
    ]
    obstacles = seen.obstacles if candidates else (*seen.obstacles, *seen.mute_obstacles())
    return Discovery(tuple(candidates), tuple(obstacles))


def _is_its_factory(other: Candidate, best: Candidate) -> bool:
    if other.run is None or best.run is None:
        return False
    return other.kind.endswith("factory") and other.run.partition(":")[0] == best.run.partition(":")[0]


def _best_first(found: Iterable[Candidate]) -> list[Candidate]:
    """One of each: what two hints agree on is the more likely, and keeps the evidence of the better one."""
    best: dict[tuple[str | None, tuple[str, ...] | None], Candidate] = {}
    for candidate in found:
        key = (candidate.run, candidate.command)
        known = best.get(key)
        if known is None:
            best[key] = candidate
            continue
        strong, weak = (known, candidate) if known.confidence >= candidate.confidence else (candidate, known)
        best[key] = replace(
            strong,
            confidence=min(1.0, strong.confidence + 0.02),
            kind=strong.kind if strong.kind != "application" else weak.kind,
            ready=strong.ready or weak.ready,
            in_src=strong.in_src or weak.in_src,
        )
    return sorted(best.values(), key=lambda c: (-c.confidence, c.run or "", c.command or ()))


def directory_name(root: Path) -> str:
    """The name of an application that nobody gave one."""
    words = re.sub(r"[^a-z0-9]+", "-", root.absolute().name.lower()).strip("-")
    return words or "app"
