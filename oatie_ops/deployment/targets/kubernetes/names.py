"""Names, labels and annotations: how a later command finds again what an earlier one has made."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

MANAGER = "oatie"  # the field manager of every apply

NAME_LABEL = "app.kubernetes.io/name"
MANAGED_LABEL = "app.kubernetes.io/managed-by"
RELEASE_LABEL = "oatie.ops/release"
# On the pod of a release command. The cluster has one of its own, under a name that changed in 1.27.
JOB_LABEL = "oatie.ops/job"

# On the Deployment: the objects as they were applied, those of the release that served before (what an undo
# applies again, even from another machine), the pods before a stop, and when pods were last replaced.
APPLIED = "oatie.ops/applied"
BEFORE = "oatie.ops/before"
STOPPED = "oatie.ops/replicas-before-stop"
CONFIGURED = "oatie.ops/replicas"  # as oatie.toml had it
RESTARTED = "oatie.ops/restarted-at"
CHECKSUM = "oatie.ops/checksum"

MAX_NAME = 50  # 63 less what is put behind it
_FORBIDDEN = re.compile(r"[^a-z0-9-]+")


def object_name(app_name: str) -> str:
    """An RFC 1123 label: what every kind of object may be called."""
    name = _FORBIDDEN.sub("-", app_name.lower()).strip("-")
    if name[:1].isdecimal():
        name = f"app-{name}"  # the name of a Service begins with a letter (RFC 1035)
    return name[:MAX_NAME].strip("-") or "app"


def selector(name: str) -> dict[str, str]:
    return {NAME_LABEL: name, MANAGED_LABEL: MANAGER}


def selector_text(name: str, release: str | None = None) -> str:
    labels = selector(name) | ({RELEASE_LABEL: release} if release is not None else {})
    return ",".join(f"{key}={value}" for key, value in labels.items())


def labels(name: str, release: str) -> dict[str, str]:
    return {**selector(name), RELEASE_LABEL: release}


def digest(data: Mapping[str, Any]) -> str:
    """Ten characters that change with the content: for names of what must not change under a running pod."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]
