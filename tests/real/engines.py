"""Real Docker Engines for tests: one of the session's own, on its own socket, that leaves nothing behind.

It has no bridge of its own and touches no iptables, so the loopback traffic of other tests is left alone. The
base image (Debian with python3) is made once per machine by debootstrap and kept in the temporary directory.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import oatie_ops
from tests.real.harness import Project
from tests.real.waiting import free_port, in_ci, need_program, wait_for

BASE = "oatie-test-base:bookworm"
BASE_PACKAGES = "python3,python3-venv"
BASE_PYTHON = (3, 11)
ENGINE_START_SECONDS = 60.0
PR_SET_PDEATHSIG = 1

DOCKERIGNORE = "*\n!container.py\n!app.json\n"
CONTAINER_APP = {"run": None, "command": ["python3", "container.py"], "workers": 1}
DOCKERFILE = f"""\
FROM {BASE}
WORKDIR /app
COPY container.py app.json ./
CMD ["python3", "container.py"]
"""
HEALTHCHECK = (
    "HEALTHCHECK --interval=2s --timeout=9s --retries=3 CMD "
    '["python3", "-c", "import os,urllib.request as u; '
    "u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/ready', timeout=8)\"]\n"
)


# The oatie of this session in a container: its packages are mounted where they are, for the base's python3.
WITH_OATIE = f"""\
FROM {BASE}
WORKDIR /app
COPY service.py app.json oatie.toml oatie /app/
RUN mv oatie /usr/local/bin/oatie && chmod 755 /usr/local/bin/oatie
CMD ["oatie", "start", "--host", "0.0.0.0"]
"""


def need_root() -> None:
    if os.geteuid() != 0:
        reason = "an engine of its own needs root"
        if in_ci():
            pytest.fail(reason)
        pytest.skip(reason)


def base_archive() -> Path:
    """The root file system as a tar file; made by the first who asks, while others wait."""
    need_program("debootstrap")
    place = Path(tempfile.gettempdir()) / f"oatie-test-base-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    archive = place / f"bookworm-{BASE_PACKAGES}.tar"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            root, half = place / "root", place / "half.tar"
            shutil.rmtree(root, ignore_errors=True)
            command = [
                "debootstrap",
                "--variant=minbase",
                f"--include={BASE_PACKAGES}",
                "bookworm",
                str(root),
            ]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
            shutil.rmtree(root / "var/lib/apt", ignore_errors=True)
            subprocess.run(["tar", "-C", str(root), "-cf", str(half), "."], check=True)
            half.replace(archive)
            shutil.rmtree(root, ignore_errors=True)
    return archive


def dies_with_us() -> None:
    """For a child: a test session that is killed must not leave an engine behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Engine:
    """One dockerd; ``command`` starts it with its socket in ``home``."""

    def __init__(self, home: Path, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.home = home
        self.host = f"unix://{home / 'docker.sock'}"
        self.log = home / "dockerd.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
                preexec_fn=dies_with_us,  # noqa: PLW1509 - it calls nothing but prctl
            )

    def wait(self) -> Engine:
        def answers() -> bool:
            if self.process.poll() is not None:
                pytest.fail(f"dockerd ended: {self.log.read_text(errors='replace')[-2000:]}")
            return self.api is not None

        wait_for(answers, "the engine", seconds=ENGINE_START_SECONDS, evidence=self.log.read_text)
        return self

    @property
    def api(self) -> Any:
        import docker

        try:
            return docker.APIClient(base_url=self.host, timeout=120, version="auto")
        except (docker.errors.DockerException, OSError):
            return None

    def import_base(self, archive: Path) -> None:
        self.api.import_image_from_file(str(archive), repository=BASE.partition(":")[0], tag="bookworm")

    def remove_all(self) -> None:
        """What a test has left."""
        api = self.api
        for each in api.containers(all=True):
            api.remove_container(each["Id"], force=True, v=True)
        for each in api.networks():
            if each["Name"].startswith("oatie-"):
                api.remove_network(each["Id"])
        for each in api.images():
            for tag in each.get("RepoTags") or ():
                if tag.startswith("oatie-") and tag != BASE:
                    api.remove_image(tag, force=True)

    def end(self) -> None:
        """By its pid; its containers end with it."""
        if self.process.poll() is None:
            with contextlib.suppress(Exception):  # an engine that hangs is killed below
                self.remove_all()
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(30)
        unmount_below(self.home)
        shutil.rmtree(self.home, ignore_errors=True)


