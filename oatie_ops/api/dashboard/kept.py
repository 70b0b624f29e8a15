"""HTML that is made anew only where what it shows has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from oatie_ops.api.dashboard.templates import Html


@dataclass
class Kept:
    """By the id of the element: what it was last made from, and what came of it.

    To compare costs a tenth of to render. ``shown`` is all that the HTML depends on, and is never changed
    afterwards by whoever made it.
    """

    _last: dict[str, tuple[Any, Html]] = field(default_factory=dict)

    def html(self, key: str, shown: Any, make: Callable[[], Html]) -> Html:
        last = self._last.get(key)
        if last is not None and last[0] == shown:
            return last[1]
        found = make()
        self._last[key] = (shown, found)
        return found
