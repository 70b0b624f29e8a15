"""What makes the containers of this project its own: a name, a key and a token, chosen once and kept.

The name must not change with ``[app] name``, or what was deployed under the old one would be lost sight of;
the token is part of Caddy's route, and a route that changes costs connections.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from oatie_ops.deployment.containers.names import project_name
from oatie_ops.paths import StatePaths

FILE = "engine.json"


@dataclass(frozen=True)
class Identity:
    """``key`` (hex) keys the digests in labels; ``token`` opens what Caddy tells of the switch."""

    project: str
    key: str
    token: str

    @property
    def short(self) -> str:
        return self.project.removeprefix("oatie-")


def identity(paths: StatePaths, app: str) -> Identity:
    """The kept one, or a new one, which is kept only by `keep`: looking makes nothing."""
    with suppress(FileNotFoundError, ValueError, TypeError):
        return Identity(**json.loads(_file(paths).read_text()))
    return Identity(project_name(app, paths.home), secrets.token_hex(32), secrets.token_hex(16))


def keep(paths: StatePaths, one: Identity) -> None:
    """Complete or not there; mode 0600. The first one stays."""
    if _file(paths).exists():
        return
    temporary = _file(paths).with_name(f".{FILE}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(one), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(_file(paths))


def _file(paths: StatePaths) -> Path:
    return paths.home / FILE
