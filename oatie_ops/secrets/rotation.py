"""Today's values of what came from a store of secrets: for a reload, and for a check that was refused.

What talks to a service itself, and is refused, can ask `Resolver.use` for one re-read instead.
"""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from oatie_ops.config.interpolate import expand, missing, references
from oatie_ops.config.settings import AppSettings, Settings
from oatie_ops.secrets.choice import from_settings
from oatie_ops.secrets.configured import Need, look_up

K = TypeVar("K")


def refreshed(app: AppSettings, settings: Settings) -> AppSettings:
    """``app`` with its secrets looked up again. Raises as `todays`."""
    templates = {name: app.env_templates[name] for name in app.stored}
    return replace(app, env={**app.env, **todays(templates, settings, "app.env")})


def todays(templates: Mapping[K, str], settings: Settings, by: str) -> dict[K, str]:
    """The texts of ``templates``; ``settings`` declare the stores, ``by`` is what needs them.

    Left out is a text that also holds a variable which this process does not have. Raises `SecretError`.
    """
    stores = from_settings(settings.secrets, root=settings.root)
    found = look_up(
        stores, [need for key, text in templates.items() for need in _needs(text, _name(by, key))]
    )
    known = ChainMap(dict(found.values), dict(os.environ))
    return {
        key: expand(template, known.get)
        for key, template in templates.items()
        if not missing(template, known.get)
    }


def _name(by: str, key: object) -> str:
    return ".".join([by, *map(str, key)]) if isinstance(key, tuple) else f"{by}.{key}"


def _needs(template: str, by: str) -> Iterator[Need]:
    found = list(references(template))
    for reference in found:
        if reference.is_secret:
            yield Need(reference.name, reference.default is not None, by)
        elif reference.default is None and reference.name not in os.environ:
            # Beside others it may be a variable of the process that deployed.
            yield Need(reference.name, len(found) > 1, by)
