"""Where the ops API listens: no further than it is safe, and with TLS from files that may change."""

from __future__ import annotations

import http.client
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from tests.real.harness import Project
from tests.real.waiting import wait_for


def _address() -> str:
    """Of this machine and not loopback: nothing is sent to find it out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("only on machines with an address besides loopback")
        return str(sock.getsockname()[0])


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


@pytest.mark.slow
def test_wider_than_loopback_needs_a_token_and_opens_once_there_is_one(project: Project) -> None:
    outside = _address()
    project.configure(ops={"listen": f"0.0.0.0:{project.ops_port}"})
    project.deployed()
    wait_for(lambda: _listens("127.0.0.1", project.ops_port), "the ops API on loopback")

    def logged() -> str:
        return project.oatie("logs", "-n", "200").said

    wait_for(lambda: "no token is set" in logged(), "the reason in the log", evidence=logged)
    assert not _listens(outside, project.ops_port)
    assert project.get("/health/detailed", port=project.ops_port) == 401
    project.oatie("token", "create", "ci").expect(0)
    wait_for(lambda: _listens(outside, project.ops_port), "the ops API on every address", evidence=logged)
    assert project.get("/health/detailed", port=project.ops_port) == 401
    assert project.get("/health/live", port=project.ops_port) == 200


@pytest.mark.slow
def test_tls_from_files_that_are_renewed(project: Project) -> None:
    authority = trustme.CA()
    files = project.root / "tls"
    files.mkdir()

    def issue() -> None:
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(str(files / "new.key"))
        chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
        (files / "new.pem").write_bytes(chain)
        (files / "new.key").rename(files / "ops.key")
        (files / "new.pem").rename(files / "ops.pem")

    issue()
    project.configure(ops={"tls_certificate": "tls/ops.pem", "tls_key": "tls/ops.key"})
    project.deployed()
    context = ssl.create_default_context()
    authority.configure_trust(context)

    def certificate() -> bytes | None:
        try:
            with (
                socket.create_connection(("127.0.0.1", project.ops_port), timeout=60) as sock,
                context.wrap_socket(sock, server_hostname="127.0.0.1") as tls,
            ):
                return tls.getpeercert(binary_form=True)
        except OSError:
            return None

    first = wait_for(certificate, "a handshake")
    assert project.status()["ops"]["url"].startswith("https://")
    connection = http.client.HTTPSConnection("127.0.0.1", project.ops_port, context=context, timeout=20)
    connection.request("GET", "/health/live")
    answer = connection.getresponse()
    assert answer.status == 200
    assert "max-age" in answer.headers["strict-transport-security"]
    connection.close()
    assert project.get("/health/live", port=project.ops_port) is None  # no plain HTTP beside it
    issue()
    wait_for(lambda: certificate() not in (None, first), "the new certificate")


@pytest.mark.slow
def test_tls_files_that_cannot_be_used_are_told_and_nothing_listens(project: Project) -> None:
    Path(project.root / "ops.pem").write_text("no certificate")
    project.configure(ops={"tls_certificate": "ops.pem"})
    project.deployed()

    def logged() -> str:
        return project.oatie("logs", "-n", "200").said

    wait_for(lambda: "its TLS files cannot be used" in logged(), "the reason in the log", evidence=logged)
    wait_for(lambda: not _listens("127.0.0.1", project.ops_port), "the port to be closed")
