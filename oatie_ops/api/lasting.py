"""How long a switch may last, as a pattern: more than nothing, and with too few digits for over 366 days.

A limit that the description does not tell surprises whoever makes requests from it. pydantic's patterns know
no look-ahead, so "not zero" is spelled out: one of the parts has a digit that is none.
"""

from __future__ import annotations

# Unit, and the digits of the largest whole number of it; parts stand in this order, each at most once.
_PARTS = {"d": (2, 2), "h": (0, 3), "m": (0, 4), "s": (0, 5), "ms": (0, 7)}
# One unit alone, in which people count further: the first digit, and how many follow.
_ALONE = {"h": (7, 3), "m": (4, 5), "s": (2, 7), "": (2, 7)}


def _number(first: int, digits: int) -> str:
    """``first``: up to this digit before the others, 0 for none."""
    return rf"{f'[0-{first}]?' if first else ''}[0-9]{{1,{digits}}}(\.[0-9]{{1,3}})?"


def _above_zero(first: int, digits: int) -> str:
    led = rf"[1-{first}][0-9]{{{digits}}}|" if first else ""
    whole = rf"({led}0{{0,{digits - 1}}}[1-9][0-9]{{0,{digits - 1}}})"
    return rf"({whole}(\.[0-9]{{1,3}})?|0{{1,{digits}}}\.0{{0,2}}[1-9][0-9]{{0,2}})"


def _pattern() -> str:
    ways = []
    for unit in _PARTS:
        told = (
            f"{_above_zero(*size)}{name}" if name == unit else f"({_number(*size)}{name})?"
            for name, size in _PARTS.items()
        )
        ways.append("".join(told))
    ways += [f"{_above_zero(*size)}{name}" for name, size in _ALONE.items()]
    return f"^({'|'.join(ways)})$"


PERMANENT = "permanent"
LASTING = f"{_pattern()}|^{PERMANENT}$"
