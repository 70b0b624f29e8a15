"""``{ type = "dns", name = "api.example", record = "A", server = "10.0.0.2", expect = ["10.0.0.9"] }``.

Asks one name server over UDP, and over TCP where the answer was truncated (RFC 1035 §4.2). Without
``server`` the first one of /etc/resolv.conf is asked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from dataclasses import dataclass
from pathlib import Path

from oatie_ops.health import dns_wire
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.net import Target, connect, reason

RESOLV_CONF = Path("/etc/resolv.conf")
# A lost datagram is not a dead server; within the deadline it is sent again.
RESEND_SECONDS = 0.5


class _Answers(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes | OSError] = asyncio.Queue(maxsize=16)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.messages.full():
            self.messages.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, OSError) and not self.messages.full():
            self.messages.put_nowait(exc)


@dataclass(frozen=True)
class DnsCheck:
    spec: CheckSpec
    tools: Tools
    name: str
    kind: str
    server: Target | None
    expect: frozenset[str]

    async def run(self, attempt: Attempt) -> Result:
        server = self.server or await self.tools.threads.call(self.spec.key, system_server, attempt)
        if server is None:
            return Result(Status.UNKNOWN, f"{RESOLV_CONF} names no server; declare `server`")
        number = random.getrandbits(16)
        message = dns_wire.question(number, self.name, self.kind)
        attempt.waiting_for = f"waiting for the name server {server}"
        try:
            answer = await _over_udp(server, message, number, self.kind)
            if answer.truncated:
                answer = await self._over_tcp(server, message, number, attempt)
        except dns_wire.Malformed as error:
            return Result(Status.FAIL, f"the name server {server}: {error}")
        except OSError as error:
            return Result(Status.FAIL, f"the name server {server}: {reason(error)}")
        return self.judge(answer, server)

    def judge(self, answer: dns_wire.Answer, server: Target) -> Result:
        asked = f"{self.kind} of {self.name} at {server}"
        if answer.code != "NOERROR":
            return Result(Status.FAIL, f"{asked}: {answer.code}")
        if not answer.records:
            return Result(Status.FAIL, f"{asked}: no such record")
        missing = sorted(self.expect - set(answer.records))
        found = ", ".join(answer.records[:5])
        if missing:
            return Result(Status.FAIL, f"{asked}: {found} (missing: {', '.join(missing)})")
        return Result(Status.PASS, f"{asked}: {found}", float(len(answer.records)), "records")

    async def _over_tcp(
        self, server: Target, message: bytes, number: int, attempt: Attempt
    ) -> dns_wire.Answer:
        reader, writer = await connect(server, attempt, self.tools.threads, self.spec.key)
        try:
            writer.write(len(message).to_bytes(2, "big") + message)
            size = int.from_bytes(await reader.readexactly(2), "big")
            return dns_wire.read(await reader.readexactly(size), number, self.kind)
        except asyncio.IncompleteReadError as error:
            raise dns_wire.Malformed("its answer is cut short") from error
        finally:
            writer.transport.abort()


async def _over_udp(server: Target, message: bytes, number: int, kind: str) -> dns_wire.Answer:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        _Answers, remote_addr=(server.host, server.port)
    )
    try:
        while True:
            transport.sendto(message)
            try:
                async with asyncio.timeout(RESEND_SECONDS):
                    return await _first_of(protocol.messages, number, kind)
            except TimeoutError:
                continue
    finally:
        transport.abort()


async def _first_of(messages: asyncio.Queue[bytes | OSError], number: int, kind: str) -> dns_wire.Answer:
    while True:
        message = await messages.get()
        if isinstance(message, OSError):
            raise message
        if message[:2] == number.to_bytes(2, "big"):
            return dns_wire.read(message, number, kind)


def system_server() -> Target | None:
    """resolv.conf(5). Raises `OSError`."""
    for line in RESOLV_CONF.read_text(errors="replace").splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            return Target(words[1], 53)
    return None


def build(spec: CheckSpec, tools: Tools) -> Check:
    options = spec.options
    name, kind = str(options.get("name") or ""), str(options.get("record", "A")).upper()
    if not name or kind not in dns_wire.TYPES:
        raise CheckUnusable(f"a dns check needs name, and a record of {', '.join(dns_wire.TYPES)}")
    dns_wire.question(0, name, kind)
    server = None
    if options.get("server"):
        # Looking up the name server's own name would hide that name servers are what is checked.
        address = str(ipaddress.ip_address(str(options["server"])))
        server = Target(address, int(options.get("port", 53)))
    expect = frozenset(str(item).rstrip(".").lower() for item in options.get("expect", ()))
    return DnsCheck(spec, tools, name, kind, server, expect)
