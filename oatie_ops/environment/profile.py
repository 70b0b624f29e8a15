"""Which environment applies: what was asked for, else what the layers say, else a convention, else local."""

from __future__ import annotations

import re
from collections.abc import Mapping

from oatie_ops.environment.facts import Facts
from oatie_ops.environment.layers import SYSTEM_CONTAINERS, EnvironmentType, Signal, profile_of
from oatie_ops.records import dataclass

VARIABLE = "OATIE_ENVIRONMENT"

# Variables whose only purpose is to name the environment of the application. They decide only where the
# platform says nothing. NODE_ENV and RAILS_ENV are left out: build tools set them to "production" on
# developers' machines.
CONVENTIONS = ("ENVIRONMENT", "APP_ENV", "DJANGO_ENV", "FLASK_ENV", "FASTAPI_ENV")
_CONVENTIONAL = (EnvironmentType.PRODUCTION, EnvironmentType.STAGING, EnvironmentType.DEVELOPMENT)

# A name becomes a table of oatie.toml, part of a file name and a column of a report.
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"


def is_name(text: str) -> bool:
    return re.fullmatch(_NAME, text.strip()) is not None


@dataclass(frozen=True)
class Choice:
    environment: str
    profile: EnvironmentType
    source: str  # override | platform | convention | default
    why: str
    warnings: tuple[str, ...] = ()


def choose(
    facts: Facts,
    layers: Mapping[str, str],
    winners: Mapping[str, Signal],
    confidence: str | None,
    asked: str | None,
) -> Choice:
    """`asked` is `--environment`; it beats $OATIE_ENVIRONMENT, which beats everything that was detected."""
    detected = _detected(facts, layers, winners, confidence)
    warnings: list[str] = []
    for said, origin in ((asked or "", "--environment"), (facts.env(VARIABLE), f"${VARIABLE}")):
        name = said.strip()
        if not name:
            continue
        if not is_name(name):
            warnings.append(f"{origin} is ignored: it is not a name of letters, digits, '.', '_' and '-'")
            continue
        return _overridden(name, origin, detected, tuple(warnings))
    return Choice(
        detected.environment, detected.profile, detected.source, detected.why, (*detected.warnings, *warnings)
    )


def _overridden(name: str, origin: str, detected: Choice, warnings: tuple[str, ...]) -> Choice:
    profile = profile_of(name)
    if profile is not None:
        why = f"{origin} says {name}; detected was {detected.environment}"
        return Choice(profile.value, profile, "override", why, warnings)
    why = f"{origin} says {name}, a name of your own; its defaults are those of {detected.environment}"
    return Choice(name, detected.profile, "override", why, warnings)


def _detected(
    facts: Facts, layers: Mapping[str, str], winners: Mapping[str, Signal], confidence: str | None
) -> Choice:
    profile, why = _from_layers(layers, winners, confidence)
    if profile is not EnvironmentType.LOCAL:
        return Choice(profile.value, profile, "platform", why)
    return _from_conventions(facts, why)


def _from_layers(
    layers: Mapping[str, str], winners: Mapping[str, Signal], confidence: str | None
) -> tuple[EnvironmentType, str]:
    platform, container = layers.get("platform", "local"), layers.get("container")
    family = winners["platform"].family if "platform" in winners else ""
    in_container = container is not None and container not in SYSTEM_CONTAINERS
    if layers.get("dev") == "codespaces":
        return EnvironmentType.CODESPACES, "this is a GitHub Codespace"
    if layers.get("orchestrator") == "kubernetes":
        return EnvironmentType.KUBERNETES, "this is a Kubernetes pod"
    if family == "workspace":
        return EnvironmentType.DEVELOPMENT, f"{platform} is a workspace for writing code"
    if family in {"container", "ci", "ci-generic"} and in_container:
        return EnvironmentType.DOCKER, f"this is a container ({container})"
    if family in {"ci", "ci-generic"}:
        return EnvironmentType.LOCAL, f"{platform} is a build machine, where nothing is served"
    if confidence == "high" and family != "container":
        return EnvironmentType.CLOUD, f"{platform} on {layers['provider']} is proven"
    if family in {"scheduler", "paas"}:
        return EnvironmentType.CLOUD, f"{platform} runs this process"
    if confidence == "low":
        return (
            EnvironmentType.LOCAL,
            f"{layers['provider']} is only hinted at: a developer's shell exports it too",
        )
    return EnvironmentType.LOCAL, "nothing proves a platform"


def _from_conventions(facts: Facts, why: str) -> Choice:
    said = {
        name: profile for name in CONVENTIONS if (profile := profile_of(facts.env(name))) in _CONVENTIONAL
    }
    profiles = {profile for profile in said.values() if profile}
    local = EnvironmentType.LOCAL
    if len(profiles) == 1:
        profile = profiles.pop()
        names = ", ".join(f"${name}" for name in said)
        return Choice(profile.value, profile, "convention", f"{names} says so, and {why}")
    if profiles:
        listed = " and ".join(f"${name}" for name in said)
        return Choice(
            local.value, local, "default", why, (f"{listed} contradict each other; neither is used",)
        )
    return Choice(local.value, local, "default", why)
