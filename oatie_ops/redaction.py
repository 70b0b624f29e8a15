"""Secret values leave this process as ``***``: what every writer of text asks, whatever it imports.

Costs nothing where nothing is secret: a value is known from the moment it becomes a
`oatie_ops.secrets.Secret` or is `learn`\\ ed, and as long as the redactor was never imported, there is none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oatie_ops.secrets.redact import Redactor, StreamRedactor

_REDACTOR = "oatie_ops.secrets.redact"


def redact(text: str) -> str:
    """For text that is whole; what is cut off must be cut off afterwards."""
    known = _redactor()
    return text if known is None else known.redact(text)


def redact_value(value: Any) -> Any:
    """Strings and keys of a JSON-like value, at any depth."""
    known = _redactor()
    return value if known is None else known.redact_value(value)


def redact_head(data: bytes) -> bytes:
    """For the first bytes of something longer: an end with which a value may begin is left out."""
    stream = stream_redactor()
    return data if stream is None else stream.feed(data)


def stream_redactor() -> StreamRedactor | None:
    """For bytes that come in pieces; None as long as there is nothing to hide."""
    known = _redactor()
    return None if known is None else sys.modules[_REDACTOR].StreamRedactor(known)


def learn(values: Iterable[str | bytes]) -> None:
    """These are secret from now on, and this program's own outputs hide them."""
    wanted = list(values)
    if not wanted:
        return
    from oatie_ops.secrets import boundary
    from oatie_ops.secrets.redact import redactor

    for value in wanted:
        redactor().remember(value)
    boundary.install()


def known_values() -> tuple[bytes, ...]:
    """For another process of ours that is about to be given them (see `learn`); never for argv or a file."""
    known = _redactor()
    return () if known is None else known.values()


def _redactor() -> Redactor | None:
    loaded = sys.modules.get(_REDACTOR)
    # Another thread may be in the middle of importing it.
    made = None if loaded is None else getattr(loaded, "redactor", None)
    return None if made is None else made()
