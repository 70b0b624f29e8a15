"""`--probe` against real servers on loopback that speak the clouds' metadata protocols, rightly or not."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from oatie_ops.environment import EnvironmentDetector
from oatie_ops.environment.endpoints import Endpoints, ProbeResult
from oatie_ops.environment.probe import probe_metadata

# Generous: these tests ask for right answers, not for speed; the budget itself is tested below.
PATIENT_SECONDS = 60.0


class Metadata(BaseHTTPRequestHandler):
    """Answers by `(method, path)`; a handler of `None` never answers."""

    routes: ClassVar[dict[tuple[str, str], tuple[int, dict[str, str], str] | None]]
    needs: ClassVar[dict[str, str]]
    seen: ClassVar[list[tuple[str, str, dict[str, str]]]]
    release: ClassVar[threading.Event]

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen.append((self.command, self.path, headers))
        reply = self.routes.get((self.command, self.path), (404, {}, "no such page"))
        if reply is None:
            self.release.wait(30)
            return
        if any(headers.get(name) != value for name, value in self.needs.items()):
            reply = (401, {}, "unauthorized")
        status, extra, body = reply
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_PUT = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@contextmanager
def server(
    routes: dict[tuple[str, str], tuple[int, dict[str, str], str] | None], needs: dict[str, str] | None = None
) -> Iterator[tuple[str, list[tuple[str, str, dict[str, str]]]]]:
    seen: list[tuple[str, str, dict[str, str]]] = []
    attributes = {"routes": routes, "needs": needs or {}, "seen": seen, "release": threading.Event()}
    handler = type("Handler", (Metadata,), attributes)
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{http.server_address[1]}", seen
    finally:
        attributes["release"].set()  # type: ignore[attr-defined]
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture
def refused() -> Iterator[str]:
    """An address where nothing listens and nothing can start to listen."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{reserved.getsockname()[1]}"


TOKEN_PATH = "/latest/api/token"
DOCUMENT_PATH = "/latest/dynamic/instance-identity/document"
AWS_DOCUMENT = {
    "region": "eu-west-1",
    "availabilityZone": "eu-west-1b",
    "instanceId": "i-0abc",
    "instanceType": "t3.micro",
    "accountId": "123456789012",
}
AWS = {
    ("PUT", TOKEN_PATH): (200, {}, "AQAEAtoken"),
    ("GET", DOCUMENT_PATH): (200, {}, json.dumps(AWS_DOCUMENT)),
}
GCP_PATH = "/computeMetadata/v1/instance/?recursive=true&alt=json"
GCP_INSTANCE = {
    "id": 42,
    "name": "vm",
    "zone": "projects/99/zones/europe-west1-b",
    "attributes": {"cluster-name": "c"},
}
GCP = {("GET", GCP_PATH): (200, {"Metadata-Flavor": "Google"}, json.dumps(GCP_INSTANCE))}
AZURE_PATH = "/metadata/instance/compute?api-version=2021-02-01"
AZURE_COMPUTE = {
    "vmId": "u-u-i-d",
    "azEnvironment": "AzurePublicCloud",
    "location": "westeurope",
    "vmSize": "B2s",
    "name": "vm",
    "resourceGroupName": "rg",
    "zone": "",
}
AZURE = {("GET", AZURE_PATH): (200, {}, json.dumps(AZURE_COMPUTE))}


def ask(provider: str, address: str, refused: str, budget_seconds: float = PATIENT_SECONDS) -> ProbeResult:
    addresses = {"aws": refused, "gcp": refused, "azure": refused} | {provider: address}
    results = probe_metadata(Endpoints(**addresses, budget_seconds=budget_seconds))
    assert [result.provider for result in results] == ["aws", "gcp", "azure"]
    assert all(not result.verified for result in results if result.provider != provider)
    return next(result for result in results if result.provider == provider)


def test_aws_is_asked_with_a_session_token_and_identified_by_its_document(refused: str) -> None:
    with server(AWS) as (address, seen):
        result = ask("aws", address, refused)

    assert result.verified
    assert dict(result.identity) == {
        "region": "eu-west-1",
        "zone": "eu-west-1b",
        "instance_id": "i-0abc",
        "instance_type": "t3.micro",
    }
    assert seen[0][2]["x-aws-ec2-metadata-token-ttl-seconds"] == "60"
    assert seen[1][2]["x-aws-ec2-metadata-token"] == "AQAEAtoken"


def test_google_is_asked_with_its_header_and_must_send_it_back(refused: str) -> None:
    with server(GCP, {"metadata-flavor": "Google"}) as (address, _):
        result = ask("gcp", address, refused)

    assert result.verified
    assert dict(result.identity) == {
        "instance_id": "42",
        "name": "vm",
        "zone": "europe-west1-b",
        "project": "99",
        "cluster": "c",
    }


