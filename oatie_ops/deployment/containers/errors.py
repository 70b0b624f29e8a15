"""What an engine of containers can refuse us with."""

from __future__ import annotations

from oatie_ops.errors import OatieError, PrerequisiteMissing


class EngineFailed(OatieError):
    """The engine refused something, or did not answer in time. ``data["status"]`` is its HTTP status."""

    @property
    def status(self) -> int | None:
        return (self.data or {}).get("status")


class EngineMissing(PrerequisiteMissing):
    """No engine answers, or the SDK is not installed."""
