"""The shape of a validated declaration, apart from what makes it: the cache needs only the shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oatie_ops.config.envfile import EnvFile
from oatie_ops.config.issues import Issue
from oatie_ops.config.layers import Origin
from oatie_ops.config.spans import KeyPath
from oatie_ops.records import dataclass


@dataclass(frozen=True)
class Declared:
    """``data`` is `settings_to_dict` of the settings with templates in it, at the paths ``templates``.

    ``variables`` are the names that templates refer to; ``env_file`` is the file that was read.
    """

    data: Mapping[str, Any]
    templates: tuple[KeyPath, ...]
    variables: tuple[str, ...]
    env_file: EnvFile | None
    profile: str
    origins: Mapping[str, Origin]
    issues: tuple[Issue, ...]
