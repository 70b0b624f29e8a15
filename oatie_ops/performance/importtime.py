"""Reads what ``python -X importtime`` writes, and tells which packages an application pays for. All pure.

The format: ``import time: self [us] | cumulative | imported package``, one line when a module is done, so
that what a module imports stands before it, indented by two more blanks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_LINE = re.compile(r"^import time:\s*(\d+) \|\s*(\d+) \| ( *)(\S+)\s*$")


@dataclass
class Module:
    """Seconds; ``children`` in the order in which they were imported."""

    name: str
    self_seconds: float
    cumulative_seconds: float
    children: list[Module] = field(default_factory=list)

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    def walk(self) -> Iterator[Module]:
        yield self
        for child in self.children:
            yield from child.walk()


def is_timing(line: str) -> bool:
    """Whether the interpreter wrote it, the head of the table included."""
    return line.startswith("import time: ")


def parse(text: str) -> list[Module]:
    """The outermost imports, in order. Lines of another kind are passed over."""
    waiting: dict[int, list[Module]] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        depth = len(match[3]) // 2
        children = waiting.pop(depth + 1, [])
        waiting.setdefault(depth, []).append(
            Module(match[4], int(match[1]) / 1e6, int(match[2]) / 1e6, children)
        )
    # A log that was cut off leaves modules whose importer is missing.
    return [module for depth in sorted(waiting) for module in waiting[depth]]


@dataclass(frozen=True)
class PackageCost:
    """``seconds``: all that was first imported through it. ``importer``: the module that imported it."""

    package: str
    seconds: float
    own_seconds: float
    modules: int
    importer: str


def packages(roots: Iterable[Module], application: frozenset[str], entry: str) -> list[PackageCost]:
    """What the application's own modules import from elsewhere, the dearest first.

    ``application``: names of its top-level packages; ``entry``: its outermost module, which Python does not
    list because importlib was asked for it. What several of them import counts for the first.
    """
    found: dict[str, PackageCost] = {}

    def visit(module: Module, importer: str, ours: bool) -> None:
        mine = module.package in application
        if ours and not mine and importer:
            before = found.get(module.package)
            inside = list(module.walk())
            own = sum(one.self_seconds for one in inside if one.package == module.package)
            found[module.package] = PackageCost(
                module.package,
                module.cumulative_seconds + (before.seconds if before else 0.0),
                own + (before.own_seconds if before else 0.0),
                len(inside) + (before.modules if before else 0),
                before.importer if before else importer,
            )
            return
        for child in module.children:
            visit(child, module.name if mine else importer, ours or mine)

    for root in roots:
        visit(root, entry, True)
    return sorted(found.values(), key=lambda cost: -cost.seconds)


def slowest(roots: Iterable[Module], count: int) -> list[Module]:
    """Single modules by the time that they took themselves."""
    everything = [module for root in roots for module in root.walk()]
    return sorted(everything, key=lambda module: -module.self_seconds)[:count]


def total_seconds(roots: Iterable[Module]) -> float:
    return sum(root.cumulative_seconds for root in roots)
