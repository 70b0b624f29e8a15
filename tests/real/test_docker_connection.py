"""An engine over TCP is spoken to as docker's own client does: with TLS where the environment says so."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from oatie_ops.deployment.containers.api import Connection
from oatie_ops.deployment.containers.errors import EngineMissing
from tests.real.waiting import need_program


class Engine(BaseHTTPRequestHandler):
    """As far as its version goes."""

    def do_GET(self) -> None:
        body = json.dumps({"ApiVersion": "1.41", "Version": "20.10.24"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """One certificate as authority, server and client, under the names that docker's client looks for."""
    need_program("openssl")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    command += ["-subj", "/CN=engine", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    (tmp_path / "ca.pem").write_bytes((tmp_path / "cert.pem").read_bytes())
    return tmp_path


@pytest.fixture
def host(certificates: Path) -> Iterator[str]:
    """An engine that lets in whoever shows the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"tcp://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_tls_as_the_environment_says(host: str, certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for foreign in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # `requests` prefers them to what it is told
        monkeypatch.delenv(foreign, raising=False)
    with pytest.raises(EngineMissing):
        Connection(host).version()
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
    assert Connection(host).version()["Version"] == "20.10.24"
