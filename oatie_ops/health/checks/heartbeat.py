"""``{ type = "heartbeat", every = "60s", grace = "10s" }``: the service calls in, and silence fails."""

from __future__ import annotations

from dataclasses import dataclass

from oatie_ops.config.durations import parse_duration
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools
from oatie_ops.health.heartbeats import Beat, Heartbeats
from oatie_ops.health.model import CheckSpec, Result, Status


@dataclass(frozen=True)
class HeartbeatCheck:
    service: str
    beats: Heartbeats
    allowed_seconds: float

    async def run(self, attempt: Attempt) -> Result:
        now, beat = self.beats.now(), self.beats.latest(self.service)
        heard = beat.at if beat else self.beats.listening_since
        return judge(beat, heard.age_seconds(now), self.allowed_seconds)


def judge(beat: Beat | None, silent_seconds: float, allowed_seconds: float) -> Result:
    if silent_seconds > allowed_seconds:
        since = "its last heartbeat" if beat else "oatie began to listen"
        output = f"silent for {silent_seconds:.0f} s since {since} (allowed: {allowed_seconds:g} s)"
        return Result(Status.FAIL, output, round(silent_seconds, 3), "seconds")
    if beat is None:
        return Result(Status.UNKNOWN, "has not called in yet")
    said = f": {beat.output}" if beat.output else ""
    return Result(
        beat.status, f"called in {silent_seconds:.0f} s ago{said}", round(silent_seconds, 3), "seconds"
    )


def build(spec: CheckSpec, tools: Tools) -> Check:
    if tools.beats is None:
        raise CheckUnusable("only a running supervisor hears heartbeats")
    every = parse_duration(spec.options.get("every", 60))
    return HeartbeatCheck(spec.service, tools.beats, every + parse_duration(spec.options.get("grace", 10)))
