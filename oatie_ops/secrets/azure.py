"""Azure Key Vault through azure-keyvault-secrets, with a credential that is chosen, not guessed.

`DefaultAzureCredential` tries nine sources and starts three other programs; where the platform is proven
the one right credential is used, and the guessing is left to developers' machines. The vault's challenge
and its certificate are always verified.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from oatie_ops.errors import OatieError
from oatie_ops.secrets.backend import READING, Backend, Deadline, Fetched
from oatie_ops.secrets.errors import (
    NoCredentials,
    ReferenceInvalid,
    SecretDenied,
    SecretMalformed,
    SecretMissing,
    SecretsUnreachable,
    SecretThrottled,
    sdk_missing,
)
from oatie_ops.secrets.logs import cap_sdk_loggers
from oatie_ops.secrets.reference import Reference
from oatie_ops.secrets.value import Secret

RETRIES = 2
FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 1.0


class AzureBackend(Backend):
    name = "azure_key_vault"
    title = "Azure Key Vault"

    def __init__(self, *, vault_url: str | None, environ: Mapping[str, str], on_azure: bool = False) -> None:
        """``on_azure``: detection proved that this runs on Azure, so its managed identity is meant."""
        self._vault_url = vault_url
        self._environ = environ
        self._on_azure = on_azure
        self._lock = threading.Lock()
        self._client_object: Any = None
        self._identity = ""

    def prepare(self) -> None:
        try:
            import azure.identity
            import azure.keyvault.secrets  # noqa: F401
        except ImportError:
            raise sdk_missing("azure", "azure.keyvault.secrets") from None
        cap_sdk_loggers()

    def where(self) -> str:
        return urlsplit(self._vault_url or "").netloc

    def identity(self) -> str:
        return self._identity

    def fetch(self, reference: Reference, deadline: Deadline) -> Fetched:
        name = vault_name(reference)
        client = self._client(name, deadline)
        answer = self._call(lambda: client.get_secret(name, reference.version), name, deadline)
        if answer.value is None:
            raise SecretMalformed(
                f"secret `{name}` in {self.place} has no value",
                backend=self.name,
                name=name,
                identity=self._identity,
                why="the answer holds none",
                fix="store a value in it",
            )
        updated: datetime | None = answer.properties.updated_on
        stamp = updated.timestamp() if updated else None
        return Fetched(Secret(answer.value), answer.properties.version, stamp)

    def names(self, deadline: Deadline) -> list[str]:
        client = self._client("", deadline)
        found: list[str] = []

        def walk() -> None:
            for properties in client.list_properties_of_secrets():
                found.append(str(properties.name))
                if deadline.is_over:
                    return

        self._call(walk, "", deadline)
        return found

    def _client(self, name: str, deadline: Deadline) -> Any:
        url = self._checked_url()
        self.prepare()
        with self._lock:
            if self._client_object is None:
                from azure.keyvault.secrets import SecretClient

                self._client_object = SecretClient(
                    url,
                    self._credential(deadline),
                    retry_total=RETRIES,
                    retry_backoff_factor=FIRST_RETRY_SECONDS,
                    retry_backoff_max=LONGEST_RETRY_SECONDS,
                    connection_timeout=deadline.seconds,
                    read_timeout=deadline.seconds,
                    logging_enable=False,
                )
        deadline.phase = READING
        return self._client_object

    def _checked_url(self) -> str:
        url = self._vault_url or ""
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname:
            return url
        raise ReferenceInvalid(
            "the address of the Azure key vault is not set"
            if not url
            else "the address of the Azure key vault is wrong",
            why="it must be an https:// address"
            if url
            else "neither [secrets] vault_url nor AZURE_KEY_VAULT_URL is set",
            fix='vault_url = "https://NAME.vault.azure.net/" in [secrets]',
        )

    def _credential(self, deadline: Deadline) -> Any:
        from azure import identity

        env = self._environ
        client_id = env.get("AZURE_CLIENT_ID") or None
        timeouts: dict[str, Any] = {
            "connection_timeout": deadline.seconds,
            "read_timeout": deadline.seconds,
            "retry_total": 1,
        }
        if env.get("AZURE_FEDERATED_TOKEN_FILE") and client_id and env.get("AZURE_TENANT_ID"):
            self._identity = f"workload identity {client_id}"
            return identity.WorkloadIdentityCredential(**timeouts)
        secret = env.get("AZURE_CLIENT_SECRET") or env.get("AZURE_CLIENT_CERTIFICATE_PATH")
        if secret and client_id and env.get("AZURE_TENANT_ID"):
            self._identity = f"service principal {client_id}"
            return identity.EnvironmentCredential(**timeouts)
        if self._on_azure or env.get("IDENTITY_ENDPOINT") or env.get("MSI_ENDPOINT"):
            self._identity = (
                f"managed identity {client_id}" if client_id else "the system-assigned managed identity"
            )
            return identity.ManagedIdentityCredential(client_id=client_id, **timeouts)
        self._identity = "a developer's sign-in (Azure CLI, PowerShell or azd)"
        return identity.DefaultAzureCredential(
            exclude_managed_identity_credential=True,
            exclude_workload_identity_credential=True,
            exclude_interactive_browser_credential=True,
            process_timeout=max(1, int(deadline.seconds)),
        )

    def _call(self, call: Any, name: str, deadline: Deadline) -> Any:
        from azure.core.exceptions import AzureError

        try:
            return call()
        except AzureError as error:
            raise self._explained(error, name, deadline) from None

    def _explained(self, error: Any, name: str, deadline: Deadline) -> OatieError:
        kind = type(error).__name__
        status = getattr(error, "status_code", None)
        code = _code(error)
        why = " ".join(filter(None, (f"HTTP {status}" if status else kind, code)))
        facts: dict[str, Any] = {"backend": self.name, "name": name, "identity": self._identity, "why": why}
        if kind in {"ClientAuthenticationError", "CredentialUnavailableError"} or status == 401:
            return NoCredentials(
                f"{self.place} cannot be asked without valid Azure credentials",
                fix="give the application a managed identity, run `az login`, "
                "or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
                **facts,
            )
        if status == 404:
            facts["why"] += self.similar(name, deadline) if name else ""
            return SecretMissing(
                f"secret `{name}` is not in {self.place}",
                fix="correct name, version or vault, or create it: az keyvault secret set --name …",
                **facts,
            )
        if status == 403 and code == "SecretDisabled":
            return SecretMissing(
                f"secret `{name}` in {self.place} is disabled",
                fix="enable it, or name another version",
                **facts,
            )
        if status == 403:
            return SecretDenied(
                f"{self.place} refuses to give out `{name}`",
                fix="grant the role `Key Vault Secrets User` (or the access policy Get) to the identity, "
                "and check the vault's firewall",
                **facts,
            )
        if status == 429:
            return SecretThrottled(
                f"{self.place} is asked too often",
                fix="try again later, or raise `ttl` in [secrets] so that values are kept longer",
                **facts,
            )
        if kind in {"ServiceRequestError", "ServiceResponseError", "ServiceRequestTimeoutError"} or (
            status is not None and status >= 500
        ):
            return SecretsUnreachable(
                f"{self.place} cannot be reached",
                fix="check `vault_url`, network, proxy and certificates",
                **facts,
            )
        return SecretMalformed(
            f"{self.place} answered something else than a secret",
            fix="check `vault_url` in [secrets]",
            **facts,
        )


def vault_name(reference: Reference) -> str:
    """The name in the vault's alphabet: `DB_PASSWORD` is stored as `DB-PASSWORD`.

    Raises `ReferenceInvalid` for what no vault can hold.
    """
    if reference.stage:
        raise ReferenceInvalid(
            f"`{reference}` asks for a stage",
            why="Azure Key Vault has versions, no stages",
            fix="write azure:NAME@VERSION",
        )
    name = reference.name.replace("_", "-")
    if not re.fullmatch(r"[0-9A-Za-z-]{1,127}", name):
        raise ReferenceInvalid(
            f"`{reference.name}` cannot be the name of a secret in Azure Key Vault",
            why="names there hold letters, digits and `-`; `_` is written as `-`",
            fix="correct the name",
        )
    return name


def _code(error: Any) -> str:
    """The service's own word, from `{"error": {"code": …, "innererror": {"code": …}}}`; never the body."""
    found = getattr(error, "error", None)
    inner = getattr(found, "innererror", None)
    deepest = inner.get("code") if isinstance(inner, dict) else None
    code = deepest or getattr(found, "code", None)
    return code if isinstance(code, str) and re.fullmatch(r"[A-Za-z0-9]{1,64}", code) else ""
