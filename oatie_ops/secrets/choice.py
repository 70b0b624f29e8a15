"""Which store is the default one: what was declared, else what is proven, never what is hinted at."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from oatie_ops.environment import Detection, EnvironmentDetector
from oatie_ops.secrets.backend import Backend
from oatie_ops.secrets.errors import ReferenceInvalid
from oatie_ops.secrets.reference import BACKENDS
from oatie_ops.secrets.resolve import DEADLINE_SECONDS, TTL_SECONDS, Resolver

AWS, GCP, AZURE = "aws_secrets_manager", "gcp_secret_manager", "azure_key_vault"

# provider -> (its store, the setting without which there is nothing to look up there)
_OF_PROVIDER = {"aws": (AWS, "name"), "gcp": (GCP, "project"), "azure": (AZURE, "vault_url")}


@dataclass(frozen=True)
class Selection:
    backend: str
    why: str


def select(secrets: Mapping[str, Any], detection: Detection) -> Selection:
    """``secrets`` is the `[secrets]` table, environment variables already applied to it."""
    declared = secrets.get("backend")
    if declared:
        if declared not in BACKENDS:
            raise ReferenceInvalid(
                f"{declared!r} is no store of secrets",
                why=f"there are: {', '.join(BACKENDS)}",
                fix="correct `backend` in [secrets] or SECRETS_BACKEND",
            )
        return Selection(declared, "declared by [secrets] backend or SECRETS_BACKEND")
    provider = detection.provider or ""
    backend, setting = _OF_PROVIDER.get(provider, ("", ""))
    if backend and secrets.get(setting):
        if detection.confidence == "high":
            return Selection(backend, f"this is proven to run on {provider}, and `{setting}` is set")
        return Selection(
            "env", f"{provider} is only hinted at; SECRETS_BACKEND={backend} would choose its store"
        )
    if secrets.get("path"):
        return Selection("file", "[secrets] path is set")
    return Selection("env", "no store is declared, and none is proven to be meant")


def from_settings(
    secrets: Mapping[str, Any],
    *,
    root: Path | None = None,
    environ: Mapping[str, str] | None = None,
    detection: Detection | None = None,
) -> Resolver:
    """The resolver for a `[secrets]` table. Reads no secret and imports no SDK.

    ``root`` is what a relative `path` is relative to. Raises `ReferenceInvalid`.
    """
    environ = os.environ if environ is None else environ
    found = EnvironmentDetector(environ=environ).detect() if detection is None else detection
    chosen = select(secrets, found)
    container = secrets.get("name") if chosen.backend in {AWS, GCP} else None
    return Resolver(
        _backends(secrets, chosen.backend, root or Path.cwd(), environ, found),
        chosen.backend,
        container=container,
        deadline_seconds=float(secrets.get("timeout", DEADLINE_SECONDS)),
        ttl_seconds=float(secrets.get("ttl", TTL_SECONDS)),
    )


def _backends(
    secrets: Mapping[str, Any], default: str, root: Path, environ: Mapping[str, str], detection: Detection
) -> Callable[[str], Backend]:
    proven = detection.provider if detection.confidence == "high" else None
    # An address of one's own is the default store's; `aws:` from elsewhere must not go to it.
    endpoint = secrets.get("endpoint")

    @cache
    def backend_of(name: str) -> Backend:
        own = endpoint if name == default else None
        match name:
            case "file":
                from oatie_ops.secrets.file import FileBackend

                path = secrets.get("path")
                return FileBackend(root / path if path else None)
            case "aws_secrets_manager":
                from oatie_ops.secrets.aws import AwsBackend

                return AwsBackend(
                    region=secrets.get("region"),
                    endpoint=own,
                    environ=environ,
                    detected_region=lambda: _aws_region(detection) if proven == "aws" else None,
                )
            case "gcp_secret_manager":
                from oatie_ops.secrets.gcp import GcpBackend

                project = secrets.get("project") or (
                    detection.identity.get("project") if proven == "gcp" else None
                )
                return GcpBackend(project=project, endpoint=own)
            case "azure_key_vault":
                from oatie_ops.secrets.azure import AzureBackend

                return AzureBackend(
                    vault_url=secrets.get("vault_url"), environ=environ, on_azure=proven == "azure"
                )
        from oatie_ops.secrets.env import EnvBackend

        return EnvBackend(environ)

    return backend_of


def _aws_region(detection: Detection) -> str | None:
    """On a proven AWS machine whose environment names no region, its metadata service does."""
    if region := detection.identity.get("region"):
        return region
    from oatie_ops.environment.endpoints import Endpoints
    from oatie_ops.environment.probe import probe_metadata

    found = {result.provider: result.identity for result in probe_metadata(Endpoints()) if result.verified}
    return found.get("aws", {}).get("region")
