"""``releases/<N>/manifest.json``: with what a release is run, now and in any later rollback to it.

What came into the application's environment from outside the file (often a secret) is written as its
template, ``${NAME}``, and gets its value of the day when the manifest is read.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oatie_ops.config.interpolate import Lookup, expand
from oatie_ops.config.settings import AppSettings
from oatie_ops.deployment.releases import MANIFEST, explained_disk_errors
from oatie_ops.errors import OatieError
from oatie_ops.supervisor.spec import ReleaseSpec, app_from_dict, app_to_dict


class ReleaseUnusable(OatieError):
    """The files of a release are missing or damaged, so it cannot be run."""


@dataclass(frozen=True)
class Manifest:
    """``created_at`` in epoch seconds; ``directory`` holds the code; ``python`` None: oatie's own.

    ``build_key`` names the directory under ``builds/`` that must live as long as this release. ``place`` is
    which engine it was made for, and where that is (see `oatie_ops.deployment.targets.registry`); None: this
    host's processes. ``image`` is what an engine runs.
    """

    number: int
    created_at: float
    app: AppSettings
    directory: Path
    python: str | None
    build_key: str | None
    source: dict[str, Any]
    place: dict[str, Any] | None = None
    image: str | None = None

    def spec(self) -> ReleaseSpec:
        return ReleaseSpec(str(self.number), self.directory, self.app, self.python, self.image)

    def to_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "created_at": self.created_at,
            "app": {**app_to_dict(self.app), "env": {**self.app.env, **self.app.env_templates}},
            "directory": os.fspath(self.directory),
            "python": self.python,
            "build_key": self.build_key,
            "source": self.source,
            "place": self.place,
            "image": self.image,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Manifest:
        return cls(
            number=int(data["number"]),
            created_at=float(data["created_at"]),
            app=app_from_dict(data["app"]),
            directory=Path(data["directory"]),
            python=data["python"],
            build_key=data["build_key"],
            source=dict(data["source"]),
            place=data.get("place"),
            image=data.get("image"),
        )


def write(release_directory: Path, manifest: Manifest) -> None:
    """Complete or not there; mode 0600."""
    content = json.dumps(manifest.to_dict(), indent=2).encode() + b"\n"
    temporary = release_directory / f".{MANIFEST}.tmp"
    with explained_disk_errors(release_directory):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(release_directory / MANIFEST)


def read(release_directory: Path, lookup: Lookup = os.environ.get) -> Manifest:
    """`lookup` gives the value for a ``${NAME}``, or None. Raises `ReleaseUnusable`."""
    path = release_directory / MANIFEST
    try:
        found = Manifest.from_dict(json.loads(path.read_bytes()))
        templates = found.app.env_templates
        values = {name: expand(template, lookup) for name, template in templates.items()}
        return replace(found, app=replace(found.app, env={**found.app.env, **values}))
    except FileNotFoundError as error:
        raise _unusable(release_directory, "it has no manifest; its deploy never got that far") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unusable(release_directory, f"{path} is damaged: {error!r}") from error


def _unusable(release_directory: Path, why: str) -> ReleaseUnusable:
    return ReleaseUnusable(
        f"release {release_directory.name} cannot be run",
        why=why,
        fix="choose another one (`oatie rollback --list`), or deploy again",
    )
