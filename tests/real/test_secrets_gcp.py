"""Google Secret Manager: its own gRPC service over TLS, with tokens of a metadata service, on loopback."""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from google.cloud import secretmanager_v1 as sm

from oatie_ops.environment import Detection, EnvironmentDetector
from oatie_ops.errors import OatieError
from oatie_ops.secrets import Secret, backend
from oatie_ops.secrets.choice import from_settings
from oatie_ops.secrets.crc32c import crc32c
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
from tests.real.secret_servers import (
    DEADLINE_HELD_SECONDS,
    Answer,
    HttpServer,
    Request,
    as_json,
    http_server,
    warmed,
)

NOWHERE: Detection = EnvironmentDetector(environ={}, read=lambda path: None, system="linux").detect()
EMAIL = "web@proj.iam.gserviceaccount.com"
SERVICE = "/google.cloud.secretmanager.v1.SecretManagerService/"
PREFIX = "projects/proj/secrets/"

Reply = Callable[[Any, grpc.ServicerContext], Any]


class Service(grpc.GenericRpcHandler):
    """`reply[name](request, context)`; by default what `values` hold, and their names in pages of two."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.reply: dict[str, Reply] = {}
        self.seen: list[dict[str, str]] = []
        self.asked: list[str] = []
        self.stop = threading.Event()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        methods: dict[str, tuple[Any, Any, Reply]] = {
            "AccessSecretVersion": (
                sm.AccessSecretVersionRequest,
                sm.AccessSecretVersionResponse,
                self.access,
            ),
            "ListSecrets": (sm.ListSecretsRequest, sm.ListSecretsResponse, self.list),
        }
        found = methods.get(details.method.removeprefix(SERVICE))
        if found is None:
            return None
        request, response, call = found
        return grpc.unary_unary_rpc_method_handler(
            call, request_deserializer=request.deserialize, response_serializer=response.serialize
        )

    def access(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.seen.append({key: str(value) for key, value in context.invocation_metadata()})
        self.asked.append(request.name)
        name = request.name.split("/")[3]
        if name in self.reply:
            return self.reply[name](request, context)
        version = request.name.rpartition("/")[2]
        path = f"{name}@{version}" if f"{name}@{version}" in self.values else name
        if path not in self.values:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Secret [{request.name}] not found or has no versions.")
        number = "7" if version == "latest" else version
        return answer(f"{PREFIX}{name}/versions/{number}", self.values[path])

    def list(self, request: Any, context: grpc.ServicerContext) -> Any:
        names = sorted(name for name in self.values if "@" not in name)
        start = int(request.page_token or 0)
        more = str(start + 2) if start + 2 < len(names) else ""
        secrets = [sm.Secret(name=f"{PREFIX}{name}") for name in names[start : start + 2]]
        return sm.ListSecretsResponse(secrets=secrets, next_page_token=more)


def answer(name: str, data: bytes, crc: int | None = None) -> Any:
    payload = sm.SecretPayload(data=data, data_crc32c=crc32c(data) if crc is None else crc)
    return sm.AccessSecretVersionResponse(name=name, payload=payload)


def metadata(request: Request) -> Answer:
    """The paths of the metadata service that google-auth asks for."""
    if request.path.endswith("/token"):
        document: Any = {"access_token": "ya29.canary-token", "expires_in": 3600, "token_type": "Bearer"}
    elif "/service-accounts/" in request.path:
        scope = "https://www.googleapis.com/auth/cloud-platform"
        document = {"email": EMAIL, "scopes": [scope], "aliases": ["default"]}
    else:
        known = {"/": b"computeMetadata/", "/computeMetadata/v1/project/project-id": b"proj"}
        text = known.get(request.path)
        headers = {"Metadata-Flavor": "Google", "Content-Type": "application/text"}
        return (404, headers, b"") if text is None else (200, headers, text)
    return as_json(document, Metadata_Flavor="Google")


@pytest.fixture(scope="module")
def metadata_server() -> Iterator[HttpServer]:
    """google-auth reads the address when it is imported, so it is imported again."""
    import google.auth.compute_engine._metadata as module

    with http_server(metadata) as server, pytest.MonkeyPatch.context() as patch:
        address = server.url.removeprefix("http://")
        for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT"):
            patch.setenv(name, address)
        importlib.reload(module)
        yield server
    importlib.reload(module)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[trustme.CA]:
    """gRPC reads the roots once in the life of the process."""
    ca = trustme.CA()
    roots = tmp_path_factory.mktemp("gcp") / "ca.pem"
    ca.cert_pem.write_to_path(str(roots))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(roots))
        yield ca


@pytest.fixture
def grpc_server(authority: trustme.CA) -> Iterator[tuple[Service, str]]:
    service = Service()
    certificate = authority.issue_cert("localhost")
    server = grpc.server(ThreadPoolExecutor(4), handlers=(service,))
    credentials = grpc.ssl_server_credentials(
        [(certificate.private_key_pem.bytes(), b"".join(pem.bytes() for pem in certificate.cert_chain_pems))]
    )
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    yield service, f"localhost:{port}"
    service.stop.set()
    server.stop(None).wait(10)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_CLOUD_PROJECT",
        "GCLOUD_PROJECT",
        "GOOGLE_API_USE_CLIENT_CERTIFICATE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(backend, "LISTING_SECONDS", 30.0)


def resolver(address: str, **settings: Any) -> Resolver:
    table = {
        "backend": "gcp_secret_manager",
        "project": "proj",
        "endpoint": address,
        "timeout": 60,
        **settings,
    }
    return from_settings(table, detection=NOWHERE)


@pytest.mark.usefixtures("metadata_server")
class TestReading:
    def test_values_are_kept_exactly_and_asked_for_with_the_machine_s_own_identity(
        self, grpc_server: tuple[Service, str]
    ) -> None:
        service, address = grpc_server
        service.values = {"plain": b"1.10", "binary": b"\xff\x00canary", "quoted": b'"x"\n', "empty": b""}
        found = resolver(address)

        assert found.get("plain").reveal() == "1.10"
        assert found.get("binary").reveal_bytes() == b"\xff\x00canary"
        assert found.get("quoted").reveal() == '"x"\n'
        assert found.get("empty").reveal() == ""
        assert service.seen[0]["authorization"] == "Bearer ya29.canary-token"
        assert service.asked[0] == f"{PREFIX}plain/versions/latest"
        assert found.describe("plain").version == "7"

    def test_versions_and_projects(self, grpc_server: tuple[Service, str]) -> None:
        service, address = grpc_server
        service.values = {"db": b"canary-new", "db@5": b"canary-old"}
        found = resolver(address)

        assert found.get("gcp:db@5").reveal() == "canary-old"
        found.get("gcp:other/db")
        found.get("gcp:projects/third/secrets/db")
        found.get("gcp:projects/third/secrets/db/versions/5")
        assert service.asked[1:] == [
            "projects/other/secrets/db/versions/latest",
            "projects/third/secrets/db/versions/latest",
            "projects/third/secrets/db/versions/5",
        ]

    def test_members_of_the_named_secret(self, grpc_server: tuple[Service, str]) -> None:
        service, address = grpc_server
        service.values = {"app": b'{"DB": "canary-db"}'}

        assert resolver(address, name="app").get("DB").reveal() == "canary-db"

    def test_a_damaged_payload_is_asked_for_again(self, grpc_server: tuple[Service, str]) -> None:
        service, address = grpc_server
        replies = [answer("x", b"canary-damaged", crc=1), answer("x", b"canary-whole")]
        service.reply["db"] = lambda request, context: replies.pop(0)

        assert resolver(address).get("db").reveal() == "canary-whole"

    def test_a_payload_that_stays_damaged_is_refused(self, grpc_server: tuple[Service, str]) -> None:
        service, address = grpc_server
        service.reply["db"] = lambda request, context: answer("x", b"canary-damaged", crc=1)

        with pytest.raises(SecretMalformed, match="damaged") as caught:
            resolver(address).get("db")
        assert "canary" not in str(caught.value.as_dict())

    def test_a_payload_without_a_checksum_is_taken(self, grpc_server: tuple[Service, str]) -> None:
        service, address = grpc_server
        service.reply["db"] = lambda request, context: answer("x", b"canary-plain", crc=0)

        assert resolver(address).get("db").reveal() == "canary-plain"

    def test_a_missing_secret_names_project_identity_and_the_nearest_name(
        self, grpc_server: tuple[Service, str]
    ) -> None:
        service, address = grpc_server
        service.values = {f"{letter}-password": b"x" for letter in "abcdefg"}

        with pytest.raises(SecretMissing) as caught:
            resolver(address).get("f-pasword")
        assert "project proj" in caught.value.what
        assert "did you mean `f-password`?" in caught.value.why
        assert EMAIL in caught.value.why
        assert "gcloud secrets create" in caught.value.fix

    def test_many_are_read_and_each_failure_is_its_own(self, grpc_server: tuple[Service, str]) -> None:
        service, address = grpc_server
        service.values = {"a": b"canary-a", "b": b"canary-b"}
        found = resolver(address).get_many(["a", "absent", "b"])

        assert [type(result) for result in found] == [Secret, SecretMissing, Secret]


Fault = tuple[grpc.StatusCode, type[OatieError]]


@pytest.mark.usefixtures("metadata_server")
class TestFaults:
    @pytest.mark.parametrize(
        "fault",
        [
            (grpc.StatusCode.PERMISSION_DENIED, SecretDenied),
            (grpc.StatusCode.UNAUTHENTICATED, NoCredentials),
            (grpc.StatusCode.FAILED_PRECONDITION, SecretMissing),
            (grpc.StatusCode.INVALID_ARGUMENT, SecretMalformed),
            (grpc.StatusCode.INTERNAL, SecretsUnreachable),
            (grpc.StatusCode.DATA_LOSS, SecretMalformed),
        ],
        ids=lambda fault: fault[0].name,
    )
    def test_each_refusal_has_its_own_error(self, grpc_server: tuple[Service, str], fault: Fault) -> None:
        service, address = grpc_server
        status, error = fault
        service.reply["db"] = lambda request, context: context.abort(status, "said the service")

        with pytest.raises(error) as caught:
            resolver(address).get("db")
        assert "said the service" in caught.value.why
        assert EMAIL in caught.value.why
        assert caught.value.fix

    def test_a_disabled_version_says_how_to_go_on(self, grpc_server: tuple[Service, str]) -> None:
        service, address = grpc_server
        service.reply["db"] = lambda request, context: context.abort(
            grpc.StatusCode.FAILED_PRECONDITION, "Secret Version [x] is in DISABLED state."
        )

        with pytest.raises(SecretMissing) as caught:
            resolver(address).get("db")
        assert "DISABLED" in caught.value.why
        assert "gcp:db@VERSION" in caught.value.fix

    def test_throttling_is_retried_until_it_ends(self, grpc_server: tuple[Service, str]) -> None:
        service, address = grpc_server
        left = [2]

        def reply(request: Any, context: grpc.ServicerContext) -> Any:
            if left[0]:
                left[0] -= 1
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "quota")
            return answer("x", b"canary-patience")

        service.reply["db"] = reply
        assert resolver(address).get("db").reveal() == "canary-patience"

    def test_throttling_that_does_not_end_costs_the_deadline(self, grpc_server: tuple[Service, str]) -> None:
        service, address = grpc_server
        service.values = {"other": b"x"}
        service.reply["db"] = lambda request, context: context.abort(
            grpc.StatusCode.RESOURCE_EXHAUSTED, "quota"
        )
        found = warmed(resolver(address), "other", 1.0)

        started = time.monotonic()
        with pytest.raises(SecretThrottled):
            found.get("db")
        assert time.monotonic() - started < DEADLINE_HELD_SECONDS

    def test_a_service_that_never_answers_costs_the_deadline(self, grpc_server: tuple[Service, str]) -> None:
        service, address = grpc_server
        service.values = {"other": b"x"}
        service.reply["db"] = lambda request, context: service.stop.wait(60)
        found = warmed(resolver(address), "other", 0.7)

        started = time.monotonic()
        with pytest.raises(SecretsUnreachable):
            found.get("db")
        # The client alone would wait for a minute.
        assert time.monotonic() - started < DEADLINE_HELD_SECONDS

    def test_a_dead_address_costs_the_deadline(self) -> None:
        started = time.monotonic()
        with pytest.raises(SecretsUnreachable):
            resolver("localhost:1", timeout=2.0).get("db")
        assert time.monotonic() - started < DEADLINE_HELD_SECONDS

    def test_a_certificate_of_a_stranger_is_refused(self) -> None:
        service = Service()
        service.values = {"db": b"canary-stranger"}
        certificate = trustme.CA().issue_cert("localhost")
        server = grpc.server(ThreadPoolExecutor(1), handlers=(service,))
        credentials = grpc.ssl_server_credentials(
            [(certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())]
        )
        port = server.add_secure_port("localhost:0", credentials)
        server.start()
        try:
            with pytest.raises(SecretsUnreachable):
                resolver(f"localhost:{port}", timeout=2.0).get("db")
        finally:
            server.stop(None).wait(10)
        assert service.asked == []


def test_no_credentials_at_all(
    grpc_server: tuple[Service, str], metadata_server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.auth.compute_engine import _metadata

    # What $NO_GCE_CHECK sets, which is read at the import.
    monkeypatch.setattr(_metadata, "_NO_GCE_CHECK", True)
    _, address = grpc_server

    with pytest.raises(NoCredentials) as caught:
        resolver(address).get("db")
    assert "gcloud auth application-default login" in caught.value.fix


def test_a_broken_key_file(
    grpc_server: tuple[Service, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key.json"
    file.write_text('{"type": "service_account", "private_key": "canary-broken-key"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    _, address = grpc_server

    with pytest.raises(OatieError) as caught:
        resolver(address).get("db")
    assert isinstance(caught.value, NoCredentials)
    assert "canary" not in str(caught.value.as_dict())


@pytest.mark.parametrize("name", ["db", "a/b/c", "gcp:db?stage=AWSPREVIOUS"])
def test_names_that_cannot_be_found_are_refused_before_anything_is_asked(name: str) -> None:
    with pytest.raises(ReferenceInvalid):
        resolver("localhost:1", project=None).get(name)


def test_the_import_leaves_no_debug_logger_open() -> None:
    import logging

    os.environ["GOOGLE_SDK_PYTHON_LOGGING_SCOPE"] = "google"
    try:
        from oatie_ops.secrets.gcp import GcpBackend

        logging.getLogger("google.cloud.secretmanager_v1").setLevel(logging.DEBUG)
        GcpBackend(project="p").prepare()
        assert not logging.getLogger("google.cloud.secretmanager_v1").isEnabledFor(logging.DEBUG)
    finally:
        del os.environ["GOOGLE_SDK_PYTHON_LOGGING_SCOPE"]
