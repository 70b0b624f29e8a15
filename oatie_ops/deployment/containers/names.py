"""How everything of one project is called and labelled at an engine, so that it is found again. Pure."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

PROJECT = "oatie.project"
SERVICE = "oatie.service"
RELEASE = "oatie.release"
GENERATION = "oatie.generation"
ROLE = "oatie.role"
ACCESSORY = "oatie.accessory"
SPEC = "oatie.spec"

_FORBIDDEN = re.compile(r"[^a-z0-9]+")
KEY_CHARACTERS = 8


def project_key(state_home: Path) -> str:
    """Two checkouts whose applications have one name do not share containers."""
    return hashlib.sha256(os.fsencode(state_home)).hexdigest()[:KEY_CHARACTERS]


def project_name(app: str, state_home: Path) -> str:
    """Valid as the name of a container, a network, a service, and as the repository of an image."""
    return f"oatie-{_FORBIDDEN.sub('-', app.lower()).strip('-')[:30] or 'app'}-{project_key(state_home)}"


def container_name(project: str, release: str, generation: str, number: int) -> str:
    return f"{project}-r{release}-{generation}-{number}"


def accessory_name(project: str, accessory: str) -> str:
    return f"{project}-{_FORBIDDEN.sub('-', accessory.lower()).strip('-')}"


def release_tag(project: str, release: str) -> str:
    return f"{project}:r{release}"


def labels(project: str, service: str, release: str = "", **more: str) -> dict[str, str]:
    known = {PROJECT: project, SERVICE: service, RELEASE: release}
    known |= {f"oatie.{name}": value for name, value in more.items()}
    return {name: value for name, value in known.items() if value}
