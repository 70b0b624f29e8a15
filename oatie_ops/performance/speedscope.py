"""A profile in the format of https://www.speedscope.app (0.0.1): imports as events, stacks as samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oatie_ops.performance.importtime import Module
from oatie_ops.performance.profiles import Profile

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


class _Frames:
    def __init__(self) -> None:
        self.list: list[dict[str, str]] = []
        self._index: dict[str, int] = {}

    def of(self, name: str) -> int:
        if name not in self._index:
            self._index[name] = len(self.list)
            self.list.append({"name": name})
        return self._index[name]


def document(profile: Profile, exporter: str) -> dict[str, Any]:
    """Every profile there is: the phases (medians), the imports, the stacks of the watched run."""
    frames = _Frames()
    profiles = [_phases(profile, frames)]
    if profile.inside is not None:
        profiles.append(_imports("server imports", profile.inside.server, frames))
        profiles.append(_imports("application imports", profile.inside.application, frames))
        profiles.append(_stacks(profile.inside.samples, frames))
    return {
        "$schema": SCHEMA,
        "exporter": exporter,
        "name": f"start of {profile.what}",
        "activeProfileIndex": 0,
        "shared": {"frames": frames.list},
        "profiles": [one for one in profiles if one["endValue"] > 0],
    }


def _phases(profile: Profile, frames: _Frames) -> dict[str, Any]:
    events = []
    for phase in profile.phases():
        frame = frames.of(phase.name)
        events.append({"type": "O", "frame": frame, "at": phase.start})
        events.append({"type": "C", "frame": frame, "at": phase.start + phase.seconds})
    return _evented("phases", events)


def _imports(name: str, roots: Iterable[Module], frames: _Frames) -> dict[str, Any]:
    """Only durations were measured: what a module imports is drawn first, its own time after that."""
    events: list[dict[str, Any]] = []

    def draw(module: Module, at: float) -> float:
        frame = frames.of(module.name)
        events.append({"type": "O", "frame": frame, "at": at})
        end = at
        for child in module.children:
            end = draw(child, end)
        # Rounding to microseconds may make the parts longer than the whole.
        end = max(end, at + module.cumulative_seconds)
        events.append({"type": "C", "frame": frame, "at": end})
        return end

    at = 0.0
    for root in roots:
        at = draw(root, at)
    return _evented(name, events)


def _evented(name: str, events: list[dict[str, Any]]) -> dict[str, Any]:
    end = events[-1]["at"] if events else 0.0
    return {
        "type": "evented",
        "name": name,
        "unit": "seconds",
        "startValue": 0,
        "endValue": end,
        "events": events,
    }


def _stacks(samples: Iterable[Any], frames: _Frames) -> dict[str, Any]:
    stacks, weights = [], []
    for sample in samples:
        shown = [*sample["stack"], "(waiting)"] if sample["blocked"] else sample["stack"]
        stacks.append([frames.of(entry) for entry in shown])
        weights.append(sample["seconds"])
    return {
        "type": "sampled",
        "name": "stacks of the watched run",
        "unit": "seconds",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": stacks,
        "weights": weights,
    }
