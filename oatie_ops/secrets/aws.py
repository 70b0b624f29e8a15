"""AWS Secrets Manager through boto3: credentials by its own chain, time and retries by ours.

The region is always passed: boto3 ignores $AWS_REGION. botocore's own limits (60 s to connect, 60 s to
read, 5 attempts) are replaced by a share of the deadline.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oatie_ops.errors import OatieError
from oatie_ops.secrets.aws_errors import ATTEMPTS, broken, refused
from oatie_ops.secrets.backend import READING, Backend, Deadline, Fetched
from oatie_ops.secrets.errors import (
    NoCredentials,
    ReferenceInvalid,
    SecretDenied,
    SecretMalformed,
    SecretMissing,
    sdk_missing,
)
from oatie_ops.secrets.logs import cap_sdk_loggers
from oatie_ops.secrets.reference import Reference
from oatie_ops.secrets.value import Secret

BATCH_SIZE = 20  # the API's limit


class AwsBackend(Backend):
    name = "aws_secrets_manager"
    title = "AWS Secrets Manager"

    def __init__(
        self,
        *,
        region: str | None = None,
        endpoint: str | None = None,
        environ: Mapping[str, str],
        detected_region: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``detected_region`` is asked last, and only where EC2 or another AWS runtime is proven."""
        self._region = region
        self._endpoint = endpoint
        self._environ = environ
        self._detected_region = detected_region
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        self._identity = ""
        self._used_region = region or ""

    def prepare(self) -> None:
        try:
            import boto3  # noqa: F401
        except ImportError:
            raise sdk_missing("aws", "boto3") from None
        cap_sdk_loggers()

    def where(self) -> str:
        return self._used_region

    def identity(self) -> str:
        return self._identity

    def fetch(self, reference: Reference, deadline: Deadline) -> Fetched:
        wanted = {"VersionId": reference.version, "VersionStage": reference.stage}
        given = {key: value for key, value in wanted.items() if value}
        client = self._client(reference.name, deadline)
        answer = self._call(
            client.get_secret_value, reference.name, deadline, SecretId=reference.name, **given
        )
        return self._fetched(answer, reference.name)

    def fetch_many(self, references: Sequence[Reference], deadline: Deadline) -> list[Fetched | OatieError]:
        """Current versions come in batches of twenty; versions, stages and refused batches one by one."""
        found: dict[str, Fetched] = {}
        plain = [r.name for r in references if not (r.version or r.stage or r.name.startswith("arn:"))]
        plain = list(dict.fromkeys(plain))
        if len(plain) > 1:
            for start in range(0, len(plain), BATCH_SIZE):
                found |= self._batch(plain[start : start + BATCH_SIZE], deadline)
        return [
            found[r.name]
            if r.name in found and not (r.version or r.stage)
            else self._fetch_or_error(r, deadline)
            for r in references
        ]

    def _batch(self, names: Sequence[str], deadline: Deadline) -> dict[str, Fetched]:
        """What the batch call gives; its failures (HTTP 200 with `Errors`) are asked again, alone."""
        client = self._client(names[0], deadline)
        found: dict[str, Fetched] = {}
        token: dict[str, str] = {}
        try:
            while True:
                call = client.batch_get_secret_value
                answer = self._call(call, names[0], deadline, SecretIdList=list(names), **token)
                for entry in answer.get("SecretValues", []):
                    found[entry["Name"]] = self._fetched(entry, entry["Name"])
                if not answer.get("NextToken"):
                    return found
                token = {"NextToken": answer["NextToken"]}
        except (SecretDenied, SecretMissing):
            # The batch call needs a permission of its own; one missing name may fail all of it.
            return found

    def names(self, deadline: Deadline) -> list[str]:
        client = self._client("", deadline)
        found: list[str] = []
        token: dict[str, str] = {}
        while True:
            page = self._call(client.list_secrets, "", deadline, MaxResults=100, **token)
            found += [entry["Name"] for entry in page.get("SecretList", [])]
            if not page.get("NextToken") or deadline.is_over:
                return found
            token = {"NextToken": page["NextToken"]}

    def _client(self, name: str, deadline: Deadline) -> Any:
        from botocore.exceptions import BotoCoreError

        self.prepare()
        try:
            with self._lock:
                client = self._client_for(name, deadline)
            # Looked for here, so that a chain that hangs is told apart from a store that does.
            credentials = self._session.get_credentials()
            self._identity = _identity(credentials)
        except BotoCoreError as error:
            raise broken(self, type(error).__name__, name) from None
        if credentials is None:
            raise NoCredentials(
                f"there are no AWS credentials to read `{name}`" if name else "there are no AWS credentials",
                backend=self.name,
                name=name,
                why="environment, profile, web identity, container and instance metadata gave none",
                fix="attach a role, run `aws sso login` or `aws configure`, or set AWS_PROFILE",
            )
        deadline.phase = READING
        return client

    def _client_for(self, name: str, deadline: Deadline) -> Any:
        import boto3

        if self._session is None:
            self._session = boto3.session.Session()
        self._used_region = region = self._region_for(name)
        if region not in self._clients:
            self._clients[region] = self._new_client(region, deadline)
        return self._clients[region]

    def _new_client(self, region: str, deadline: Deadline) -> Any:
        from botocore.config import Config

        config = Config(
            connect_timeout=min(2.0, deadline.seconds / ATTEMPTS),
            read_timeout=deadline.seconds,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        return self._session.client(
            "secretsmanager", region_name=region, endpoint_url=self._endpoint, config=config
        )

    def _region_for(self, name: str) -> str:
        # arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-xxxxxx
        if name.startswith("arn:") and len(parts := name.split(":")) > 3 and parts[3]:
            return parts[3]
        region = (
            self._region
            or self._environ.get("AWS_REGION")
            or self._environ.get("AWS_DEFAULT_REGION")
            or self._session.region_name
            or self._detected_region()
        )
        if not region:
            raise ReferenceInvalid(
                f"the AWS region of the secret `{name}` is not known",
                why="neither [secrets] region, AWS_REGION, AWS_DEFAULT_REGION nor the profile names one",
                fix='set region = "eu-west-1" (for example) in [secrets], or AWS_REGION, or use the full ARN',
            )
        return region

    def _call(self, call: Callable[..., Any], name: str, deadline: Deadline, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call(**arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            message = error.response.get("Error", {}).get("Message", "")
            raise refused(self, code, message, name, deadline) from None
        except BotoCoreError as error:
            raise broken(self, type(error).__name__, name) from None

    def _fetched(self, answer: Mapping[str, Any], name: str) -> Fetched:
        value = answer.get("SecretString", answer.get("SecretBinary"))
        if value is None:
            raise SecretMalformed(
                f"secret `{name}` in {self.place} has no value",
                backend=self.name,
                name=name,
                identity=self._identity,
                why="the answer holds neither SecretString nor SecretBinary",
                fix="store a value in it",
            )
        created = answer.get("CreatedDate")
        return Fetched(Secret(value), answer.get("VersionId"), created.timestamp() if created else None)


def _identity(credentials: Any) -> str:
    """How the credentials were found, and the end of the key id, which is no secret."""
    if credentials is None:
        return ""
    method = getattr(credentials, "method", "") or "unknown source"
    key_id = getattr(credentials, "access_key", "") or ""
    return f"AWS key …{key_id[-4:]} from {method}" if key_id else f"credentials from {method}"
