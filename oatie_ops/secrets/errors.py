"""Each way in which a secret cannot be had, told apart, because each has another remedy.

Every message says which backend, which name, which identity was tried and what to do. None holds a
value: messages of an SDK are quoted only where the protocol puts no value into them.
"""

from __future__ import annotations

from oatie_ops.errors import ConfigInvalid, PrerequisiteMissing

# The clouds' stores; a file or a variable is always told by its own name.
STORES = {
    "aws_secrets_manager": "AWS Secrets Manager",
    "gcp_secret_manager": "Google Secret Manager",
    "azure_key_vault": "Azure Key Vault",
}


class SecretError(PrerequisiteMissing):
    """A secret could not be read. ``backend``, ``name`` and ``identity`` are also in ``data``."""

    def __init__(
        self, what: str, *, backend: str, name: str = "", identity: str = "", why: str = "", fix: str = ""
    ) -> None:
        tried = f"tried as {identity}" if identity else ""
        asked = _asked(backend, name, f"{what} {why}")
        data = {"backend": backend, "name": name, "identity": identity}
        super().__init__(what, why="; ".join(filter(None, (why, asked, tried))), fix=fix, data=data)
        self.backend = backend
        self.name = name
        self.identity = identity


def _asked(backend: str, name: str, said: str) -> str:
    """Which store was asked for which secret, as far as the message does not say it already."""
    if not name:
        return ""
    store = STORES.get(backend, "")
    if name in said and store in said:
        return ""
    return f"for `{name}` in {store}" if store else f"for `{name}`"


class SecretMissing(SecretError):
    """The store answered that there is no such secret, version or key."""


class SecretDenied(SecretError):
    """The store knows the caller and refuses."""


class SecretThrottled(SecretError):
    """The store asked to be asked less often, and did so until the deadline."""


class SecretsUnreachable(SecretError):
    """No answer within the deadline, or no connection."""


class NoCredentials(SecretError):
    """Nothing to identify with, or what there was is invalid or expired."""


class SecretMalformed(SecretError):
    """The store answered with something that cannot be what was asked for."""


class ReferenceInvalid(ConfigInvalid):
    """A reference to a secret, or the [secrets] table, does not say what it needs to."""


class SdkMissing(PrerequisiteMissing):
    """The extra with the cloud's SDK is not installed."""


def sdk_missing(extra: str, module: str) -> SdkMissing:
    return SdkMissing(
        f"the {extra.upper()} SDK is not installed",
        why=f"the Python module `{module}` is missing",
        fix=f"pip install 'oatie-ops[{extra}]' (pipx: pipx inject oatie-ops 'oatie-ops[{extra}]')",
    )
