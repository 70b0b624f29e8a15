"""What a caller of a scope may see of an answer. Pure.

The scope ``read`` sees what is well and what is not, figures, and who did what when. Only ``operate`` sees
what helps an intruder further: process ids and private ports, addresses of people, and log lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oatie_ops.api.tokens import Scope

# Keys, wherever they are, whose values take the scope ``operate``.
PRIVATE = frozenset({"pid", "gate_port", "origin", "details", "log", "host", "last_end", "sample"})
HIDDEN = None
PLAIN = frozenset({str, int, float, bool, type(None)})


def visible(data: Any, scope: Scope) -> Any:
    """A copy without what the scope may not see; the keys stay, so that shapes do."""
    if scope >= Scope.OPERATE:
        return data
    return _without(data)


def _without(data: Any) -> Any:
    kind = type(data)
    if kind in PLAIN or (kind is list and PLAIN.issuperset(map(type, data))):
        return data  # a history holds hundreds of numbers, and is never changed
    if isinstance(data, Mapping):
        return {key: _hidden(value) if key in PRIVATE else _without(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without(item) for item in data]
    return data


def _hidden(value: Any) -> Any:
    """Empty, of the same kind where the shape says that it is a text or a list."""
    if isinstance(value, str):
        return ""
    return [] if isinstance(value, list | tuple) else HIDDEN
