"""The target "kubernetes": manifests from oatie.toml, server-side apply, a watched rollout."""

from __future__ import annotations

from oatie_ops.deployment.targets.kubernetes import manifests, variables
from oatie_ops.deployment.targets.kubernetes.opening import configured, placed

__all__ = ["configured", "manifests", "placed", "variables"]
