"""Wrong tokens cost time: who sends several is not listened to for a while, each time for longer. Pure."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

FREE_TRIES = 5
WINDOW_SECONDS = 60.0
FIRST_LOCK_SECONDS = 15.0
MAX_LOCK_SECONDS = 900.0
MAX_ADDRESSES = 1024


@dataclass
class _Record:
    tries: list[float] = field(default_factory=list)
    locks: int = 0
    until: float = 0.0


@dataclass
class Lockout:
    """By address; IPv6 by the /64 that one customer gets. ``clock`` gives monotonic seconds.

    The owner's Unix socket and sessions that are open are not asked here: nobody can lock the owner out.
    """

    clock: Callable[[], float]
    _records: OrderedDict[str, _Record] = field(default_factory=OrderedDict)

    def seconds_left(self, address: str) -> float:
        """0 for whom may try."""
        record = self._records.get(network_of(address))
        return 0.0 if record is None else max(0.0, record.until - self.clock())

    def failed(self, address: str) -> bool:
        """Counts a wrong token; True where this one brought a lock."""
        now, key = self.clock(), network_of(address)
        record = self._records.pop(key, None) or _Record()
        self._records[key] = record
        while len(self._records) > MAX_ADDRESSES:
            self._records.popitem(last=False)
        if now - record.until > MAX_LOCK_SECONDS:
            record.locks = 0
        record.tries = [at for at in record.tries if now - at < WINDOW_SECONDS] + [now]
        if len(record.tries) <= FREE_TRIES:
            return False
        record.tries = []
        record.until = now + min(MAX_LOCK_SECONDS, FIRST_LOCK_SECONDS * 4**record.locks)
        record.locks += 1
        return True


def network_of(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    mapped = parsed.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
