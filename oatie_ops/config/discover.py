"""Finds what could be run here without importing any of it: applications, programs, declared commands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

DEMO_RUN = "oatie_ops.demo.app:app"


@dataclass(frozen=True)
class Candidate:
    """Exactly one of ``run`` and ``command``. ``evidence`` is what a person can look up, such as
    ``main.py:12 app = FastAPI()``; ``confidence`` from 0 to 1 orders candidates and means nothing else.

    ``build`` are commands that a release of it needs, ``ready`` a path that it answers for probes.
    """

    run: str | None
    command: tuple[str, ...] | None
    kind: str
    evidence: str
    confidence: float
    name: str = ""
    build: tuple[str, ...] = ()
    ready: str | None = None


DEMO = Candidate(DEMO_RUN, None, "demo", "the built-in demo: no application was found here", 0.0, "demo")


def discover(root: Path) -> list[Candidate]:
    """Best first; empty where nothing was found. Never raises for what the files hold."""
    from oatie_ops.config.discover_programs import programs
    from oatie_ops.config.discover_python import applications

    found = [*programs(root), *applications(root)]
    name, build = _name(root), _python_build(root)
    return [
        replace(candidate, name=name, build=candidate.build or (build if candidate.run else ()))
        for candidate in _best_first(found)
    ]


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
        )
    return sorted(best.values(), key=lambda c: (-c.confidence, c.run or "", c.command or ()))


def _name(root: Path) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", root.absolute().name.lower()).strip("-")
    return words or "app"


def _python_build(root: Path) -> tuple[str, ...]:
    """What installs the dependencies where it is written down in the most usual place."""
    return ("pip install -r requirements.txt",) if (root / "requirements.txt").is_file() else ()
