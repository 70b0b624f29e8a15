"""The words of detection: layers, profiles, weights, and the shape of a signal and of the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum, StrEnum
from typing import Any

from oatie_ops.environment.conditions import Condition
from oatie_ops.environment.facts import Facts
from oatie_ops.records import dataclass

LAYERS = ("provider", "platform", "orchestrator", "container", "ci", "dev")

# A claim that something is there without a name for it; any named claim on the layer beats it.
UNKNOWN = "unknown"

# System containers hold a whole machine; the `docker` profile is for containers that hold one program.
SYSTEM_CONTAINERS = frozenset({"lxc", "lxc-libvirt", "systemd-nspawn", "openvz", "proot"})


class EnvironmentType(StrEnum):
    """The profiles that bring defaults; an `[environments.NAME]` table may have any other name."""

    CODESPACES = "codespaces"
    KUBERNETES = "kubernetes"
    DOCKER = "docker"
    CLOUD = "cloud"
    PRODUCTION = "production"
    STAGING = "staging"
    DEVELOPMENT = "development"
    LOCAL = "local"


PROFILE_NAMES: Mapping[str, EnvironmentType] = {
    **{member.value: member for member in EnvironmentType},
    "prod": EnvironmentType.PRODUCTION,
    "live": EnvironmentType.PRODUCTION,
    "stage": EnvironmentType.STAGING,
    "stg": EnvironmentType.STAGING,
    "preprod": EnvironmentType.STAGING,
    "dev": EnvironmentType.DEVELOPMENT,
    "develop": EnvironmentType.DEVELOPMENT,
    "k8s": EnvironmentType.KUBERNETES,
    "codespace": EnvironmentType.CODESPACES,
}


def profile_of(name: str) -> EnvironmentType | None:
    """The profile a name stands for, or None for a name of the operator's own."""
    return PROFILE_NAMES.get(name.strip().lower())


class Weight(Enum):
    """How much a matched signal is worth.

    PROOF: the platform sets it and people do not. SUPPORT: consistent with the claim, and believed only
    where nothing at all is proven. HINT: developers export it too; it can name a provider, never more.
    COUNTER: speaks against other signals.
    """

    PROOF = "proof"
    SUPPORT = "support"
    HINT = "hint"
    COUNTER = "counter"


# The order of headlines: what runs the program most specifically comes first. Within a family the
# order of the table decides.
FAMILIES = (
    "paas",
    "workspace",
    "ci",
    "runtime",
    "kubernetes",
    "scheduler",
    "container",
    "ci-generic",
    "machine",
    "dev",
    "hint",
    "counter",
)

Getter = Callable[[Facts], str]


@dataclass(frozen=True)
class Signal:
    """One row of the table: where `when` holds, `claims` follow with this weight."""

    id: str
    family: str
    weight: Weight
    when: Condition
    claims: tuple[tuple[str, str], ...] = ()
    identity: tuple[tuple[str, Getter], ...] = ()
    pull_request: Condition | None = None
    against: tuple[str, ...] = ()  # ids, or "prefix*"; only for counters


@dataclass(frozen=True)
class Evidence:
    """One matched signal behind an answer; `read` names what was seen, never a value."""

    signal: str
    weight: str
    read: str


@dataclass(frozen=True)
class SignalReport:
    """One row of `--explain`."""

    signal: str
    weight: str
    read: str
    claims: Mapping[str, str]
    matched: bool
    outcome: str


@dataclass(frozen=True)
class Detection:
    """Where this process runs, layer by layer; None: not claimed.

    `confidence` is about the provider: "high" = proof, "low" = hints only, None = no provider.
    `environment` is the name that applies (an override may be any name); `profile` is the
    `EnvironmentType` whose defaults it brings. `environment_source` is `override`, `platform`,
    `convention` or `default`.
    """

    os: str
    provider: str | None = None
    platform: str = "local"
    orchestrator: str | None = None
    container: str | None = None
    ci: str | None = None
    dev: str | None = None
    confidence: str | None = None
    environment: str = "local"
    profile: EnvironmentType = EnvironmentType.LOCAL
    environment_source: str = "default"
    environment_why: str = ""
    pull_request: bool | None = None
    identity: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)
    hints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def override(self) -> str | None:
        """The name that was asked for, where it was asked for."""
        return self.environment if self.environment_source == "override" else None

    def to_dict(self) -> dict[str, Any]:
        layers = {name: getattr(self, name) for name in LAYERS}
        return {
            "os": self.os,
            **layers,
            "confidence": self.confidence,
            "environment": self.environment,
            "profile": self.profile.value,
            "environment_source": self.environment_source,
            "environment_why": self.environment_why,
            "override": self.override,
            "pull_request": self.pull_request,
            "identity": dict(self.identity),
            "evidence": {
                layer: [{"signal": e.signal, "weight": e.weight, "read": e.read} for e in found]
                for layer, found in self.evidence.items()
            },
            "hints": {provider: list(names) for provider, names in self.hints.items()},
            "warnings": list(self.warnings),
        }
