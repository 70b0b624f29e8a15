"""Google Secret Manager through its official client (gRPC over TLS), with application default credentials.

The client's own retry would wait up to 60 s on a dead address whatever `timeout` says, so each call gets
a retry that ends at our deadline. The checksum of the payload, which the client ignores, is verified.
"""

from __future__ import annotations

import threading
from typing import Any

from oatie_ops.errors import OatieError
from oatie_ops.secrets.backend import READING, Backend, Deadline, Fetched
from oatie_ops.secrets.crc32c import crc32c
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

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 1.0
PAGE_SIZE = 250


class GcpBackend(Backend):
    name = "gcp_secret_manager"
    title = "Google Secret Manager"

    def __init__(self, *, project: str | None = None, endpoint: str | None = None) -> None:
        """``endpoint``: `host:port` in place of secretmanager.googleapis.com (a regional or private one)."""
        self._project = project
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._client_object: Any = None
        self._credentials: Any = None

    def prepare(self) -> None:
        try:
            import google.auth
            import google.cloud.secretmanager_v1  # noqa: F401
        except ImportError:
            raise sdk_missing("gcp", "google.cloud.secretmanager") from None
        cap_sdk_loggers()

    def where(self) -> str:
        return f"project {self._project}" if self._project else ""

    def identity(self) -> str:
        """A machine's own account has a name only after its first token, so this is asked late."""
        return "" if self._credentials is None else _identity(self._credentials)

    def fetch(self, reference: Reference, deadline: Deadline) -> Fetched:
        path = self._path(reference)
        client = self._client(reference.name, deadline)
        for last in (False, True):
            answer = self._call(client.access_secret_version, reference.name, deadline, {"name": path})
            data, expected = bytes(answer.payload.data), answer.payload.data_crc32c
            if not expected or crc32c(data) == expected:
                return Fetched(Secret(data), answer.name.rpartition("/")[2])
            if last:
                break
        raise SecretMalformed(
            f"secret `{reference.name}` from {self.place} arrived damaged",
            backend=self.name,
            name=reference.name,
            identity=self.identity(),
            why="its CRC-32C is wrong, twice in a row",
            fix="check what stands between this machine and the service",
        )

    def names(self, deadline: Deadline) -> list[str]:
        if not self._project:
            return []
        client = self._client("", deadline)
        request = {"parent": f"projects/{self._project}", "page_size": PAGE_SIZE}
        pages = self._call(client.list_secrets, "", deadline, request).pages
        found: list[str] = []
        for page in pages:
            found += [secret.name.rpartition("/")[2] for secret in page.secrets]
            if deadline.is_over:
                break
        return found

    def _path(self, reference: Reference) -> str:
        if reference.stage:
            raise ReferenceInvalid(
                f"`{reference}` asks for a stage",
                why="Google Secret Manager has versions and aliases, no stages",
                fix=f"write gcp:{reference.name}@{reference.stage} for an alias",
            )
        parts = reference.name.split("/")
        version = reference.version or "latest"
        match parts:
            case ["projects", project, "secrets", secret]:
                pass
            case ["projects", project, "secrets", secret, "versions", version]:
                pass
            case [project, secret]:
                pass
            case [secret] if self._project:
                project = self._project
            case [_]:
                raise ReferenceInvalid(
                    f"the Google Cloud project of the secret `{reference.name}` is not known",
                    why="neither [secrets] project nor GOOGLE_CLOUD_PROJECT is set",
                    fix="set one of them, or write gcp:PROJECT/NAME",
                )
            case _:
                raise ReferenceInvalid(
                    f"`{reference.name}` cannot be the name of a Google secret",
                    why="it has more parts than a project and a name",
                    fix="write gcp:NAME, gcp:PROJECT/NAME or projects/PROJECT/secrets/NAME",
                )
        return f"projects/{project}/secrets/{secret}/versions/{version}"

    def _client(self, name: str, deadline: Deadline) -> Any:
        self.prepare()
        with self._lock:
            if self._client_object is None:
                self._client_object = self._new_client(name)
        deadline.phase = READING
        return self._client_object

    def _new_client(self, name: str) -> Any:
        import google.auth
        from google.api_core.client_options import ClientOptions
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.secretmanager_v1 import SecretManagerServiceClient

        try:
            credentials, _ = google.auth.default(scopes=SCOPES)
        except GoogleAuthError as error:
            raise self._no_credentials(name, type(error).__name__) from None
        self._credentials = credentials
        options = ClientOptions(api_endpoint=self._endpoint) if self._endpoint else None
        return SecretManagerServiceClient(credentials=credentials, client_options=options)

    def _call(self, call: Any, name: str, deadline: Deadline, request: dict[str, Any]) -> Any:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError

        try:
            return call(request=request, retry=_retry(deadline), timeout=deadline.left())
        except GoogleAuthError as error:
            raise self._no_credentials(name, type(error).__name__) from None
        except GoogleAPIError as error:
            raise self._explained(error, name, deadline) from None

    def _explained(self, error: Any, name: str, deadline: Deadline) -> OatieError:
        # What a retry gave up on is the cause of the error that says so.
        cause = getattr(error, "cause", None) or error
        kind, message = type(cause).__name__, str(getattr(cause, "message", ""))
        why = f"{kind}: {message}" if message else kind
        facts: dict[str, Any] = {"backend": self.name, "name": name, "identity": self.identity(), "why": why}
        match kind:
            case "NotFound":
                facts["why"] += self.similar(name, deadline) if name else ""
                return SecretMissing(
                    f"secret `{name}` is not in {self.place}",
                    fix="correct name, version or project, or create it: "
                    f"gcloud secrets create {name} --data-file=…",
                    **facts,
                )
            case "FailedPrecondition":
                return SecretMissing(
                    f"this version of secret `{name}` in {self.place} is disabled or destroyed",
                    fix=f"enable it, add a new version, or name one that is enabled: gcp:{name}@VERSION",
                    **facts,
                )
            case "PermissionDenied" | "Forbidden":
                return SecretDenied(
                    f"{self.place} refuses to give out `{name}`",
                    fix="grant roles/secretmanager.secretAccessor to the identity, and check the project",
                    **facts,
                )
            case "Unauthenticated" | "Unauthorized":
                return self._no_credentials(name, why)
            case "ResourceExhausted" | "TooManyRequests":
                facts["why"] = f"{kind} until the deadline of {deadline.seconds:g} s"
                return SecretThrottled(
                    f"{self.place} is asked too often",
                    fix="try again later, or raise `ttl` in [secrets] so that values are kept longer",
                    **facts,
                )
            case "InvalidArgument":
                return SecretMalformed(
                    f"`{name}` cannot be the name of a secret in {self.place}",
                    fix="correct name and version",
                    **facts,
                )
            case (
                "ServiceUnavailable"
                | "DeadlineExceeded"
                | "GatewayTimeout"
                | "RetryError"
                | "InternalServerError"
            ):
                return SecretsUnreachable(
                    f"{self.place} cannot be reached",
                    fix="check network, proxy and `endpoint` in [secrets]",
                    **facts,
                )
        return SecretMalformed(
            f"{self.place} answered something else than a secret",
            fix="check `endpoint` in [secrets]",
            **facts,
        )

    def _no_credentials(self, name: str, why: str) -> NoCredentials:
        return NoCredentials(
            f"there are no valid Google credentials to read `{name}`",
            backend=self.name,
            name=name,
            identity=self.identity() or "application default credentials, of which there are none",
            why=why,
            fix="attach a service account, run `gcloud auth application-default login`, "
            "or set GOOGLE_APPLICATION_CREDENTIALS",
        )


def _retry(deadline: Deadline) -> Any:
    from google.api_core.exceptions import ResourceExhausted, ServiceUnavailable
    from google.api_core.retry import Retry, if_exception_type

    return Retry(
        predicate=if_exception_type(ServiceUnavailable, ResourceExhausted),
        initial=FIRST_RETRY_SECONDS,
        maximum=LONGEST_RETRY_SECONDS,
        multiplier=2.0,
        # A little earlier than the deadline, so that what it gave up on is known: throttled or dead.
        timeout=deadline.left() * 0.9,
    )


def _identity(credentials: Any) -> str:
    email = getattr(credentials, "service_account_email", "")
    kind = type(credentials).__module__.removeprefix("google.")
    return f"service account {email} ({kind})" if email else f"application default credentials ({kind})"
