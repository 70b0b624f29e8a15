"""What a signal may look at: the environment, a few files, and what was parsed from them, each read once.

An empty variable counts as unset. A file that may not be read (EACCES) counts as present for "exists"
and as empty for anything that needs its text; it is remembered, so that an explanation can say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from oatie_ops.environment import parse

# Longer than any file a signal reads; a mountinfo of this size has its first lines, which matter.
MAX_TEXT_CHARACTERS = 256 * 1024

FALSE_WORDS = frozenset({"0", "false", "no", "off", "n", "f"})

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
AKS_METADATA = "/etc/kubernetes/aks-cluster-metadata"

ReadFile = Callable[[str], str | None]


class Facts:
    """Reads each file at most once, and only when a signal asks for it."""

    def __init__(
        self,
        environ: Mapping[str, str],
        read: ReadFile,
        os_name: str,
        metadata: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._environ = dict(environ)  # os.environ encodes and decodes at every look
        self._read = read
        self.os = os_name
        self.metadata = metadata or {}
        self._texts: dict[str, str | None] = {}
        self.unreadable: set[str] = set()

    def env(self, name: str) -> str:
        """The variable's value, or "" where it is unset."""
        return self._environ.get(name) or ""

    def flag(self, name: str) -> bool:
        """Set, and not one of 0/false/no/off: platforms write `true`, `1`, `True` or a name."""
        value = self.env(name).strip()
        return bool(value) and value.lower() not in FALSE_WORDS

    def text(self, path: str) -> str | None:
        """The file's text, "" for a directory, an empty or an unreadable file, None where it is absent."""
        if path in self._texts:
            return self._texts[path]
        text = self._load(path)
        self._texts[path] = text
        return text

    def _load(self, path: str) -> str | None:
        if self.os != "linux":  # every path that signals name belongs to Linux
            return None
        try:
            text = self._read(path)
        except PermissionError:
            self.unreadable.add(path)
            return ""
        except (OSError, ValueError):
            return None
        return None if text is None else text[:MAX_TEXT_CHARACTERS]

    @property
    def paths_read(self) -> tuple[str, ...]:
        return tuple(self._texts)

    def exists(self, path: str) -> bool:
        return self.text(path) is not None

    def dmi(self, field: str) -> str:
        return (self.text(f"/sys/class/dmi/id/{field}") or "").strip()

    @cached_property
    def cgroup(self) -> parse.Cgroup:
        return parse.cgroup(self.text("/proc/self/cgroup") or "")

    @cached_property
    def mounts(self) -> parse.Mounts:
        return parse.mountinfo(self.text("/proc/self/mountinfo") or "")

    @cached_property
    def token(self) -> parse.ServiceAccountToken:
        """The pod's service account token: decoded, never verified, never kept."""
        return parse.service_account_token(self.text(f"{SERVICE_ACCOUNT}/token") or "")

    @cached_property
    def aks(self) -> parse.AksCluster | None:
        candidates = (
            self.env("CLUSTER_RESOURCE_ID"),
            self.env("AKS_ARM_NAMESPACE_ID"),
            self.text(AKS_METADATA) or "",
            self.text(f"{AKS_METADATA}/clusterResourceId") or "",
        )
        return next((found for found in map(parse.aks_resource_id, candidates) if found), None)

    @cached_property
    def container_marker(self) -> str:
        """What a container manager wrote about itself, in systemd's order of trust."""
        for path in ("/run/host/container-manager", "/run/systemd/container"):
            if name := (self.text(path) or "").strip():
                return name
        if name := self.env("container").strip():
            return name
        return parse.environ_block(self.text("/proc/1/environ") or "").get("container", "")

    @cached_property
    def containerenv(self) -> Mapping[str, str]:
        return parse.quoted_pairs(self.text("/run/.containerenv") or "")
