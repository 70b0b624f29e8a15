"""What services have called in: the newest heartbeat of each. Belongs to the thread of the check loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oatie_ops.health.model import Clock, Instant, Status

HEARTBEAT = "heartbeat"


@dataclass(frozen=True)
class Beat:
    """``status`` and ``output`` are what the service says of itself."""

    at: Instant
    status: Status = Status.PASS
    output: str = ""


class Heartbeats:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beats: dict[str, Beat] = {}
        self.listening_since = clock()

    def beat(self, service: str, status: Status = Status.PASS, output: str = "") -> None:
        self._beats[service] = Beat(self._clock(), status, output)

    def latest(self, service: str) -> Beat | None:
        return self._beats.get(service)

    def now(self) -> Instant:
        return self._clock()

    def to_json(self, service: str) -> dict[str, Any] | None:
        beat = self._beats.get(service)
        if beat is None:
            return None
        return {"at": beat.at.epoch_seconds, "status": beat.status.value, "output": beat.output}

    def restore(self, service: str, data: Mapping[str, Any]) -> None:
        """A beat of an earlier run; one that was heard in this run is newer."""
        now = self._clock()
        age = max(0.0, now.epoch_seconds - float(data["at"]))
        at = Instant(now.monotonic_seconds - age, now.epoch_seconds - age)
        self._beats.setdefault(service, Beat(at, Status(data["status"]), str(data["output"])))
