"""Several real nodes of a swarm on one machine: dockerds in network namespaces on a bridge of the test's own.

What the kernel lacks: no IPVS, so no virtual addresses and no ingress; services are reached as `tasks.NAME`.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.real.engines import Engine, base_archive, dies_with_us, need_root
from tests.real.waiting import need_program, port_answers, wait_for

REGISTRY_PORT = 5000
# Inside its own network, mount and UTS namespaces: libnetwork keeps its namespaces at fixed paths, and /sys
# has to show this network while the control groups stay those of the machine.
NODE = """\
set -e
hostname "$NAME"
mkdir -p /run/docker "$HOME_DIR/sys"
mount -t tmpfs tmpfs /run/docker
mount --rbind /sys/fs/cgroup "$HOME_DIR/sys"
mount -t sysfs sysfs /sys
mount --rbind "$HOME_DIR/sys" /sys/fs/cgroup
exec dockerd --data-root "$HOME_DIR/data" --exec-root "$HOME_DIR/exec" --pidfile "$HOME_DIR/pid" \\
  -H "unix://$HOME_DIR/docker.sock" --bip "$BIP" --insecure-registry "$NET.0/24" --cgroup-parent "/$NAME"
"""


class Nodes:
    """``engines[0]`` is the manager. Names and addresses are random, so that two sessions do not meet."""

    def __init__(self, count: int) -> None:
        choose = random.SystemRandom()
        self.key = f"oa{choose.randrange(16**5):05x}"
        self.net = f"10.{choose.randrange(100, 250)}.{choose.randrange(1, 250)}"
        self.bridge = f"br-{self.key}"
        self.home = Path(tempfile.mkdtemp(prefix="oatie-swarm-"))
        self.registry = f"{self.net}.1:{REGISTRY_PORT}"
        self.engines: list[Engine] = []
        self._registry: subprocess.Popen[bytes] | None = None
        self._forward = False
        run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "addr", "add", f"{self.net}.1/24", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")
        self._let_through()
        for number in range(count):
            self.engines.append(self._start(number))

    def _let_through(self) -> None:
        """Where an engine of the machine drops what is forwarded, packets between the nodes must pass."""
        rules = subprocess.run(["iptables", "-S", "FORWARD"], capture_output=True, text=True, check=False)
        if "-P FORWARD DROP" in rules.stdout:
            run("iptables", "-I", "FORWARD", "-i", self.bridge, "-j", "ACCEPT")
            self._forward = True

    def name(self, number: int) -> str:
        return f"{self.key}n{number}"

    def link(self, number: int) -> str:
        return f"v{self.key}{number}"

    def _start(self, number: int) -> Engine:
        name, link, address = self.name(number), self.link(number), f"{self.net}.{number + 10}"
        run("ip", "netns", "add", name)
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", link, "master", self.bridge, "up")
        run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            run("ip", "-n", name, "link", "set", device, "up")
        run("ip", "-n", name, "route", "add", "default", "via", f"{self.net}.1")
        home = self.home / f"n{number}"
        home.mkdir()
        inside = ["unshare", "--mount", "--uts", "--propagation", "private", "bash", "-c", NODE]
        environment = {
            **os.environ,
            "NAME": name,
            "HOME_DIR": str(home),
            "NET": self.net,
            "BIP": f"172.{30 + number}.0.1/24",
        }
        return Engine(home, ["nsenter", f"--net=/run/netns/{name}", *inside], environment)

    def form(self) -> None:
        """A swarm with one manager; a registry that every node reaches; the base image on the manager."""
        archive = base_archive()
        for engine in self.engines:
            engine.wait()
        manager, *workers = self.engines
        manager.import_base(archive)
        manager.api.init_swarm(advertise_addr=f"{self.net}.10", listen_addr=f"{self.net}.10:2377")
        token = manager.api.inspect_swarm()["JoinTokens"]["Worker"]
        for number, worker in enumerate(workers, 1):
            mine = f"{self.net}.{number + 10}"
            worker.api.join_swarm(
                [f"{self.net}.10:2377"], token, advertise_addr=mine, listen_addr=f"{mine}:2377"
            )
        self._start_registry()

    def _start_registry(self) -> None:
        need_program("docker-registry")
        config = self.home / "registry.yml"
        config.write_text(
            f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{self.registry}'}}\n"
            f"storage: {{filesystem: {{rootdirectory: '{self.home / 'registry'}'}}}}\n"
        )
        self._registry = subprocess.Popen(
            ["docker-registry", "serve", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=dies_with_us,  # noqa: PLW1509 - it calls nothing but prctl
        )
        wait_for(lambda: port_answers(REGISTRY_PORT, f"{self.net}.1"), "the registry")

    def kill(self, number: int) -> None:
        """As if its power was cut: off the network, and every process of it killed."""
        run("ip", "link", "set", self.link(number), "down")
        self._kill_all(number)

    def _kill_all(self, number: int) -> None:
        engine = self.engines[number]
        engine.process.kill()
        engine.process.wait(30)
        for pid in self._processes(number):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _processes(self, number: int) -> list[int]:
        """Containers by their control group, containerd and its shims by the directory in their arguments."""
        group, home = f"/{self.name(number)}/", str(self.home / f"n{number}")
        found = []
        for place in Path("/proc").iterdir():
            if not place.name.isdecimal():
                continue
            with contextlib.suppress(OSError):
                arguments = (place / "cmdline").read_bytes().decode(errors="replace")
                if group in (place / "cgroup").read_text() or home in arguments:
                    found.append(int(place.name))
        return [pid for pid in found if pid != os.getpid()]

    def _remove_groups(self, number: int) -> None:
        """The control groups of its containers, the innermost first."""
        for group in Path("/sys/fs/cgroup").glob(f"**/{self.name(number)}"):
            for place in sorted(group.rglob("*"), key=lambda each: -len(each.parts)):
                if place.is_dir():
                    with contextlib.suppress(OSError):
                        place.rmdir()
            with contextlib.suppress(OSError):
                group.rmdir()

    def end(self) -> None:
        """Killed, every process by its pid: to leave a swarm in peace takes each node half a minute."""
        for number, engine in enumerate(self.engines):
            self._kill_all(number)
            engine.end()
            self._remove_groups(number)
        if self._registry is not None:
            self._registry.terminate()
            self._registry.wait(30)
        for number in range(len(self.engines)):
            run("ip", "link", "del", self.link(number), check=False)
            run("ip", "netns", "del", self.name(number), check=False)
        if self._forward:
            run("iptables", "-D", "FORWARD", "-i", self.bridge, "-j", "ACCEPT", check=False)
        run("ip", "link", "del", self.bridge, check=False)
        subprocess.run(["rm", "-rf", str(self.home)], check=False, stderr=subprocess.DEVNULL)


def run(*command: str, check: bool = True) -> None:
    subprocess.run(command, check=check, stdin=subprocess.DEVNULL, capture_output=True)


@contextlib.contextmanager
def swarm_of(count: int) -> Iterator[Nodes]:
    need_root()
    for program in ("dockerd", "ip", "iptables", "nsenter", "unshare"):
        need_program(program)
    nodes = Nodes(count)
    try:
        nodes.form()
        yield nodes
    finally:
        nodes.end()
