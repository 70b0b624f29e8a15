"""Where secret values come from; the `Secret` type; redaction. SDKs are imported only when they are used."""

from __future__ import annotations

from oatie_ops.secrets.redact import Redactor, StreamRedactor, redactor
from oatie_ops.secrets.value import Secret

__all__ = ["Redactor", "Secret", "StreamRedactor", "redactor"]
