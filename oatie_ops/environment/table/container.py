"""Container engines, best witness first; /.dockerenv is the last, because images carry it elsewhere."""

from __future__ import annotations

from oatie_ops.environment.conditions import any_of, exists, fact, flag
from oatie_ops.environment.facts import Facts
from oatie_ops.environment.layers import UNKNOWN, Signal
from oatie_ops.environment.signals import proof

# What $container, /run/systemd/container and PID 1 say (systemd's container interface).
_NAMED = ("docker", "podman", "lxc", "lxc-libvirt", "systemd-nspawn", "rkt", "proot", "pouch", "garden")
# A sandboxed desktop program, and WSL's own name for itself, are no containers in this sense.
_NO_CONTAINER = frozenset({"flatpak", "snap", "wsl", ""})


def _container_id(facts: Facts) -> str:
    return facts.cgroup.container_id or facts.mounts.container_id or facts.containerenv.get("id", "")


IDENTITY = (("container_id", _container_id),)


def _marked(name: str) -> Signal:
    return proof(
        f"container.marked-{name}",
        fact(
            f"$container, /run/systemd/container or PID 1 says {name}",
            lambda facts: facts.container_marker.lower() == name,
        ),
        container=name,
        platform=name,
        identity=IDENTITY,
    )


def _seen(name: str) -> Signal:
    return proof(
        f"container.{name}",
        any_of(
            fact(f"the cgroup path is {name}'s", lambda facts: facts.cgroup.runtime == name),
            fact(
                f"/etc/{{hostname,hosts,resolv.conf}} are mounted by {name}",
                lambda facts: facts.mounts.runtime == name,
            ),
        ),
        container=name,
        platform=name,
        identity=IDENTITY,
    )


SIGNALS: tuple[Signal, ...] = (
    *(_marked(name) for name in _NAMED),
    proof(
        "container.buildah",
        fact(
            "/run/.containerenv says buildah",
            lambda facts: facts.containerenv.get("engine", "").startswith("buildah"),
        ),
        container="buildah",
        platform="buildah",
        identity=IDENTITY,
    ),
    proof(
        "container.containerenv",
        exists("/run/.containerenv"),
        container="podman",
        platform="podman",
        identity=IDENTITY,
    ),
    *(_seen(name) for name in ("podman", "docker", "containerd", "cri-o", "lxc")),
    proof(
        "container.lxd-socket",
        any_of(exists("/dev/lxd/sock"), exists("/dev/incus/sock")),
        container="lxc",
        platform="lxc",
    ),
    proof("container.openvz", exists("/proc/vz"), container="openvz", platform="openvz"),
    proof(
        "container.docker-flag",
        flag("DOCKER_CONTAINER"),
        container="docker",
        platform="docker",
        identity=IDENTITY,
    ),
    proof(
        "container.dockerenv",
        exists("/.dockerenv"),
        container="docker",
        platform="docker",
        identity=IDENTITY,
    ),
    # "oci" is what several engines and base images say; it names none of them.
    proof(
        "container.unnamed",
        fact(
            "$container, /run/systemd/container or PID 1 says it is one",
            lambda facts: (
                facts.container_marker.lower() not in _NO_CONTAINER
                and facts.container_marker.lower() not in _NAMED
            ),
        ),
        container=UNKNOWN,
        platform="container",
        identity=IDENTITY,
    ),
    # Inside a task or a pod the engine is often unnamed, but the id is in the cgroup path.
    proof(
        "container.cgroup-id",
        fact("the cgroup path holds a container's id", lambda facts: bool(facts.cgroup.container_id)),
        container=UNKNOWN,
        identity=IDENTITY,
    ),
)