def unmount_below(directory: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{directory}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False, stderr=subprocess.DEVNULL)


def local_engine(home: Path) -> Engine:
    arguments = ["--data-root", str(home / "data"), "--exec-root", str(home / "exec")]
    arguments += ["--pidfile", str(home / "pid"), "-H", f"unix://{home / 'docker.sock'}"]
    arguments += ["--bridge=none", "--iptables=false", "--ip-forward=false"]
    for pool in address_pools(os.environ.get("PYTEST_XDIST_WORKER", "")):
        arguments += ["--default-address-pool", f"base={pool},size=24"]
    return Engine(home, ["dockerd", *arguments])


def address_pools(worker: str) -> list[str]:
    """Of the engine of this test process alone: two that make a network in one moment, from the same pool,
    would give it the same addresses. More than one, as an engine leaves out what the machine uses already."""
    number = int(worker.removeprefix("gw") or 0) % 16
    return [f"172.{16 + number}.0.0/16", f"10.{208 + number}.0.0/16", f"192.168.{16 * number}.0/20"]


@contextlib.contextmanager
def own_engine() -> Iterator[Engine]:
    need_root()
    need_program("dockerd")
    archive = base_archive()
    engine = local_engine(Path(tempfile.mkdtemp(prefix="oatie-engine-")))
    try:
        engine.wait().import_base(archive)
        yield engine
    finally:
        engine.end()


def oatie_volumes() -> list[str]:
    """Mounts for `WITH_OATIE`."""
    need_base_python()
    return [f"{place}:{place}:ro" for place in _packages()]


def need_base_python() -> None:
    """Compiled packages fit one version of Python."""
    if sys.version_info[:2] != BASE_PYTHON:
        reason = f"the packages are made for {sys.version_info[:2]}, the base image has {BASE_PYTHON}"
        if in_ci():
            pytest.fail(reason)
        pytest.skip(reason)


def _packages() -> list[str]:
    return list(dict.fromkeys(str(Path(each).resolve()) for each in (oatie_ops_home(), *site_packages())))


def oatie_ops_home() -> Path:
    return Path(oatie_ops.__file__).resolve().parents[1]


def site_packages() -> list[str]:
    return [place for place in sys.path if place.endswith("site-packages")]


def with_oatie(project: Project) -> Project:
    """Its image runs `oatie` as process 1, with `service.py` below it."""
    path = ":".join(_packages())
    (project.root / "oatie").write_text(f'#!/bin/sh\nPYTHONPATH={path} exec python3 -m oatie_ops "$@"\n')
    (project.root / "Dockerfile").write_text(WITH_OATIE)
    (project.root / ".dockerignore").write_text("*\n!service.py\n!app.json\n!oatie.toml\n!oatie\n")
    shutil.copy(Path(__file__).parent / "apps" / "service.py", project.root)
    project.configure(app={"run": "service:app", "command": None}, container={"volumes": oatie_volumes()})
    return project


def containerized(project: Project, engine: Engine, **docker: Any) -> Project:
    """The project as containers of this engine, behind a Caddy of its own."""
    project.admin = f"127.0.0.1:{free_port()}"  # type: ignore[attr-defined]
    (project.root / "Dockerfile").write_text(DOCKERFILE)
    (project.root / ".dockerignore").write_text(DOCKERIGNORE)
    project.configure(
        app={**CONTAINER_APP, "drain": "5s", "stop_timeout": "3s"},
        deploy={"target": "docker"},
        docker={"host": engine.host, "replicas": 2, **docker},
        proxy={
            "admin": project.admin,  # type: ignore[attr-defined]
            "switch_directory": str(project.root / ".oatie" / "switch"),
        },
        ops={"listen": "off"},
    )
    return project
