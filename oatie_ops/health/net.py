"""Name lookup and connecting for the checks that go over the network, within the check's deadline."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.threads import CheckThreads
from oatie_ops.health.wire import StreamWire, Wire, open_plain

# With more than one address, one that swallows packets must leave time for the others.
ADDRESS_PATIENCE_SECONDS = 0.75

T = TypeVar("T")


class Unreachable(OSError):
    """No connection; the message names the address and the reason in the field's words."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.strerror = message


@dataclass(frozen=True)
class Target:
    """``tls`` None means plain text. ``server_name`` is asked for and verified; ``host`` without it."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str = ""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def tls_context(verify: bool, ca_file: str = "") -> ssl.SSLContext:
    """Blocks. Trusts what the system trusts, or ``ca_file`` alone; without ``verify`` it asks nobody.

    Raises `Unreachable` for a file that holds no certificate.
    """
    if not verify:
        return _careless_context()
    if not ca_file:
        return _trusting_context()
    try:
        # Read each time: certificate authorities are replaced while oatie runs.
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise Unreachable(f"ca_file {ca_file} cannot be used: {error.strerror or error}") from error


@functools.cache
def _trusting_context() -> ssl.SSLContext:
    """Reading what the system trusts takes tens of milliseconds, so it is kept."""
    return ssl.create_default_context()


@functools.cache
def _careless_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def connect(
    target: Target, attempt: Attempt, threads: CheckThreads, key: Hashable
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the first address that takes one. Raises `Unreachable`."""
    return await _first(target, attempt, await _addresses(target, attempt, threads, key), _open)


async def dial(target: Target, attempt: Attempt, threads: CheckThreads, key: Hashable) -> Wire:
    """As `connect`, for one request and its answer."""
    addresses = await _addresses(target, attempt, threads, key)
    if target.tls is None:
        return await _first(target, attempt, addresses, lambda address, _: open_plain(address, target.port))
    return StreamWire(*await _first(target, attempt, addresses, _open))


async def _first(
    target: Target,
    attempt: Attempt,
    addresses: Sequence[str],
    open_one: Callable[[str, Target], Awaitable[T]],
) -> T:
    attempt.waiting_for = f"connecting to {target}{' and shaking hands for TLS' if target.tls else ''}"
    for address in addresses[:-1]:
        try:
            async with asyncio.timeout(ADDRESS_PATIENCE_SECONDS):
                return await open_one(address, target)
        except OSError:
            continue
    try:
        return await open_one(addresses[-1], target)
    except OSError as error:
        raise Unreachable(f"{target}: {reason(error)}") from error


def reason(error: OSError) -> str:
    """One phrase for people, without the errno and the address that asyncio puts into its texts."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused (nothing listens there)"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "connection reset by the other side"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error.strerror or 'unknown reason'}"
    if isinstance(error, TimeoutError):
        return "the network gave up (no answer to the connection request)"
    return error.strerror or str(error) or type(error).__name__


async def _open(address: str, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if target.tls is None:
        return await asyncio.open_connection(address, target.port)
    return await asyncio.open_connection(
        address, target.port, ssl=target.tls, server_hostname=target.server_name or target.host
    )


async def _addresses(target: Target, attempt: Attempt, threads: CheckThreads, key: Hashable) -> list[str]:
    if _is_address(target.host):
        return [target.host]
    attempt.waiting_for = f"looking up {target.host}"
    try:
        found = await threads.call(
            key, lambda: socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM), attempt
        )
    except (socket.gaierror, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a host name"
        raise Unreachable(f"{target.host}: cannot be looked up: {why}") from error
    return list(dict.fromkeys(str(info[4][0]) for info in found))


@functools.lru_cache(maxsize=4096)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
