"""A deploy waits for the certificate of its first host name; another that is not to be had is only told."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from oatie_ops.deployment.proxy.certificate import NoCertificate, wait
from oatie_ops.deployment.proxy.routes import Wanted
from tests.real.waiting import need_program

HAS_ONE, HAS_NONE = "shop.test", "www.shop.test"
ENOUGH_SECONDS, NO_SECONDS = 60.0, 0.0


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A server that has a certificate for one name, and refuses whoever asks for another."""
    need_program("openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={HAS_ONE}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _socket, name, _context: (
        None if name == HAS_ONE else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    )
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield int(listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def wanted(port: int, *hosts: str) -> Wanted:
    return Wanted("k", "127.0.0.1", port, Path("/s"), "t", hosts, tls="auto")


def test_all_have_one(port: int, tmp_path: Path) -> None:
    assert wait(wanted(port, HAS_ONE), tmp_path / "log", lambda _: None, ENOUGH_SECONDS) == []


def test_a_second_name_without_one_is_told(port: int, tmp_path: Path) -> None:
    (said,) = wait(wanted(port, HAS_ONE, HAS_NONE), tmp_path / "log", lambda _: None, NO_SECONDS)
    assert said.startswith(f"Caddy has no certificate for {HAS_NONE}")


def test_the_first_name_without_one_ends_it_with_what_the_authority_said_meanwhile(
    port: int, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text(json.dumps({"level": "error", "error": "of last week"}) + "\n")

    def tell(_message: str) -> None:
        with log.open("a") as file:
            file.write(json.dumps({"level": "error", "error": "no such zone"}) + "\n")

    with pytest.raises(NoCertificate) as refused:
        wait(wanted(port, HAS_NONE), log, tell, 0.5)
    assert refused.value.why == "no such zone"
    with pytest.raises(NoCertificate) as silent:
        wait(wanted(port, HAS_NONE), log, lambda _: None, NO_SECONDS)
    assert "last week" not in silent.value.why and "no such zone" not in silent.value.why


def test_a_name_that_cannot_be_asked_for_is_one_without(port: int, tmp_path: Path) -> None:
    with pytest.raises(NoCertificate):
        wait(wanted(port, "a" * 70 + ".test"), tmp_path / "log", lambda _: None, NO_SECONDS)
