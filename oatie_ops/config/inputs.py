"""Everything that a configuration follows from, read once. Standard library only: the fast path uses it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oatie_ops.config.interpolate import Lookup
from oatie_ops.config.layers import Origin, Source
from oatie_ops.config.locate import Located
from oatie_ops.config.names import CONTROL_VARIABLES, is_relevant
from oatie_ops.errors import UsageError
from oatie_ops.records import dataclass

ENVIRONMENT_VARIABLE = "OATIE_ENVIRONMENT"
ENVIRONMENT_FLAG = "--environment"
ENV_FILE_VARIABLE = "OATIE_ENV_FILE"


@dataclass(frozen=True)
class Environment:
    """Which environment applies. ``asked`` is the name as somebody wrote it, None where it was detected.

    ``profile`` is the profile that it means without a word from the file; ``provider`` the cloud that this
    is proven to run on.
    """

    name: str
    profile: str
    asked: str | None
    origin: Origin
    warnings: tuple[str, ...] = ()
    provider: str | None = None


@dataclass(frozen=True)
class Inputs:
    """``content`` is None where there is no file. ``env_file`` is the one that was asked for, if any."""

    located: Located
    content: bytes | None
    environ: Mapping[str, str]
    environment: Environment
    overrides: Mapping[str, Any]
    env_file: Path | None

    def variables(self) -> dict[str, str]:
        """What may matter whatever the file says."""
        return {
            name: value
            for name, value in self.environ.items()
            if is_relevant(name) and (name not in CONTROL_VARIABLES or name == ENV_FILE_VARIABLE)
        }


def find_environment(environ: Mapping[str, str], asked: str | None) -> Environment:
    """``--environment``, $OATIE_ENVIRONMENT, or what the detector finds. Raises `UsageError`."""
    from oatie_ops.environment import EnvironmentDetector
    from oatie_ops.environment.profile import is_name

    if asked is not None and not is_name(asked):
        raise UsageError(
            f"--environment {asked!r} is not a name",
            fix="use production, staging, development, or the NAME of an [environments.NAME] table",
        )
    variable = environ.get(ENVIRONMENT_VARIABLE, "").strip() or None
    found = EnvironmentDetector(environ, environment=asked).detect()
    provider = found.provider if found.confidence == "high" else None
    if found.environment_source != "override":
        origin = Origin(Source.DISCOVERED, found.environment_why)
        return Environment(found.environment, found.profile.value, None, origin, found.warnings, provider)
    if asked:
        origin = Origin(Source.FLAG, ENVIRONMENT_FLAG)
    else:
        origin = Origin(Source.ENVIRONMENT, ENVIRONMENT_VARIABLE)
    name = (asked or "").strip() or variable or found.environment
    return Environment(found.environment, found.profile.value, name, origin, found.warnings, provider)


def lookup(environ: Mapping[str, str], env_file: Mapping[str, str]) -> Lookup:
    """The process environment goes before the env file."""

    def find(name: str) -> str | None:
        value = environ.get(name)
        return env_file.get(name) if value is None else value

    return find
