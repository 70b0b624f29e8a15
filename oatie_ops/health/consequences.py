"""Which failure follows from which: walks the ``needs`` up to the service that explains it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from oatie_ops.health.model import ServiceState, Status


def cause_of(name: str, services: Mapping[str, ServiceState]) -> str:
    """The failed service at the end of the chain, or ``""`` where ``name`` passes or nothing explains it.

    Only a failed parent explains: one that is degraded still works. A circle explains nothing further.
    """
    if services[name].status is Status.PASS:
        return ""
    seen = {name}
    at, root = name, ""
    while True:
        failed = [
            need
            for need in services[at].needs
            if need in services and need not in seen and services[need].status is Status.FAIL
        ]
        if not failed:
            return root
        at = root = failed[0]
        seen.add(at)
