"""Azure Key Vault: an HTTPS vault that challenges, verified, and tokens of a managed identity endpoint."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

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
from tests.real.secret_servers import (
    DEADLINE_HELD_SECONDS,
    Answer,
    HttpServer,
    Request,
    as_json,
    http_server,
    warmed,
)

HOST = "myvault.vault.test"


def _detected(**env: str) -> Detection:
    return EnvironmentDetector(environ=env, read=lambda path: None, system="linux").detect()


NOWHERE = _detected()
APP_SERVICE = _detected(WEBSITE_SITE_NAME="site")


class Vault:
    """Challenges what comes without a token, as the service does; `reply[name]` replaces an answer."""

    def __init__(self) -> None:
        self.url = ""
        self.values: dict[str, str] = {}
        self.reply: dict[str, Answer | None] = {}
        self.server: HttpServer | None = None

    def answer(self, request: Request) -> Answer | None:
        authority = self.url.removeprefix(f"https://{HOST}")
        if request.headers.get("authorization") != "Bearer canary-token":
            challenge = f'Bearer authorization="https://login.vault.test/tenant", resource="https://vault.test{authority}"'
            return 401, {"WWW-Authenticate": challenge}, b""
        _, kind, *rest = request.path.split("/")
        assert kind == "secrets"
        if not rest or not rest[0]:
            return self.names(request)
        name, version = rest[0], "".join(rest[1:])
        if name in self.reply:
            return self.reply[name]
        stored = f"{name}@{version}" if version else name
        if stored not in self.values:
            return error(404, "SecretNotFound", f"A secret with (name/id) {name} was not found")
        identifier = f"{self.url}/secrets/{name}/{version or 'c0ffee'}"
        attributes = {"enabled": True, "created": 1_700_000_000, "updated": 1_700_000_100}
        return as_json({"value": self.values[stored], "id": identifier, "attributes": attributes})

    def names(self, request: Request) -> Answer:
        names = sorted(name for name in self.values if "@" not in name)
        start = int(request.query.get("skip", 0))
        page = [
            {"id": f"{self.url}/secrets/{name}", "attributes": {"enabled": True}}
            for name in names[start : start + 2]
        ]
        more = f"{self.url}/secrets?skip={start + 2}&api-version=x" if start + 2 < len(names) else None
        return as_json({"value": page, "nextLink": more})


def error(status: int, code: str, message: str, inner: str = "", **headers: str) -> Answer:
    body: dict[str, Any] = {"code": code, "message": message}
    if inner:
        body["innererror"] = {"code": inner}
    return as_json({"error": body}, status, **headers)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def running(vault: Vault, ca: trustme.CA) -> Iterator[Vault]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(HOST).configure_cert(context)
    with http_server(vault.answer, context, HOST) as server:
        vault.url, vault.server = server.url, server
        yield vault


@pytest.fixture
def vault(authority: trustme.CA) -> Iterator[Vault]:
    with running(Vault(), authority) as found:
        yield found


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: trustme.CA) -> None:
    """Names under vault.test are this machine, its authority is trusted, and nothing else is configured."""
    for name in list(os.environ):
        if name.startswith(("AZURE_", "IDENTITY_", "MSI_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(backend, "LISTING_SECONDS", 30.0)
    original = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **named: Any) -> Any:
        return original("127.0.0.1" if str(host).endswith(".vault.test") else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    """App Service's managed identity endpoint."""

    def answer(request: Request) -> Answer:
        if request.headers.get("x-identity-header") != "header-secret":
            return as_json({"statusCode": 401}, 401)
        expires = str(int(time.time()) + 3600)
        return as_json({"access_token": "canary-token", "expires_on": expires, "token_type": "Bearer"})

    with http_server(answer) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header-secret")
        yield server


def resolver(url: str, detection: Detection = APP_SERVICE, **settings: Any) -> Resolver:
    table = {"backend": "azure_key_vault", "vault_url": url, "timeout": 60, **settings}
    return from_settings(table, detection=detection)


