"""A real sshd on a port of the loopback, with keys of the test's own; nothing of the machine's is used."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.real.engines import Engine, dies_with_us
from tests.real.waiting import free_port, need_program, port_answers, wait_for

SSHD = "/usr/sbin/sshd"
CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {home}/host
AuthorizedKeysFile {home}/authorized
PidFile none
UsePAM {pam}
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
SetEnv DOCKER_HOST={engine} PATH={path}
"""


def pam() -> str:
    """Without PAM sshd lets nobody in whose password is locked, also not with a key."""
    entries = [line.split(":") for line in Path("/etc/shadow").read_text().splitlines()]
    locked = any(name == "root" and password.startswith("!") for name, password, *_ in entries)
    return "yes" if locked else "no"


class Sshd:
    """Leads to an engine, for whoever has the key; ``home`` of a client is what $HOME has to be."""

    def __init__(self, directory: Path, engine: Engine) -> None:
        need_program(SSHD)
        docker = Path(need_program("docker")).parent
        self.directory, self.port = directory, free_port()
        directory.mkdir(parents=True)
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # the one place that cannot be told otherwise
        for name in ("host", "user", "stranger"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
            subprocess.run(make, check=True, stdin=subprocess.DEVNULL)
        shutil.copy(directory / "user.pub", directory / "authorized")
        path = f"{docker}:/usr/local/bin:/usr/bin:/bin"
        (directory / "config").write_text(
            CONFIG.format(port=self.port, home=directory, engine=engine.host, path=path, pam=pam())
        )
        with (directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(directory / "config")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=dies_with_us,  # noqa: PLW1509 - it calls nothing but prctl
            )
        wait_for(lambda: port_answers(self.port), "sshd", evidence=(directory / "log").read_text)

    def client(self, name: str, *, key: str | None = "user", host_key: str | None = "host") -> dict[str, str]:
        """The environment of a user with that key, who knows the host by that one."""
        home = self.directory / name
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        if key is not None:
            shutil.copy(self.directory / key, home / ".ssh" / "id_ed25519")
        if host_key is not None:
            public = (self.directory / f"{host_key}.pub").read_text().rpartition(" ")[0]
            (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}\n")
        return {"HOME": str(home), "SSH_AUTH_SOCK": ""}

    def address(self, user: str = "root") -> str:
        return f"ssh://{user}@127.0.0.1:{self.port}"

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)
