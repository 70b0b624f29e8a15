"""Which declared service an address belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from oatie_ops.config.settings import ServiceSettings

PORTS = {"http": 80, "https": 443, "postgres": 5432, "postgresql": 5432, "redis": 6379, "rediss": 6379}
# Names of this machine; what a client is told by name it connects to by address.
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def service_of(address: str, services: Mapping[str, ServiceSettings]) -> str:
    """The name of the service whose check looks at ``address`` (``host:port``), else an empty text.

    Where the check names its host by name, the port alone decides, if no other service has it.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    same_port = []
    for name, service in services.items():
        declared = _declared(service)
        if declared is None or str(declared[1]) != port:
            continue
        if declared[0] == host or (declared[0] in LOOPBACK and host in LOOPBACK):
            return name
        if not _is_address(declared[0]):
            same_port.append(name)
    return same_port[0] if len(same_port) == 1 else ""


def _declared(service: ServiceSettings) -> tuple[str, int] | None:
    check = service.check or {}
    try:
        if url := check.get("url"):
            parts = urlsplit(str(url))
            port = parts.port or PORTS.get(parts.scheme)
            return (parts.hostname or "", port) if port else None
        if port := check.get("port"):
            return str(check.get("host") or "127.0.0.1"), int(port)
    except ValueError:  # a secret that has not been looked up stands where the port should be
        return None
    return None


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdecimal()
