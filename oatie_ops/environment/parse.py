"""Pure readers of the formats that signals look into. Wrong input is no input: none of them raises."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from oatie_ops.records import dataclass

HEX64 = r"[0-9a-f]{64}"


@dataclass(frozen=True)
class Cgroup:
    """Membership lines of /proc/self/cgroup (cgroups(7)); a private cgroup namespace shows only `0::/`."""

    runtime: str = ""  # docker | podman | containerd | cri-o | lxc
    container_id: str = ""
    pod_uid: str = ""
    kubernetes: bool = False
    ecs: bool = False


# (engine, a part of the path without which the pattern need not be compiled, pattern of the id)
_CGROUP_RUNTIMES = (
    ("docker", "docker", rf"(?:^|/)docker[/-]({HEX64})(?:\.scope)?(?=/|$)"),
    ("docker", "actions_job", rf"(?:^|/)actions_job/({HEX64})(?=/|$)"),
    ("podman", "libpod", rf"(?:^|/)libpod-(?:payload-)?({HEX64})(?:\.scope)?(?=/|$)"),
    ("containerd", "cri-containerd", rf"(?:^|[/:])cri-containerd[-:]({HEX64})(?:\.scope)?(?=/|$)"),
    ("cri-o", "crio", rf"(?:^|[/:])crio[-:]({HEX64})(?:\.scope)?(?=/|$)"),
    ("lxc", "/lxc", r"^/lxc(?:\.payload)?[/.]()"),
)
_POD = r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?=[./]|$)"
_ECS = rf"^/ecs/(?:.+/)?({HEX64}|[0-9a-f]{{32}}-\d+)$"
_LAST_ID = rf"(?:^|[/:-])({HEX64})(?:\.scope)?$"


def cgroup(text: str) -> Cgroup:
    found = Cgroup()
    for line in text.splitlines():
        path = line.strip().split(":", 2)[-1]
        if len(path) < 5:
            continue
        found = _richer(found, _cgroup_path(path))
    return found


def _richer(a: Cgroup, b: Cgroup) -> Cgroup:
    return Cgroup(
        a.runtime or b.runtime,
        a.container_id or b.container_id,
        a.pod_uid or b.pod_uid,
        a.kubernetes or b.kubernetes,
        a.ecs or b.ecs,
    )


def _cgroup_path(path: str) -> Cgroup:
    kubernetes = "kubepods" in path
    pod_uid = ""
    if kubernetes:
        # A node that is itself a container puts its own id in front; what follows is the pod's.
        path = path[path.index("kubepods") :]
        pod = re.search(_POD, path)
        pod_uid = pod[1].replace("_", "-") if pod else ""
    elif path.startswith("/ecs/") and (ecs := re.match(_ECS, path)):
        return Cgroup(container_id=ecs[1], ecs=True)
    for runtime, part, pattern in _CGROUP_RUNTIMES:
        if part in path and (match := re.search(pattern, path)):
            return Cgroup(runtime, match[1], pod_uid, kubernetes)
    last = re.search(_LAST_ID, path) if kubernetes else None
    return Cgroup("", last[1] if last else "", pod_uid, kubernetes)


@dataclass(frozen=True)
class Mounts:
    """What /proc/self/mountinfo (proc(5)) says about the place this process lives in."""

    runtime: str = ""  # docker | podman | containerd
    container_id: str = ""
    pod_uid: str = ""
    binds_network_files: bool = False  # /etc/{hostname,hosts,resolv.conf} are mounts of their own
    root_is_machine: bool = False  # "/" is a plain file system, not an image's layers


# Field 4 (root) names the file on its own file system; field 5 is where it is seen. Only the root field
# is about *this* container: on a host, the mount points of other containers hold their ids.
_BIND_RUNTIMES = (
    ("podman", rf"/overlay-containers/({HEX64})/userdata/"),
    ("containerd", rf"/io\.containerd\.grpc\.v1\.cri/sandboxes/({HEX64})/"),
    ("containerd", rf"/nerdctl/.*/containers/[^/]+/({HEX64})/"),
    ("docker", rf"/containers/({HEX64})/(?:hostname|hosts|resolv\.conf)$"),
    ("docker", r"/buildkit/executor/()"),
)
_BIND_POD = r"/pods/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/etc-hosts$"
_LAYERED = frozenset(
    {"overlay", "aufs", "fuse.fuse-overlayfs", "fuse-overlayfs", "zfs", "rootfs", "9p", "virtiofs"}
)


_NETWORK_FILES = frozenset({"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"})


def mountinfo(text: str) -> Mounts:
    binds: list[str] = []
    machine = False
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) < 7:
            continue
        root, point = fields[3], fields[4]
        if point in _NETWORK_FILES:
            binds.append(root)
        elif point == "/":  # the last one is on top
            kind = fields[fields.index("-") + 1 :][:1] if "-" in fields else []
            machine = bool(kind) and kind[0] not in _LAYERED and "docker" not in root
    return Mounts(*_bound_by(binds), bool(binds), machine)


def _bound_by(roots: list[str]) -> tuple[str, str, str]:
    runtime = container_id = pod_uid = ""
    for root in roots:
        if pod := re.search(_BIND_POD, root):
            pod_uid = pod[1]
        for name, pattern in _BIND_RUNTIMES:
            if not runtime and (match := re.search(pattern, root)):
                runtime, container_id = name, match[1]
    if pod_uid and runtime in {"containerd", "podman"}:
        # In a pod these files belong to the sandbox, not to this container; podman's layout is CRI-O's.
        runtime, container_id = {"podman": "cri-o"}.get(runtime, runtime), ""
    return runtime, container_id, pod_uid


@dataclass(frozen=True)
class ServiceAccountToken:
    """The claims of a Kubernetes service account token (RFC 7519) that say where the pod runs."""

    issuer: str = ""
    namespace: str = ""
    pod_name: str = ""
    pod_uid: str = ""


def service_account_token(text: str) -> ServiceAccountToken:
    parts = text.strip().split(".")
    if len(parts) != 3:
        return ServiceAccountToken()
    try:
        payload = parts[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (
        ValueError,
        RecursionError,
    ):  # binascii.Error, UnicodeDecodeError and JSONDecodeError are ValueErrors
        return ServiceAccountToken()
    kubernetes = _mapping(_mapping(claims).get("kubernetes.io"))
    pod = _mapping(kubernetes.get("pod"))
    namespace = kubernetes.get("namespace") or _mapping(claims).get("kubernetes.io/serviceaccount/namespace")
    return ServiceAccountToken(
        _string(_mapping(claims).get("iss")),
        _string(namespace),
        _string(pod.get("name")),
        _string(pod.get("uid")),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


EKS_ISSUER = (
    r"^https://oidc[.-]eks\.([a-z0-9-]+)\."
    r"(?:amazonaws\.com(?:\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn|c2s\.ic\.gov|sc2s\.sgov\.gov)"
    r"/id/[0-9A-Fa-f]{32}/?$"
)
GKE_ISSUER = (
    r"^https://container\.googleapis\.com/v1/projects/([^/]+)/(?:locations|zones)/([^/]+)/clusters/([^/]+)/?$"
)
AKS_ISSUER = (
    r"^\"?(?:https://(?P<region>[a-z0-9-]+)\.oic\.(?:prod-)?aks\.azure\.[a-z]+/"
    r"|(?:https://)?[a-z0-9.-]+\.hcp\.(?P<hcp>[a-z0-9-]+)\.(?:cx\.)?(?:prod\.)?(?:azmk8s|aks)\.)"
)
_AKS_RESOURCE = (
    r"(?i)/subscriptions/[^/\s]+/resourceGroups/([^/\s]+)"
    r"/providers/Microsoft\.ContainerService/managedClusters/([^/\s]+)/?$"
)


@dataclass(frozen=True)
class AksCluster:
    resource_id: str
    resource_group: str
    name: str


def aks_resource_id(text: str) -> AksCluster | None:
    """From a bare id, or from `clusterResourceId=<id>` lines; CRLF and a byte order mark are ignored."""
    for line in text.lstrip("\ufeff").splitlines():
        key, separator, value = line.strip().partition("=")
        resource_id = (value if separator and key.strip().lower() == "clusterresourceid" else line).strip()
        if match := re.match(_AKS_RESOURCE, resource_id):
            return AksCluster(resource_id, match[1], match[2])
    return None


def gke_location(location: str) -> tuple[str, str]:
    """("zone", …) for `europe-west1-b`, ("region", …) for `europe-west1`."""
    return ("zone" if location.count("-") >= 2 else "region"), location


def environ_block(text: str) -> dict[str, str]:
    """The NUL-separated block of /proc/PID/environ."""
    return dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)


def quoted_pairs(text: str) -> dict[str, str]:
    """`key="value"` lines, as in /run/.containerenv."""
    pairs = (line.strip().split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip().strip('"') for key, value in pairs}


def json_string(text: str, *keys: str) -> str:
    """The first of these keys that holds a non-empty string or a number in a JSON object."""
    try:
        found = _mapping(json.loads(text))
    except (ValueError, RecursionError):
        return ""
    values = (found.get(key) for key in keys)
    return next((str(value) for value in values if value and isinstance(value, str | int)), "")
