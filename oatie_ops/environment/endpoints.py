"""Where the metadata services are, and what came of asking them; the asking is in `probe`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from oatie_ops.records import dataclass

BUDGET_SECONDS = 0.3


@dataclass(frozen=True)
class Endpoints:
    """`host:port` of each service; tests point them at servers on loopback."""

    aws: str = "169.254.169.254:80"
    gcp: str = "169.254.169.254:80"
    azure: str = "169.254.169.254:80"
    budget_seconds: float = BUDGET_SECONDS


@dataclass(frozen=True)
class ProbeResult:
    """`verified`: it answered and identified itself; `seconds` from the start of the probe."""

    provider: str
    verified: bool
    outcome: str
    seconds: float
    identity: Mapping[str, str] = field(default_factory=dict)
