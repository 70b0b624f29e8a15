"""AWS Secrets Manager: moto's server, boto3 and its real chain of credentials, faults by a small server."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from oatie_ops.environment import Detection, EnvironmentDetector
from oatie_ops.errors import OatieError
from oatie_ops.secrets import Secret, backend
from oatie_ops.secrets.choice import from_settings
from oatie_ops.secrets.errors import (
    NoCredentials,
    ReferenceInvalid,
    SecretDenied,
    SecretMalformed,
    SecretMissing,
    SecretsUnreachable,
    SecretThrottled,
)
from oatie_ops.secrets.resolve import Resolver
from tests.real.secret_servers import DEADLINE_HELD_SECONDS, Answer, Request, as_json, http_server, warmed

REGION = "eu-west-1"
KEYS = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "x" * 40}
NOWHERE: Detection = EnvironmentDetector(environ={}, read=lambda path: None, system="linux").detect()


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def store(moto_url: str) -> Any:
    client = boto3.client("secretsmanager", region_name=REGION, endpoint_url=moto_url, **KEYS)
    client.create_secret(Name="plain", SecretString="1.10")
    client.create_secret(Name="quoted", SecretString='"canary-quoted"\n')
    client.create_secret(Name="binary", SecretBinary=b"\xff\x00canary-binary")
    client.create_secret(Name="app", SecretString=json.dumps({"DB_PASSWORD": "canary-db", "port": 5432}))
    first = client.create_secret(Name="rotated", SecretString="canary-first")
    client.put_secret_value(SecretId="rotated", SecretString="canary-second")
    client.create_secret(Name="doomed", SecretString="canary-doomed")
    client.delete_secret(SecretId="doomed", RecoveryWindowInDays=7)
    for number in range(130):
        client.create_secret(Name=f"many-{number:03d}", SecretString=f"canary-many-{number:03d}")
    return {"client": client, "first_version": first["VersionId"]}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No configuration and no metadata service of the machine that runs the tests, and all its patience."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(backend, "LISTING_SECONDS", 30.0)


@pytest.fixture
def key_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["aws_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["aws_secret_access_key"])


def resolver(endpoint: str, **settings: Any) -> Resolver:
    table = {
        "backend": "aws_secrets_manager",
        "region": REGION,
        "endpoint": endpoint,
        "timeout": 60,
        **settings,
    }
    return from_settings(table, detection=NOWHERE)


@pytest.mark.usefixtures("key_in_environment", "store")
class TestReading:
    def test_text_is_kept_exactly(self, moto_url: str) -> None:
        found = resolver(moto_url)

        assert found.get("plain").reveal() == "1.10"
        assert found.get("quoted").reveal() == '"canary-quoted"\n'

    def test_binary_is_kept_exactly(self, moto_url: str) -> None:
        assert resolver(moto_url).get("binary").reveal_bytes() == b"\xff\x00canary-binary"

    def test_members_of_the_named_secret_are_the_plain_names(self, moto_url: str) -> None:
        found = resolver(moto_url, name="app")

        assert found.get("DB_PASSWORD").reveal() == "canary-db"
        assert found.get("port").reveal() == "5432"
        assert found.get("aws:plain").reveal() == "1.10"

    def test_stages_and_versions(self, moto_url: str, store: Any) -> None:
        found = resolver(moto_url)

        assert found.get("aws:rotated").reveal() == "canary-second"
        assert found.get("aws:rotated?stage=AWSPREVIOUS").reveal() == "canary-first"
        assert found.get(f"aws:rotated?version={store['first_version']}").reveal() == "canary-first"
        described = found.describe("rotated")
        assert described.version
        assert described.updated_at
        assert abs(described.updated_at - time.time()) < 3600

    def test_an_arn_brings_its_own_region(self, moto_url: str, store: Any) -> None:
        arn = store["client"].describe_secret(SecretId="plain")["ARN"]

        assert resolver(moto_url, region="us-east-2").get(f"aws:{arn}").reveal() == "1.10"

    def test_many_come_in_batches_and_each_failure_is_its_own(self, moto_url: str) -> None:
        names = [f"many-{number:03d}" for number in range(45)]
        found = resolver(moto_url).get_many([*names, "absent", "rotated?stage=AWSPREVIOUS", "doomed"])

        values = [secret.reveal() for secret in found[:45] if isinstance(secret, Secret)]
        assert values == [f"canary-{name}" for name in names]
        assert isinstance(found[45], SecretMissing)
        assert isinstance(found[46], Secret)
        assert found[46].reveal() == "canary-first"
        assert isinstance(found[47], OatieError)

    def test_a_missing_secret_names_store_region_identity_and_the_nearest_name(self, moto_url: str) -> None:
        with pytest.raises(SecretMissing) as caught:
            # Its neighbour is on the second page of the list.
            resolver(moto_url).get("many-1299")
        error = caught.value
        assert "many-1299" in error.what
        assert REGION in error.what
        assert "did you mean `many-129`?" in error.why
        assert "AWS key …MPLE from env" in error.why
        assert "create-secret" in error.fix

    def test_a_secret_marked_for_deletion_can_be_restored(self, moto_url: str) -> None:
        with pytest.raises(SecretMissing) as caught:
            resolver(moto_url).get("doomed")
        assert "restore-secret" in caught.value.fix

    def test_a_missing_version_is_explained(self, moto_url: str) -> None:
        with pytest.raises(SecretMissing):
            resolver(moto_url).get("aws:rotated?stage=AWSPENDING")

    def test_a_name_that_cannot_be_one_is_explained(self, moto_url: str) -> None:
        with pytest.raises(OatieError) as caught:
            resolver(moto_url).get("aws:" + "x" * 3000)
        assert not isinstance(caught.value, SecretsUnreachable)

    def test_the_region_comes_from_the_variable_that_boto_ignores(
        self, moto_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_REGION", REGION)

        assert resolver(moto_url, region=None).get("plain").reveal() == "1.10"

    def test_without_a_region_nothing_is_asked(self, moto_url: str) -> None:
        with pytest.raises(ReferenceInvalid, match="region"):
            resolver(moto_url, region=None).get("plain")

    def test_debug_logging_shows_no_value(self, moto_url: str, caplog: pytest.LogCaptureFixture) -> None:
        root = logging.getLogger()
        handlers = list(root.handlers)
        boto3.set_stream_logger("", logging.DEBUG)
        try:
            with caplog.at_level(logging.DEBUG):
                resolver(moto_url).get("quoted")
        finally:
            root.handlers = handlers
        assert "canary-quoted" not in caplog.text


class TestCredentials:
    """The chain itself, on real endpoints."""

    def test_a_container_role(self, moto_url: str, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def answer(request: Request) -> Answer:
            assert request.headers["authorization"] == "task-token"
            return as_json(_role("ASIACONTAINERROLE777"))

        with http_server(answer) as server:
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/v2/credentials/x")
            monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "task-token")
            found = resolver(moto_url)
            assert found.get("plain").reveal() == "1.10"
            with pytest.raises(SecretMissing) as caught:
                found.get("absent")
        assert "AWS key …E777 from container-role" in caught.value.why

    def test_an_instance_role_by_imds_version_2(
        self, moto_url: str, store: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        base = "/latest/meta-data/iam/security-credentials/"

        def answer(request: Request) -> Answer:
            if (request.method, request.path) == ("PUT", "/latest/api/token"):
                return 200, {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, b"session"
            assert request.headers["x-aws-ec2-metadata-token"] == "session"
            if request.path == base:
                return 200, {}, b"web-role"
            return as_json({"Code": "Success", **_role("ASIAINSTANCEROLE8888")})

        with http_server(answer) as server:
            monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
            monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"{server.url}/")
            found = resolver(moto_url)
            assert found.get("plain").reveal() == "1.10"
            with pytest.raises(SecretMissing) as caught:
                found.get("absent")
        assert "from iam-role" in caught.value.why

    def test_none_at_all(self, moto_url: str) -> None:
        with pytest.raises(NoCredentials) as caught:
            resolver(moto_url).get("plain")
        assert "plain" in caught.value.what
        assert "aws sso login" in caught.value.fix

    def test_a_profile_that_does_not_exist(self, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "no-such-profile")

        with pytest.raises(NoCredentials):
            resolver(moto_url).get("plain")

    def test_an_endpoint_that_never_answers_costs_the_deadline(
        self, moto_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with http_server(lambda request: None) as server:
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/x")
            found = resolver(moto_url, timeout=0.5)
            found.get("env:PATH")
            started = time.monotonic()
            with pytest.raises(NoCredentials):
                found.get("plain")
            took = time.monotonic() - started
        assert took < DEADLINE_HELD_SECONDS


def _role(key_id: str) -> dict[str, str]:
    return {
        "AccessKeyId": key_id,
        "SecretAccessKey": "y" * 40,
        "Token": "session-token",
        "Expiration": "2099-01-01T00:00:00Z",
    }


def _failing(code: str, message: str = "no", status: int = 400) -> Any:
    return lambda request: as_json({"__type": code, "message": message}, status)


@pytest.mark.usefixtures("key_in_environment")
class TestFaults:
    @pytest.mark.parametrize(
        ("code", "error"),
        [
            ("AccessDeniedException", SecretDenied),
            ("DecryptionFailure", SecretDenied),
            ("ResourceNotFoundException", SecretMissing),
            ("InvalidParameterException", SecretMalformed),
            ("UnrecognizedClientException", NoCredentials),
            ("ExpiredTokenException", NoCredentials),
            ("InternalServiceError", SecretsUnreachable),
        ],
    )
    def test_each_refusal_has_its_own_error(self, code: str, error: type[OatieError]) -> None:
        with http_server(_failing(code, "said the service")) as server, pytest.raises(error) as caught:
            resolver(server.url).get("prod/db")
        assert (
            "prod/db" in caught.value.what + caught.value.why + caught.value.fix or error is not SecretMissing
        )
        assert code in caught.value.why
        assert "AWS key …MPLE" in caught.value.why
        assert caught.value.fix

    def test_a_missing_permission_on_the_key_is_told_from_one_on_the_secret(self) -> None:
        refusal = _failing("AccessDeniedException", "Access to KMS is not allowed")
        with http_server(refusal) as server, pytest.raises(SecretDenied) as caught:
            resolver(server.url).get("db")
        assert "kms:Decrypt" in caught.value.fix

    def test_throttling_is_retried_a_bounded_number_of_times(self) -> None:
        with http_server(_failing("ThrottlingException")) as server:
            with pytest.raises(SecretThrottled):
                resolver(server.url).get("db")
            assert len(server.requests) == 3

    def test_a_store_that_recovers_is_read(self) -> None:
        answers = [as_json({"__type": "ThrottlingException"}, 400), as_json({"SecretString": "canary"})]
        with http_server(lambda request: answers.pop(0)) as server:
            assert resolver(server.url).get("db").reveal() == "canary"

    def test_a_dead_address_is_unreachable(self) -> None:
        with http_server(_failing("x")) as server:
            pass
        with pytest.raises(SecretsUnreachable) as caught:
            resolver(server.url).get("db")
        assert "endpoint" in caught.value.fix or "network" in caught.value.fix

    def test_a_store_that_never_answers_costs_the_deadline(self) -> None:
        answers: list[Answer | None] = [as_json({"SecretString": "canary"}), None]
        with http_server(lambda request: answers.pop(0) if len(answers) > 1 else None) as server:
            found = warmed(resolver(server.url), "other", 0.7)
            started = time.monotonic()
            with pytest.raises(SecretsUnreachable) as caught:
                found.get("db")
            took = time.monotonic() - started
        assert "0.7 s" in caught.value.what
        assert took < DEADLINE_HELD_SECONDS

    @pytest.mark.parametrize("body", [b"canary-no-json", b'{"canary": ', b"[]", b'{"Name": "db"}'])
    def test_an_answer_that_is_none_is_explained_without_its_content(self, body: bytes) -> None:
        with http_server(lambda request: (200, {}, body)) as server, pytest.raises(OatieError) as caught:
            resolver(server.url).get("db")
        assert isinstance(caught.value, SecretMalformed)
        assert "canary" not in str(caught.value.as_dict())
        assert caught.value.__context__ is None

    def test_where_batches_are_not_allowed_secrets_come_one_by_one(self) -> None:
        def answer(request: Request) -> Answer:
            if request.headers["x-amz-target"].endswith("BatchGetSecretValue"):
                return as_json({"__type": "AccessDeniedException"}, 400)
            name = json.loads(request.body)["SecretId"]
            return as_json({"Name": name, "SecretString": f"value of {name}"})

        with http_server(answer) as server:
            found = resolver(server.url).get_many(["a", "b"])
        assert [secret.reveal() for secret in found if isinstance(secret, Secret)] == [
            "value of a",
            "value of b",
        ]

    def test_a_batch_of_several_pages_is_read_whole(self) -> None:
        def answer(request: Request) -> Answer:
            asked = json.loads(request.body)
            name = "b" if asked.get("NextToken") else "a"
            more = {} if asked.get("NextToken") else {"NextToken": "more"}
            return as_json({"SecretValues": [{"Name": name, "SecretString": name * 8}], **more})

        with http_server(answer) as server:
            found = resolver(server.url).get_many(["a", "b"])
        assert [secret.reveal() for secret in found if isinstance(secret, Secret)] == ["a" * 8, "b" * 8]


def test_a_failure_to_import_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(OatieError) as caught:
        resolver("http://127.0.0.1:1").get("db")
    assert caught.value.exit_code == 5
    assert "oatie-ops[aws]" in caught.value.fix
