"""What `oatie doctor` looks at. Facts in, findings out; the facts are read here too, in one place."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.cli.about import EXTRAS, installed
from oatie_ops.cli.engine import Engine, ask

OLDEST_PYTHON = (3, 11)
PROCESS, DOCKER, SWARM, KUBERNETES = "process", "docker", "swarm", "kubernetes"
# extra -> what needs it
EXTRA_FOR: Mapping[str, tuple[str, ...]] = {
    "docker": (DOCKER, SWARM),
    "fast": ("a faster event loop (uvloop)",),
    "kubernetes": (KUBERNETES,),
    "aws": ("secrets: aws_secrets_manager",),
    "gcp": ("secrets: gcp_secret_manager",),
    "azure": ("secrets: azure_key_vault",),
    "postgres": ("checks: postgres", "switches on PostgreSQL"),
    "redis": ("checks: redis", "switches on Redis"),
}
# program -> (what needs it, package where it is not called so)
PROGRAMS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "caddy": ((DOCKER, "programs without a gap"), "caddy"),
    "git": (("releases without what .gitignore names",), "git"),
}
MANAGERS = (
    ("apt-get", "apt-get install"),
    ("dnf", "dnf install"),
    ("apk", "apk add"),
    ("brew", "brew install"),
)


@dataclass(frozen=True)
class Finding:
    """``state``: ok; missing (a target named in ``needed_by`` cannot do without); absent (nobody must)."""

    name: str
    state: str
    said: str
    needed_by: tuple[str, ...]
    fix: str = ""


@dataclass(frozen=True)
class World:
    """What is looked at, so that every answer can be had in a test."""

    python: tuple[int, int]
    environ: Mapping[str, str]
    which: Callable[[str], str | None]
    has_module: Callable[[str], bool]
    engine: Callable[[], Engine]
    exists: Callable[[Path], bool]
    writable: bool
    prefix: str


def real_world() -> World:
    return World(
        python=sys.version_info[:2],
        environ=os.environ,
        which=shutil.which,
        has_module=installed,
        engine=lambda: ask(os.environ),
        exists=Path.exists,
        writable=os.access(Path.cwd(), os.W_OK | os.X_OK),
        prefix=sys.prefix,
    )


def look(world: World | None = None) -> list[Finding]:
    world = world or real_world()
    return [*_host(world), *_programs(world), *_engine(world), *_cluster(world), *_extras(world)]


def _host(world: World) -> Iterator[Finding]:
    version = ".".join(map(str, world.python))
    fits = world.python >= OLDEST_PYTHON
    yield Finding(
        "python",
        "ok" if fits else "missing",
        f"Python {version}",
        (PROCESS, DOCKER, SWARM, KUBERNETES),
        "" if fits else "install Python 3.11 or newer",
    )
    yield Finding(
        "directory",
        "ok" if world.writable else "missing",
        "this directory can be written" if world.writable else "this directory cannot be written",
        (PROCESS, DOCKER, SWARM, KUBERNETES),
        "" if world.writable else "make it yours, or set OATIE_HOME to a directory that is",
    )


def _programs(world: World) -> Iterator[Finding]:
    for name, (needed_by, package) in PROGRAMS.items():
        where = world.which(name)
        if where:
            yield Finding(name, "ok", where, needed_by)
        else:
            must = DOCKER in needed_by
            yield Finding(
                name, "missing" if must else "absent", "not on PATH", needed_by, _install(world, package)
            )


def _engine(world: World) -> Iterator[Finding]:
    engine = world.engine()
    fix = "" if engine.version else f"{_install(world, 'docker.io')}, and start dockerd"
    if engine.denied:
        fix = "add this user to the group docker, or run as root"
    yield Finding("docker engine", "ok" if engine.version else "missing", engine.said, (DOCKER, SWARM), fix)
    if engine.version:
        joined = engine.is_manager
        yield Finding(
            "swarm manager",
            "ok" if joined else "missing",
            "this engine manages a swarm" if joined else "this engine manages no swarm",
            (SWARM,),
            "" if joined else "docker swarm init",
        )


def _cluster(world: World) -> Iterator[Finding]:
    named = world.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    home = world.environ.get("HOME", "")
    places = [Path(named)] if named else [Path(home) / ".kube" / "config"] if home else []
    places.append(Path("/var/run/secrets/kubernetes.io/serviceaccount/token"))
    found = next((place for place in places if world.exists(place)), None)
    yield Finding(
        "cluster access",
        "ok" if found else "missing",
        str(found) if found else f"no {places[0]}",
        (KUBERNETES,),
        "" if found else "put the cluster's kubeconfig there, or name it with KUBECONFIG",
    )


def _extras(world: World) -> Iterator[Finding]:
    for extra, needed_by in EXTRA_FOR.items():
        there = world.has_module(EXTRAS[extra])
        must = not {DOCKER, SWARM, KUBERNETES}.isdisjoint(needed_by)
        yield Finding(
            f"extra {extra}",
            "ok" if there else "missing" if must else "absent",
            "installed" if there else f"no module {EXTRAS[extra]}",
            needed_by,
            "" if there else add_extra(extra, world.prefix),
        )


def add_extra(extra: str, prefix: str = sys.prefix) -> str:
    """The command for whatever installed this oatie: pipx, uv tool, or pip."""
    wanted = f"oatie-ops[{extra}]"
    parts = Path(prefix).parts
    if "pipx" in parts:
        return f"pipx install --force '{wanted}'"
    if "uv" in parts and "tools" in parts:
        return f"uv tool install --force '{wanted}'"
    return f"{Path(prefix) / 'bin' / 'pip'} install '{wanted}'"


def _install(world: World, package: str) -> str:
    for manager, command in MANAGERS:
        if world.which(manager):
            return f"{command} {package}"
    return f"install {package}"
