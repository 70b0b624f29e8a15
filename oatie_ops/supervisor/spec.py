"""What a worker runs: one release, or the checkout itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from oatie_ops.config.settings_app import AppSettings
from oatie_ops.records import dataclass

CHECKOUT = "checkout"


@dataclass(frozen=True)
class ReleaseSpec:
    """Everything that a worker of this release needs; the public address comes from the supervisor.

    ``name`` is the release's number as text, or `CHECKOUT` for workers run straight from the working
    tree. ``python`` is the interpreter of the release's own build, None for the one that runs oatie.
    """

    name: str
    directory: Path
    app: AppSettings
    python: str | None = None
    image: str | None = None  # what engines run instead of the directory, pinned by digest or id

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "directory": str(self.directory),
            "app": app_to_dict(self.app),
            "python": self.python,
            "image": self.image,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ReleaseSpec:
        return cls(
            name=str(data["name"]),
            directory=Path(data["directory"]),
            app=app_from_dict(data["app"]),
            python=data.get("python"),
            image=data.get("image"),
        )


def app_to_dict(app: AppSettings) -> dict[str, Any]:
    return {**asdict(app), "env": dict(app.env)}


def app_from_dict(data: Mapping[str, Any]) -> AppSettings:
    """Reads a manifest; keys that a newer oatie added are ignored, so that a downgrade can roll back."""
    known = {f.name for f in fields(AppSettings)}
    values = {key: value for key, value in data.items() if key in known}
    sequences = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return AppSettings(**{**values, **sequences})
