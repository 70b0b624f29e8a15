"""A made-up world for the detector: an environment, and files by path."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from oatie_ops.environment import Detection, EnvironmentDetector

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
CGROUP = "/proc/self/cgroup"
MOUNTINFO = "/proc/self/mountinfo"
DMI = "/sys/class/dmi/id/"
ID = "7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605"
UID = "8a3e1f0c-5d3b-4a86-9b7e-1c2d3e4f5a6b"

EACCES = {"error": "EACCES"}


def reader(files: Mapping[str, Any]) -> Callable[[str], str | None]:
    """`{"error": "EACCES"}` is a file that may not be read; a path that is not listed is absent."""

    def read(path: str) -> str | None:
        content = files.get(path)
        if isinstance(content, Mapping):
            raise PermissionError(13, "Permission denied", path)
        return None if content is None else str(content)

    return read


def detector(
    env: Mapping[str, str] | None = None,
    files: Mapping[str, Any] | None = None,
    system: str = "linux",
    **options: Any,
) -> EnvironmentDetector:
    return EnvironmentDetector(environ=env or {}, read=reader(files or {}), system=system, **options)


def detect(
    env: Mapping[str, str] | None = None, files: Mapping[str, Any] | None = None, **options: Any
) -> Detection:
    return detector(env, files, **options).detect()


def token(**claims: Any) -> str:
    """A service account token with these claims; its signature is as false as its header."""

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2ln"
