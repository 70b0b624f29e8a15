"""What a deploy would do that an operator may not want, or would leave unmeasured: notes of its plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from oatie_ops.config.settings import Settings
from oatie_ops.deployment.survey import Entry

# Check type -> the module that it needs, and the extra that brings it.
_DRIVERS = {"postgres": ("psycopg", "postgres"), "redis": ("redis", "redis")}


def cautions(settings: Settings, entries: Sequence[Entry]) -> Iterator[str]:
    """``entries`` are what is copied into the release."""
    yield from _secrets_copied(settings, entries)
    yield from _drivers_missing(settings)


def _secrets_copied(settings: Settings, entries: Sequence[Entry]) -> Iterator[str]:
    declared = settings.secrets.get("path")
    if not declared:
        return
    root = settings.root.resolve()
    store = (root / str(declared)).resolve()
    if store == root or not store.is_relative_to(root):
        return
    name = str(store.relative_to(root))
    if any(entry.path == name or entry.path.startswith(f"{name}/") for entry in entries):
        yield (
            f"WARNING: {name}, which holds secrets ([secrets] path), is copied into every release: "
            "name it in .gitignore, or keep it outside of the checkout"
        )


def _drivers_missing(settings: Settings) -> Iterator[str]:
    for name, service in settings.services.items():
        module, extra = _DRIVERS.get(str((service.check or {}).get("type")), ("", ""))
        if module and find_spec(module) is None:
            yield (
                f"the check of {name} needs the driver {module}, which is not installed: {name} stays "
                f"unknown until `pip install 'oatie-ops[{extra}]'`"
            )
