"""A check whose credentials come from a store of secrets: refused, it asks the store once for newer ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from oatie_ops.config.convert import json_ready
from oatie_ops.config.settings import Settings
from oatie_ops.config.spans import KeyPath
from oatie_ops.errors import OatieError
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.model import CheckSpec, Result

# A password that is simply wrong must not make every check a question to the store.
PATIENCE_SECONDS = 60.0

Templates = Mapping[KeyPath, str]


def stored_options(settings: Settings, service: str) -> Templates:
    """Where in the options of the service's check values of a store stand, and their templates."""
    head = ("services", service, "check")
    return {path[3:]: template for path, template in settings.stored if path[:3] == head}


@dataclass
class Rotating:
    """``templates`` by path in the options; ``make`` makes the check anew with other options."""

    spec: CheckSpec
    tools: Tools
    templates: Templates
    make: Callable[[CheckSpec, Tools], Check]
    _asked_at: float = float("-inf")
    _fresh: Mapping[str, Any] | None = None
    _check: Check = field(init=False)

    def __post_init__(self) -> None:
        self._check = self.make(self.spec, self.tools)

    async def run(self, attempt: Attempt) -> Result:
        self._renew()  # what a look that outlasted its deadline has found since
        result = await self._check.run(attempt)
        if not result.refused or time.monotonic() - self._asked_at < PATIENCE_SECONDS:
            return result
        self._asked_at = time.monotonic()
        attempt.waiting_for = "looking for newer credentials"
        try:
            await self.tools.threads.call((*self.spec.key, "credentials"), self._look, attempt)
        except OatieError as error:
            return replace(result, output=f"{result.output}; no newer credentials: {error.what}")
        return await self._check.run(attempt) if self._renew() else result

    def _look(self) -> None:
        from oatie_ops.secrets.rotation import todays

        values = todays(self.templates, self.tools.settings, f"services.{self.spec.service}.check")
        options = json_ready(self.spec.options)
        for path, text in values.items():
            _put(options, path, text)
        self._fresh = options

    def _renew(self) -> bool:
        """Takes over what was found; False where that is nothing new."""
        fresh, self._fresh = self._fresh, None
        if fresh is None or fresh == json_ready(self.spec.options):
            return False
        self.spec = replace(self.spec, options=fresh)
        self._check = self.make(self.spec, self.tools)
        return True


def _put(options: Any, path: KeyPath, text: str) -> None:
    for part in path[:-1]:
        options = options[part]
    options[path[-1]] = text