def test_azure_is_asked_with_its_header(refused: str) -> None:
    with server(AZURE, {"metadata": "true"}) as (address, _):
        result = ask("azure", address, refused)

    assert result.verified
    assert result.identity["region"] == "westeurope"
    assert "zone" not in result.identity


JSON = {"Content-Type": "application/json"}
IMPOSTORS = [
    ("aws", {("PUT", TOKEN_PATH): (200, {}, "<html>sign in</html>")}),
    ("aws", {("PUT", TOKEN_PATH): (200, {}, "t"), ("GET", DOCUMENT_PATH): (200, JSON, "{}")}),
    ("aws", {("PUT", TOKEN_PATH): (200, {}, "t"), ("GET", DOCUMENT_PATH): (200, {}, "<html>")}),
    ("aws", {("PUT", TOKEN_PATH): (403, {}, "")}),
    ("gcp", {("GET", GCP_PATH): (200, {}, json.dumps(GCP_INSTANCE))}),
    ("gcp", {("GET", GCP_PATH): (200, {"Metadata-Flavor": "Google"}, "[]")}),
    ("gcp", {("GET", GCP_PATH): (302, {"Location": "http://127.0.0.1/"}, "")}),
    ("azure", {("GET", AZURE_PATH): (200, {}, json.dumps({"vmId": "x"}))}),
    ("azure", {("GET", AZURE_PATH): (403, {}, "proxied")}),
    ("azure", {("GET", AZURE_PATH): (200, {}, '"text"')}),
]


@pytest.mark.parametrize(("provider", "routes"), IMPOSTORS)
def test_what_answers_without_identifying_itself_is_not_believed(
    provider: str, routes: dict[tuple[str, str], Any], refused: str
) -> None:
    with server(routes) as (address, _):
        result = ask(provider, address, refused)

    assert not result.verified
    assert "answered" in result.outcome
    assert result.identity == {}


def test_a_server_that_speaks_no_http_is_not_believed(refused: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        result = ask("gcp", f"127.0.0.1:{listener.getsockname()[1]}", refused)
        thread.join()

    assert not result.verified
    assert "unreachable" in result.outcome


def test_refused_connections_are_told(refused: str) -> None:
    assert ask("aws", refused, refused).outcome == "refused"


def test_servers_that_never_answer_cost_one_shared_budget() -> None:
    routes: dict[tuple[str, str], Any] = {
        ("PUT", TOKEN_PATH): None,
        ("GET", GCP_PATH): None,
        ("GET", AZURE_PATH): None,
    }
    with server(routes) as (address, _):
        started = time.monotonic()
        results = probe_metadata(Endpoints(address, address, address, budget_seconds=1.0))
        took = time.monotonic() - started

    assert {result.outcome for result in results} == {"no answer in time"}
    # Three budgets in a row would take 3 s; the rest is for a machine with other work.
    assert took < 3.0


def test_one_hanging_service_does_not_hide_another() -> None:
    with ExitStack() as stack:
        hanging, _ = stack.enter_context(server({("PUT", TOKEN_PATH): None}))
        azure, _ = stack.enter_context(server(AZURE))
        results = probe_metadata(Endpoints(hanging, hanging, azure, budget_seconds=2.5))

    assert [result.verified for result in results] == [False, False, True]


def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{refused}")
    with server(AZURE) as (address, _):
        assert ask("azure", address, refused).verified


def _detect(environ: dict[str, str], files: dict[str, str], endpoints: Endpoints) -> Any:
    detector = EnvironmentDetector(
        environ=environ, read=files.get, system="linux", probe=True, endpoints=endpoints
    )
    return detector.explain()


def test_a_verified_answer_proves_the_provider(refused: str) -> None:
    with server(AWS) as (address, _):
        explanation = _detect({}, {}, Endpoints(address, refused, refused, PATIENT_SECONDS))

    found = explanation.detection
    assert (found.provider, found.platform, found.confidence) == ("aws", "aws-ec2", "high")
    assert found.identity["region"] == "eu-west-1"
    assert found.environment == "cloud"
    assert [result.verified for result in explanation.probes] == [True, False, False]


def test_in_a_container_a_verified_answer_names_the_provider_only(refused: str) -> None:
    with server(AZURE) as (address, _):
        endpoints = Endpoints(refused, refused, address, PATIENT_SECONDS)
        found = _detect({}, {"/.dockerenv": ""}, endpoints).detection

    assert (found.provider, found.platform) == ("azure", "docker")


def test_a_cluster_name_of_google_tells_gke_from_another_kubernetes(refused: str) -> None:
    with server(GCP) as (address, _):
        endpoints = Endpoints(refused, address, refused, PATIENT_SECONDS)
        found = _detect({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {}, endpoints).detection

    assert (found.platform, found.identity["cluster"]) == ("gcp-gke", "c")


def test_without_probe_nothing_is_sent() -> None:
    with server(AWS) as (address, seen):
        EnvironmentDetector(environ={}, endpoints=Endpoints(address, address, address)).detect()

    assert seen == []
