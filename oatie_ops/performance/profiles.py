"""What a profile of a start knows, and what it advises. All pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from oatie_ops.performance import advice as general
from oatie_ops.performance.advice import Advice, worthwhile
from oatie_ops.performance.compare import Comparison
from oatie_ops.performance.importtime import Module, packages, slowest, total_seconds
from oatie_ops.performance.phases import Phase, Start

# What an application is written with is needed at once; to import it later saves nothing.
FRAMEWORKS = frozenset(
    {
        *(
            "fastapi",
            "starlette",
            "pydantic",
            "pydantic_core",
            "annotated_types",
            "typing_extensions",
            "anyio",
        ),
        *("flask", "werkzeug", "django", "rest_framework", "asgiref", "quart", "litestar", "sanic"),
        *("aiohttp", "falcon", "bottle", "pyramid", "tornado", "uvicorn"),
    }
)
TOP_PACKAGES = 12
TOP_MODULES = 10
TOP_WAITS = 5


@dataclass(frozen=True)
class Wait:
    """Where the main thread stood while it did not run; ``seconds`` in one start."""

    where: str
    seconds: float


@dataclass(frozen=True)
class Inside:
    """From the one run that was watched from within: it is not among the runs that are timed."""

    application: tuple[Module, ...] = ()
    server: tuple[Module, ...] = ()
    modules: int = 0
    uncached: Mapping[str, Any] = field(default_factory=dict)
    waits: tuple[Wait, ...] = ()
    samples: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Profile:
    """``starts``: the timed runs. ``inside`` None: a program that only shows itself from outside."""

    what: str
    release: str
    starts: tuple[Start, ...]
    inside: Inside | None
    own_packages: frozenset[str] = frozenset()
    comparison: Comparison | None = None
    compared_with: str | None = None
    budget_seconds: float | None = None

    @property
    def seconds(self) -> list[float]:
        return sorted(start.seconds for start in self.starts)

    @property
    def entry(self) -> str:
        """The application's outermost module."""
        return self.what.partition(":")[0]

    @property
    def median_seconds(self) -> float:
        return median(self.seconds)

    @property
    def within_budget(self) -> bool | None:
        return None if self.budget_seconds is None else self.median_seconds <= self.budget_seconds

    @property
    def typical(self) -> Start:
        """The run whose duration is nearest to the median: its phases belong together."""
        return min(self.starts, key=lambda start: abs(start.seconds - self.median_seconds))

    def phases(self) -> list[Phase]:
        """Medians of each phase, one after the other."""
        found, at = [], 0.0
        for name in dict.fromkeys(phase.name for start in self.starts for phase in start.phases):
            same = [phase for start in self.starts if (phase := start.phase(name)) is not None]
            seconds = median(phase.seconds for phase in same)
            cpu = [phase.cpu_seconds for phase in same if phase.cpu_seconds is not None]
            queued = [phase.queued_seconds for phase in same if phase.queued_seconds is not None]
            found.append(
                Phase(name, at, seconds, median(cpu) if cpu else None, median(queued) if queued else None)
            )
            at += seconds
        return found

    def advice(self) -> list[Advice]:
        found = [one for one in general.advise(self.starts) if one.kind not in ("imports", "lifespan")]
        if self.inside is not None:
            found += [*_lazy(self), *_bytecode(self.inside), *_waits(self)]
        return worthwhile(found, self.median_seconds)

    def as_dict(self) -> dict[str, Any]:
        seconds = self.seconds
        return {
            "application": self.what,
            "release": self.release,
            "runs": len(seconds),
            "seconds": {
                "median": self.median_seconds,
                "min": seconds[0],
                "max": seconds[-1],
                "all": [start.seconds for start in self.starts],
            },
            "budget_seconds": self.budget_seconds,
            "within_budget": self.within_budget,
            "phases": [{**p.__dict__, "waiting_seconds": p.waiting_seconds} for p in self.phases()],
            "dependencies_reached_seconds": None
            if (reached := self.typical.reached) is None
            else reached.seconds,
            "first_request_seconds": _first_request(self.starts),
            "dependencies": [dict(one.__dict__) for one in self.typical.dependencies],
            "imports": None if self.inside is None else _imports(self, self.inside),
            "waits": [] if self.inside is None else [dict(wait.__dict__) for wait in self.inside.waits],
            "recommendations": [one.as_dict() for one in self.advice()],
            "comparison": None
            if self.comparison is None
            else {"with": self.compared_with, **self.comparison.as_dict()},
        }


