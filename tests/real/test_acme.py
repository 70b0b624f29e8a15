"""A certificate from a real ACME authority (a second Caddy), on the ports that such an authority asks.

In namespaces of the test's own: ports 80 and 443 are free there, and names lead to its loopback.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.engines import dies_with_us, need_root
from tests.real.harness import Project, ProjectMaker
from tests.real.waiting import need_program, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600, func_only=True)]

NAMES = "127.0.0.1 localhost shop.test shop.internal ca.test\n"
INSIDE = 'ip link set lo up && mount --bind "$1" /etc/hosts && echo ready && exec sleep infinity'
AUTHORITY = """{
  "admin": {"disabled": true},
  "apps": {
    "http": {"servers": {"ca": {
      "listen": [":9443"],
      "automatic_https": {"disable_redirects": true},
      "routes": [{"match": [{"host": ["ca.test"]}], "handle": [{"handler": "acme_server"}]}]
    }}},
    "tls": {"automation": {"policies": [{"subjects": ["ca.test"], "issuers": [{"module": "internal"}]}]}},
    "pki": {"certificate_authorities": {"local": {"install_trust": false}}}
  }
}
"""


class World:
    """Namespaces that live as long as the process in them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        hosts = directory / "hosts"
        hosts.write_text(NAMES)
        command = [
            "unshare",
            "--net",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            INSIDE,
            "sh",
            str(hosts),
        ]
        self.processes = [subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=dies_with_us)]  # noqa: PLW1509
        assert self.processes[0].stdout is not None
        assert self.processes[0].stdout.readline() == b"ready\n"

    @property
    def enter(self) -> list[str]:
        return ["nsenter", f"--target={self.processes[0].pid}", "--net", "--mount", "--"]

    def start_authority(self) -> Path:
        """The file with its root certificate."""
        home = self.directory / "authority"
        home.mkdir()
        (home / "ca.json").write_text(AUTHORITY)
        with (home / "log").open("wb") as log:
            caddy = subprocess.Popen(
                [*self.enter, "caddy", "run", "--config", str(home / "ca.json")],
                env={
                    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                    "XDG_DATA_HOME": str(home),
                    "XDG_CONFIG_HOME": str(home),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=dies_with_us,  # noqa: PLW1509 - it calls nothing but prctl
            )
        self.processes.append(caddy)
        root = home / "caddy/pki/authorities/local/root.crt"
        wait_for(
            lambda: root.exists() and self.get("https://ca.test:9443/acme/local/directory", root)[0] == 0,
            "the authority",
            evidence=(home / "log").read_text,
        )
        return root

    def get(self, url: str, authority: Path) -> tuple[int, str]:
        """curl's exit code and all that it says of the connection and the answer."""
        command = [*self.enter, "curl", "-sSv", "--max-time", "20", "--cacert", str(authority), url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr

    def close(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            process.wait(30)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    need_root()
    for program in ("caddy", "curl", "unshare", "nsenter", "ip"):
        need_program(program)
    one = World(tmp_path)
    yield one
    one.close()


@pytest.fixture
def shop(make_project: ProjectMaker, world: World) -> Iterator[Project]:
    project = make_project("program.py")
    project.program = [*world.enter, "env", f"--chdir={project.root}", *project.program]
    yield project
    project.oatie("stop", "--timeout", "0")


def test_certificates_from_an_authority_of_ones_own(shop: Project, world: World) -> None:
    root = world.start_authority()
    shop.configure(
        app={
            "run": None,
            "command": ["python3", "program.py"],
            "host": "0.0.0.0",
            "port": 443,
            "workers": 1,
        },
        proxy={
            "enabled": True,
            "hosts": ["shop.test", "shop.internal"],
            "switch_directory": ".oatie/switch",
            "acme_ca": "https://ca.test:9443/acme/local/directory",
            "acme_ca_root": str(root),
        },
    )
    shop.version("1")
    shop.deploy().expect(0)
    for host in ("shop.test", "shop.internal"):
        code, said = world.get(f"https://{host}/", root)
        assert code == 0, said
        assert "issuer: CN=Caddy Local Authority" in said
    shop.version("2")
    shop.deploy().expect(0)
    assert world.get("https://shop.test/", root)[0] == 0
