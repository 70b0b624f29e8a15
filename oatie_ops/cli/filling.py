"""Secrets for a command that is about to run something: looked up here, and not by commands that only look.

On the path of every `oatie start`, so the room of the secrets is entered only where there is one.
"""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oatie_ops.config.interpolate import is_unresolved, references
from oatie_ops.config.sensitive import looks_secret, sensitive_values
from oatie_ops.redaction import learn

if TYPE_CHECKING:
    from oatie_ops.config.load import Loaded
    from oatie_ops.deployment.manifest import Manifest
    from oatie_ops.secrets.configured import Need

# The tables whose values may be secrets; a release brings those of its own application.
SERVICES = ("services",)
SUPERVISOR = (*SERVICES, "alerts", "switches")
EVERYTHING = (*SUPERVISOR, "app", "accessories")

# Without one of these in [secrets], a plain name is a variable and nothing else.
_CHOOSES_STORE = ("backend", "name", "project", "vault_url", "path")


def filled(loaded: Loaded, tables: Collection[str] = EVERYTHING) -> Loaded:
    """The configuration with the values of its secrets; from here on they are masked in every output.

    Raises `SecretError`, `ReferenceInvalid` or `SdkMissing`.
    """
    learn(sensitive_values(loaded))
    paths = [path for path in loaded.unresolved if path[0] in tables]
    if not paths:
        return loaded
    from oatie_ops.config.load import with_secrets
    from oatie_ops.secrets.configured import needs

    values = _look_up(loaded, list(needs(loaded, paths)))
    return with_secrets(loaded, ChainMap({**values}, {**loaded.outside}).get, paths)


def read_release(directory: Path, loaded: Loaded) -> Manifest:
    """A release with today's values of what came from outside. Raises as `filled`, and `ReleaseUnusable`."""
    from oatie_ops.deployment import manifest

    today = {n: v for n, v in loaded.settings.app.env.items() if ("app", "env", n) not in loaded.unresolved}
    known: ChainMap[str, str] = ChainMap(dict(os.environ), today)
    made = manifest.read(directory, known.get)
    if wanted := _needs_of_release(directory.name, made.app.env_templates, known, loaded):
        made = manifest.read(directory, known.new_child(_look_up(loaded, wanted)).get)
    learn(
        made.app.env[name]
        for name, template in made.app.env_templates.items()
        if looks_secret(name, made.app.env[name]) and not is_unresolved(template, known.get)
    )
    return made


def filled_with_release(directory: Path, loaded: Loaded, *, dry_run: bool) -> tuple[Loaded, Manifest]:
    """The configuration and the release that a rollback goes by. A dry run looks no value up."""
    if dry_run:
        from oatie_ops.deployment import manifest

        return loaded, manifest.read(directory)
    loaded = filled(loaded, SUPERVISOR)
    return loaded, read_release(directory, loaded)


def _needs_of_release(
    release: str, templates: Mapping[str, str], known: Mapping[str, str], loaded: Loaded
) -> list[Need]:
    """A plain name may have been a variable of the day when it was made; then it stays as it is written."""
    has_store = any(loaded.settings.secrets.get(key) for key in _CHOOSES_STORE)
    missing = [
        (f"{name} of release {release}", reference)
        for name, template in templates.items()
        for reference in references(template)
        if reference.is_secret or (has_store and reference.default is None and reference.name not in known)
    ]
    if not missing:
        return []
    from oatie_ops.secrets.configured import Need

    return [
        Need(reference.name, not reference.is_secret or reference.default is not None, by)
        for by, reference in missing
    ]


def _look_up(loaded: Loaded, wanted: Sequence[Need]) -> dict[str, str]:
    from oatie_ops.cli.output import warn
    from oatie_ops.secrets.configured import look_up, resolver

    found = look_up(resolver(loaded), wanted)
    for name in found.too_short:
        warn(f"the value of ${{{name}}} is too short to be recognised in output, so it is not masked there")
    return dict(found.values)