def waits_of(samples: Iterable[Mapping[str, Any]]) -> tuple[Wait, ...]:
    """By the innermost place of the application's own code, else by the innermost place at all."""
    found: dict[str, float] = {}
    for sample in samples:
        if sample["blocked"] and sample["stack"]:
            where = place(sample["stack"])
            found[where] = found.get(where, 0.0) + float(sample["seconds"])
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return tuple(Wait(where, round(seconds, 6)) for where, seconds in ordered[:TOP_WAITS])


def place(stack: Sequence[str]) -> str:
    """``main.py:12 in connect (socket.py: create_connection)``; what is not absolute is the application's."""
    own = next((entry for entry in reversed(stack) if not entry.startswith(("/", "<"))), None)
    innermost = stack[-1]
    if own is None or own == innermost:
        return _shown(innermost)
    file, _line, name = innermost.rsplit(":", 2)
    return f"{_shown(own)} ({file.rpartition('/')[2]}: {name})"


def _shown(entry: str) -> str:
    file, line, name = entry.rsplit(":", 2)
    return f"{file}:{line}" if name == "<module>" else f"{file}:{line} in {name}"


def _lazy(profile: Profile) -> Iterable[Advice]:
    assert profile.inside is not None
    measured = total_seconds(profile.inside.application)
    load = next((p.seconds for p in profile.phases() if p.name == "application load"), measured)
    # The watched run was slower or faster than the timed ones; shares carry over.
    scale = min(1.0, load / measured) if measured else 0.0
    for cost in packages(profile.inside.application, profile.own_packages, profile.entry):
        if cost.package in FRAMEWORKS:
            continue
        yield Advice(
            "lazy-import",
            f"import {cost.package} where it is used",
            f"move the import of {cost.package} out of {cost.importer} into the functions that need it",
            cost.seconds * scale,
            f"{cost.modules} modules, {cost.seconds:.3f} s in the watched run",
        )


def _bytecode(inside: Inside) -> Iterable[Advice]:
    uncached = inside.uncached
    missing, seconds = int(uncached.get("missing", 0)), float(uncached.get("seconds", 0.0))
    written = int(uncached.get("written_now", 0))
    if missing:
        names = ", ".join(uncached.get("names", ())[:3])
        yield Advice(
            "bytecode",
            f"{missing} modules are compiled at every start",
            "let Python write its cache (unset PYTHONDONTWRITEBYTECODE, make __pycache__ writable), or run "
            "`python -m compileall` in the build",
            seconds,
            f"no .pyc for {names} …; compiling them takes {seconds:.3f} s",
        )
    elif written:
        yield Advice(
            "bytecode",
            f"the first start compiles {written} modules",
            "run `python -m compileall -q .` in the build, so that the first start of a release does not",
            seconds,
            f"their .pyc were written by the watched run; compiling them takes {seconds:.3f} s, once",
        )


def _waits(profile: Profile) -> Iterable[Advice]:
    assert profile.inside is not None
    for wait in profile.inside.waits:
        yield Advice(
            "wait",
            f"waits at {wait.where}",
            "do it later, at the same time as something else, or not at all",
            wait.seconds,
            f"the main thread stood there for {wait.seconds:.3f} s without running",
        )


def _imports(profile: Profile, inside: Inside) -> dict[str, Any]:
    return {
        "modules": inside.modules,
        "seconds": total_seconds(inside.application),
        "server_seconds": total_seconds(inside.server),
        "packages": [
            dict(cost.__dict__)
            for cost in packages(inside.application, profile.own_packages, profile.entry)[:TOP_PACKAGES]
        ],
        "slowest": [
            {"name": m.name, "self_seconds": m.self_seconds, "cumulative_seconds": m.cumulative_seconds}
            for m in slowest(inside.application, TOP_MODULES)
        ],
        "uncached": dict(inside.uncached),
    }


def _first_request(starts: Sequence[Start]) -> float | None:
    found = [start.first_request.seconds for start in starts if start.first_request is not None]
    return median(found) if found else None
