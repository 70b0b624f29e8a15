"""Today's values of what a release takes from a store of secrets: for a reload, which is how a rotation ends.

What talks to a service itself and is refused asks `Resolver.use` for one re-read instead.
"""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterator
from dataclasses import replace

from oatie_ops.config.interpolate import expand, missing, references
from oatie_ops.config.settings import AppSettings, Settings
from oatie_ops.secrets.choice import from_settings
from oatie_ops.secrets.configured import Need, look_up


def refreshed(app: AppSettings, settings: Settings) -> AppSettings:
    """``app`` with its secrets looked up again; ``settings`` declare the stores. Raises `SecretError`.

    A text that also holds a variable which this process does not have stays as it is.
    """
    stores = from_settings(settings.secrets, root=settings.root)
    found = look_up(stores, _needs(app))
    known = ChainMap(dict(found.values), dict(os.environ))
    env = {
        name: expand(app.env_templates[name], known.get)
        for name in app.stored
        if not missing(app.env_templates[name], known.get)
    }
    return replace(app, env={**app.env, **env})


def _needs(app: AppSettings) -> Iterator[Need]:
    for name in app.stored:
        for reference in references(app.env_templates[name]):
            if reference.is_secret:
                yield Need(reference.name, reference.default is not None, f"app.env.{name}")
            elif reference.default is None and reference.name not in os.environ:
                yield Need(reference.name, True, f"app.env.{name}")
