"""What AWS and botocore report, as what / why / fix. Only codes and messages of the protocol are quoted."""

from __future__ import annotations

from typing import Any

from oatie_ops.errors import OatieError
from oatie_ops.secrets.backend import Backend, Deadline
from oatie_ops.secrets.errors import (
    NoCredentials,
    ReferenceInvalid,
    SecretDenied,
    SecretError,
    SecretMalformed,
    SecretMissing,
    SecretsUnreachable,
    SecretThrottled,
)

ATTEMPTS = 3

_MISSING = {"ResourceNotFoundException"}
_THROTTLED = {
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",
}
_DENIED = {"AccessDeniedException", "AccessDenied", "DecryptionFailure", "KMSAccessDeniedException"}
_BAD_CREDENTIALS = {
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "MissingAuthenticationToken",
    "IncompleteSignature",
}


def refused(backend: Backend, code: str, message: str, name: str, deadline: Deadline) -> SecretError:
    """For the error code of an answer."""
    facts: dict[str, Any] = {"backend": backend.name, "name": name, "identity": backend.identity()}
    if code in _MISSING:
        hint = backend.similar(name, deadline) if name else ""
        return SecretMissing(
            f"secret `{name}` is not in {backend.place}",
            why=f"{code}: {message}{hint}",
            fix="correct the name, version or region, or create it: "
            f"aws secretsmanager create-secret --name {name} --secret-string file://…",
            **facts,
        )
    if code == "InvalidRequestException" and "delet" in message.lower():
        return SecretMissing(
            f"secret `{name}` in {backend.place} is marked for deletion",
            why=f"{code}: {message}",
            fix=f"aws secretsmanager restore-secret --secret-id {name}",
            **facts,
        )
    if code in _DENIED:
        key = code in {"DecryptionFailure", "KMSAccessDeniedException"} or "kms" in message.lower()
        action = "kms:Decrypt on its key" if key else "secretsmanager:GetSecretValue on it"
        return SecretDenied(
            f"{backend.place} refuses to give out `{name}`",
            why=f"{code}: {message}",
            fix=f"allow {action} in the policy of the identity",
            **facts,
        )
    if code in _THROTTLED:
        return SecretThrottled(
            f"{backend.place} is asked too often",
            why=f"{code} after {ATTEMPTS} attempts",
            fix="try again later, or raise `ttl` in [secrets] so that values are kept longer",
            **facts,
        )
    if code in _BAD_CREDENTIALS:
        return NoCredentials(
            f"{backend.place} does not accept the AWS credentials",
            why=f"{code}: {message}",
            fix="renew them (aws sso login), and check this machine's clock",
            **facts,
        )
    if code in {"InternalServiceError", "ServiceUnavailable", "InternalFailure", "RequestTimeout"}:
        return SecretsUnreachable(
            f"{backend.place} has a fault of its own", why=code, fix="try again later", **facts
        )
    return SecretMalformed(
        f"{backend.place} cannot answer the request for `{name}`",
        why=f"{code}: {message}",
        fix="correct name, version and stage",
        **facts,
    )


def broken(backend: Backend, kind: str, name: str) -> OatieError:
    """For what botocore raised without an answer of the service; `kind` is its class."""
    facts: dict[str, Any] = {
        "backend": backend.name,
        "name": name,
        "identity": backend.identity(),
        "why": kind,
    }
    if "Credential" in kind or "Token" in kind or kind in {"ProfileNotFound", "MetadataRetrievalError"}:
        return NoCredentials(
            "the AWS credentials cannot be used",
            fix="attach a role, run `aws sso login` or `aws configure`, or correct AWS_PROFILE",
            **facts,
        )
    if any(word in kind for word in ("Connect", "Timeout", "Endpoint", "SSL", "Proxy", "HTTPClient")):
        return SecretsUnreachable(
            f"{backend.place} cannot be reached",
            fix="check network, proxy, region and VPC endpoint",
            **facts,
        )
    if kind == "ParamValidationError":
        return ReferenceInvalid(
            f"`{name}` cannot be the name of a secret in {backend.place}", why=kind, fix="correct the name"
        )
    return SecretMalformed(
        f"{backend.place} answered something else than a secret",
        fix="check `endpoint` in [secrets]",
        **facts,
    )
