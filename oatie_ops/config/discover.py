"""Finds what could be run here without importing any of it: applications, programs, declared commands."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from oatie_ops.config.candidates import Candidate, Discovery


def discover(root: Path) -> list[Candidate]:
    """Best first; empty where nothing was found. Never raises for what the files hold."""
    return list(look(root).candidates)


def look(root: Path) -> Discovery:
    """Never raises for what the files hold."""
    # Syntax trees take time to import, and a project with an oatie.toml needs none of this.
    from oatie_ops.config.discover_build import python_build
    from oatie_ops.config.discover_programs import programs
    from oatie_ops.config.discover_python import scan

    seen = scan(root)
    name = directory_name(root)
    candidates = [
        replace(
            candidate,
            name=name,
            build=candidate.build or (python_build(root, candidate.in_src) if _is_python(candidate) else ()),
        )
        for candidate in _best_first([*programs(root), *seen.candidates])
    ]
    obstacles = seen.obstacles if candidates else (*seen.obstacles, *seen.mute_obstacles())
    return Discovery(tuple(candidates), tuple(obstacles))


def _is_python(candidate: Candidate) -> bool:
    return candidate.run is not None or candidate.kind == "Python"


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
