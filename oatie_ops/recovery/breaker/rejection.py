"""What a caller gets whom the breaker does not let through."""

from __future__ import annotations

from typing import Any, ClassVar

from oatie_ops.errors import OatieError

WORDS = {
    "open": "too many calls to it failed",
    "half_open": "it is being tried out, and all places for a trial are taken",
    "forced_open": "an operator opened its breaker",
}


class CircuitOpenError(OatieError):
    """A new object for each rejection: ``CircuitOpenError(service, retry_after, state)``.

    All that is not these three is made when it is read, because a rejection must cost next to nothing.
    """

    __init__ = Exception.__init__  # that of C
    args: tuple[str, float, str]
    details = ()
    data: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    @property
    def service(self) -> str:
        """The name of the breaker; may be empty."""
        return self.args[0]

    @property
    def retry_after(self) -> float:
        """Seconds after which a call may pass; never negative."""
        return self.args[1]

    @property
    def state(self) -> str:
        """One of open, half_open and forced_open."""
        return self.args[2]

    def __getattr__(self, name: str) -> str:
        named = f" of {self.service}" if self.service else ""
        if name == "what":
            return f"the circuit breaker{named} is {self.state.replace('_', '-')}"
        if name == "why":
            return WORDS.get(self.state, "")
        if name == "fix":
            return f"try again in {self.retry_after:.3g} s, or serve something without it (ServiceFallback)"
        raise AttributeError(name)

    def __str__(self) -> str:
        return f"{self.what}; try again in {self.retry_after:.3g} s"
