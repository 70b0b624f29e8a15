"""What a look around a checkout found: what could be run, what hides it, and which one it is to be. Pure."""

from __future__ import annotations

from typing import Any

from oatie_ops.records import dataclass

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

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``: what it is and how that is known."""
        return {
            "run": self.run,
            "command": list(self.command) if self.command else None,
            "kind": self.kind,
            "evidence": self.evidence,
            "confidence": self.confidence,
        }


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


def _is_its_factory(other: Candidate, best: Candidate) -> bool:
    if other.run is None or best.run is None:
        return False
    return other.kind.endswith("factory") and other.run.partition(":")[0] == best.run.partition(":")[0]
