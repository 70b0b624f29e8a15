"""Conditions on values that somebody else sends: ``"< 100"``, ``"!= down"``, ``true``, ``"ok"``. Pure.

They fail closed: what is missing, of another type or not a number meets no condition. Numbers are compared
as numbers, never cut to integers.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

MAX_SHOWN = 40
MAX_INDEX_DIGITS = 9
MISSING = object()

_ORDERINGS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Condition:
    """``operator`` is one of ``== != < <= > >=``."""

    operator: str
    operand: Any

    def __str__(self) -> str:
        shown = _shown(self.operand)
        return shown if self.operator == "==" else f"{self.operator} {shown}"

    def objection(self, value: object) -> str:
        """Why ``value`` does not meet it; empty where it does."""
        if value is MISSING:
            return f"is missing (wanted {self})"
        if self.operator in ("==", "!="):
            # Of another type it is neither the value nor safely another one.
            met = _kind(value) == _kind(self.operand) and (
                (_plain(value) == _plain(self.operand)) is (self.operator == "==")
            )
            return "" if met else f"is {_shown(value)} (wanted {self})"
        number = _plain(value)
        # A whole number may be too large for a float, but is none the less finite.
        finite = isinstance(number, int) or (_kind(value) == "number" and math.isfinite(number))
        if _kind(value) != "number" or not finite:
            return f"is {_shown(value)}, which is no number (wanted {self})"
        met = _ORDERINGS[self.operator](number, self.operand)
        return "" if met else f"is {_shown(value)} (wanted {self})"


def parse(declared: object) -> Condition:
    """Raises `ValueError` for an ordering whose operand is no number."""
    if not isinstance(declared, str):
        return Condition("==", declared)
    for sign in ("==", "!=", *_ORDERINGS):
        if declared.startswith(sign):
            operand = _literal(declared[len(sign) :].strip())
            if sign in _ORDERINGS and _kind(operand) != "number":
                raise ValueError(f"{sign} needs a number")
            return Condition(sign, operand)
    return Condition("==", declared)


def at_path(document: object, path: str) -> object:
    """``"queue.depth"``, ``"items.0.name"``; `MISSING` where it leads nowhere."""
    found = document
    for part in path.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, Sequence) and not isinstance(found, str) and part.isdecimal():
            if len(part) > MAX_INDEX_DIGITS or int(part) >= len(found):
                return MISSING
            found = found[int(part)]
        else:
            return MISSING
    return found


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "number"
    return type(value).__name__


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _shown(value: object) -> str:
    if isinstance(value, Mapping | list | tuple):
        return "a table" if isinstance(value, Mapping) else "a list"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool | None) else str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
