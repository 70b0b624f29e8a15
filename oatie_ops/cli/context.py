"""Which checkout a command is about, and where its state lives; found once, when first asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oatie_ops.paths import StatePaths, state_paths

if TYPE_CHECKING:
    from oatie_ops.config.load import Loaded


class Context:
    """Lazy: a command that only needs the control socket never reads the configuration.

    ``environment``, ``overrides`` (dotted path to value) and ``env_file`` go to the configuration loader;
    with ``meanwhile`` it is validated in another process, and this one does that (`oatie_ops.config.load`).
    """

    def __init__(
        self,
        start: Path | None = None,
        *,
        environment: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        env_file: Path | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        self._start = start
        self._environment = environment
        self._overrides = dict(overrides or {})
        self._env_file = env_file
        self._meanwhile = meanwhile

    @cached_property
    def root(self) -> Path:
        """The nearest directory upwards that is configured or has state, else the current one."""
        from oatie_ops.config.locate import locate

        return locate(self._start or Path.cwd()).root

    @cached_property
    def paths(self) -> StatePaths:
        """Raises `PrerequisiteMissing` where that is no directory, or the state of another application."""
        from oatie_ops.claim import require_directory, require_ours

        paths = state_paths(self.root)
        require_directory(paths, self.root)
        if os.environ.get("OATIE_HOME"):
            require_ours(paths, self.root)
        return paths

    @cached_property
    def loaded(self) -> Loaded:
        """The configuration. Raises `ConfigInvalid` with every problem in it."""
        from oatie_ops.config.load import load

        return load(
            self.root,
            environment=self._environment,
            overrides=self._overrides,
            env_file=self._env_file,
            meanwhile=self._meanwhile,
        )

    @cached_property
    def checkable(self) -> Loaded:
        """`loaded` with the secrets that the checks of services need. Raises as `filled`."""
        from oatie_ops.cli.filling import SERVICES, filled

        return filled(self.loaded, SERVICES)