@pytest.mark.usefixtures("identity")
class TestReading:
    def test_a_value_is_kept_exactly_after_challenge_and_token(
        self, vault: Vault, identity: HttpServer
    ) -> None:
        vault.values = {"plain": "1.10", "quoted": '"x"\n', "empty": ""}
        found = resolver(vault.url)

        assert found.get("plain").reveal() == "1.10"
        assert found.get("quoted").reveal() == '"x"\n'
        assert found.get("empty").reveal() == ""
        # The resource of the token is the one the vault's challenge named.
        assert identity.requests[0].query["resource"].startswith("https://vault.test:")
        assert len(identity.requests) == 1
        described = found.describe("plain")
        assert (described.version, described.updated_at) == ("c0ffee", 1_700_000_100)

    def test_names_are_written_in_the_alphabet_of_the_vault(self, vault: Vault) -> None:
        vault.values = {"DB-PASSWORD": "canary-db"}

        assert resolver(vault.url).get("DB_PASSWORD").reveal() == "canary-db"

    def test_versions_and_members(self, vault: Vault) -> None:
        vault.values = {"db": '{"password": "canary-new"}', "db@abc123": '{"password": "canary-old"}'}
        found = resolver(vault.url)

        assert found.get("azure:db#password").reveal() == "canary-new"
        assert found.get("azure:db@abc123#password").reveal() == "canary-old"

    def test_a_missing_secret_names_vault_identity_and_the_nearest_name(self, vault: Vault) -> None:
        vault.values = {f"{letter}-password": "x" for letter in "abcdefg"}

        with pytest.raises(SecretMissing) as caught:
            resolver(vault.url).get("f-pasword")
        assert HOST in caught.value.what
        assert "did you mean `f-password`?" in caught.value.why
        assert "system-assigned managed identity" in caught.value.why
        assert "HTTP 404 SecretNotFound" in caught.value.why

    def test_many_are_read_and_each_failure_is_its_own(self, vault: Vault) -> None:
        vault.values = {"a": "canary-a", "b": "canary-b"}
        found = resolver(vault.url).get_many(["a", "absent", "b"])

        assert [type(result) for result in found] == [Secret, SecretMissing, Secret]

    def test_a_user_assigned_identity_is_asked_for_by_its_id(
        self, vault: Vault, identity: HttpServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_CLIENT_ID", "11111111-2222")
        vault.values = {"db": "canary-db"}

        assert resolver(vault.url).get("db").reveal() == "canary-db"
        assert identity.requests[0].query["client_id"] == "11111111-2222"


@pytest.mark.usefixtures("identity")
class TestFaults:
    @pytest.mark.parametrize(
        ("reply", "expected", "why"),
        [
            (error(403, "Forbidden", "no", "ForbiddenByRbac"), SecretDenied, "HTTP 403 ForbiddenByRbac"),
            (error(403, "Forbidden", "no", "ForbiddenByFirewall"), SecretDenied, "ForbiddenByFirewall"),
            (error(403, "Forbidden", "no", "SecretDisabled"), SecretMissing, "SecretDisabled"),
            (error(404, "SecretNotFound", "no"), SecretMissing, "HTTP 404"),
            (error(400, "BadParameter", "no"), SecretMalformed, "HTTP 400"),
            (error(500, "InternalServerError", "no"), SecretsUnreachable, "HTTP 500"),
            ((403, {}, b"<html>canary proxy page</html>"), SecretDenied, "HTTP 403"),
        ],
    )
    def test_each_refusal_has_its_own_error(
        self, vault: Vault, reply: Answer, expected: type[OatieError], why: str
    ) -> None:
        vault.reply["db"] = reply

        with pytest.raises(expected) as caught:
            resolver(vault.url).get("db")
        assert why in caught.value.why
        assert caught.value.fix
        assert "canary" not in str(caught.value.as_dict())
        assert caught.value.__context__ is None

    def test_throttling_is_retried_a_bounded_number_of_times(self, vault: Vault) -> None:
        vault.reply["db"] = error(429, "Throttled", "no", Retry_After="0")

        with pytest.raises(SecretThrottled):
            resolver(vault.url).get("db")
        assert vault.server is not None
        assert sum("/secrets/db" in request.path for request in vault.server.requests) <= 5

    def test_an_order_to_wait_longer_than_the_deadline_costs_the_deadline(self, vault: Vault) -> None:
        vault.values = {"other": "x"}
        vault.reply["db"] = error(429, "Throttled", "no", Retry_After="60")
        found = warmed(resolver(vault.url), "other", 0.7)

        started = time.monotonic()
        with pytest.raises(SecretsUnreachable):
            found.get("db")
        assert time.monotonic() - started < DEADLINE_HELD_SECONDS

    def test_a_vault_that_never_answers_costs_the_deadline(self, vault: Vault) -> None:
        vault.values = {"other": "x"}
        vault.reply["db"] = None
        found = warmed(resolver(vault.url), "other", 0.7)

        started = time.monotonic()
        with pytest.raises(SecretsUnreachable):
            found.get("db")
        assert time.monotonic() - started < DEADLINE_HELD_SECONDS

    def test_a_dead_address_is_unreachable(self) -> None:
        with pytest.raises(SecretsUnreachable):
            resolver(f"https://{HOST}:1/").get("db")

    @pytest.mark.parametrize("body", [b"canary-no-json", b'{"canary": ', b"[]", b"{}"])
    def test_an_answer_that_is_none_is_explained_without_its_content(self, vault: Vault, body: bytes) -> None:
        vault.reply["db"] = (200, {"Content-Type": "application/json"}, body)

        with pytest.raises(OatieError) as caught:
            resolver(vault.url).get("db")
        assert isinstance(caught.value, SecretMalformed)
        assert "canary" not in str(caught.value.as_dict())

    def test_a_certificate_of_a_stranger_is_refused(self) -> None:
        with running(Vault(), trustme.CA()) as stranger:
            stranger.values = {"db": "canary-stranger"}
            with pytest.raises(SecretsUnreachable):
                resolver(stranger.url).get("db")
            assert stranger.server is not None
            assert stranger.server.requests == []

    def test_a_challenge_for_another_resource_gets_no_token(
        self, authority: trustme.CA, identity: HttpServer
    ) -> None:
        class Evil(Vault):
            def answer(self, request: Request) -> Answer:
                return (
                    401,
                    {
                        "WWW-Authenticate": 'Bearer authorization="https://l.test/t", resource="https://e.test"'
                    },
                    b"",
                )

        with running(Evil(), authority) as evil, pytest.raises(OatieError):
            resolver(evil.url).get("db")
        assert identity.requests == []


def test_an_address_without_tls_is_refused_before_a_byte_is_sent(identity: HttpServer) -> None:
    with http_server(lambda request: as_json({})) as server, pytest.raises(ReferenceInvalid, match="wrong"):
        resolver(server.url).get("db")
    assert server.requests == []


@pytest.mark.parametrize("name", ["azure:a b", "azure:a/b", "azure:" + "x" * 128, "azure:db?stage=S"])
def test_names_that_no_vault_can_hold_are_refused(name: str) -> None:
    with pytest.raises(ReferenceInvalid):
        resolver("https://v.vault.azure.net/").get(name)


def test_no_address_is_explained() -> None:
    with pytest.raises(ReferenceInvalid, match="not set"):
        resolver("").get("db")


class TestCredentials:
    def test_an_identity_endpoint_that_refuses(
        self, vault: Vault, identity: HttpServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("IDENTITY_HEADER", "wrong")
        vault.values = {"db": "canary"}

        with pytest.raises(NoCredentials) as caught:
            resolver(vault.url).get("db")
        assert "az login" in caught.value.fix
        assert "wrong" not in str(caught.value.as_dict())

    def test_a_developer_who_is_not_signed_in(self, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nonexistent")
        vault.values = {"db": "canary"}

        with pytest.raises(NoCredentials) as caught:
            resolver(vault.url, NOWHERE).get("db")
        assert "developer's sign-in" in caught.value.why
