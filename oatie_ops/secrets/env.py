"""Secrets in environment variables: the default."""

from __future__ import annotations

from collections.abc import Mapping

from oatie_ops.secrets.backend import READING, Backend, Deadline, Fetched
from oatie_ops.secrets.errors import SecretMissing
from oatie_ops.secrets.reference import Reference
from oatie_ops.secrets.value import Secret


class EnvBackend(Backend):
    name = "env"
    title = "the environment"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def fetch(self, reference: Reference, deadline: Deadline) -> Fetched:
        deadline.phase = READING
        value = self._environ.get(reference.name)
        if value is None:
            raise SecretMissing(
                f"the environment variable {reference.name} is not set",
                backend=self.name,
                name=reference.name,
                why="it is not in the environment oatie was started with"
                + self.similar(reference.name, deadline),
                fix=f"export {reference.name}, put it in the env file, or name a store in [secrets]",
            )
        return Fetched(Secret(value))

    def names(self, deadline: Deadline) -> list[str]:
        return list(self._environ)
