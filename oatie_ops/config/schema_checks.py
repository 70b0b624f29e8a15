"""The schema of ``[services.NAME] check``: one class for each type of check."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
)

from oatie_ops.config import defaults
from oatie_ops.config.conditions import parse
from oatie_ops.config.fields import (
    Argv,
    Duration,
    HttpPath,
    PositiveDuration,
    SecretText,
    Size,
    Strings,
    refuse,
    url_of,
)
from oatie_ops.config.schema_table import Table

Percent = Annotated[float, Field(ge=0, le=100)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]


class Check(Table):
    interval: PositiveDuration = defaults.CHECK_INTERVAL_SECONDS
    """Time from the start of one check to the start of the next."""
    timeout: PositiveDuration = defaults.CHECK_TIMEOUT_SECONDS
    """A check that has not answered by then has failed."""
    rise: int = Field(default=defaults.CHECK_RISE, ge=1)
    """Passes in a row after which a failed service counts as healthy again."""
    fall: int = Field(default=defaults.CHECK_FALL, ge=1)
    """Failures in a row after which the service counts as failed."""
    warn_after: PositiveDuration | None = None
    """A pass that took longer than this is a warning."""
    groups: list[Literal["live", "ready", "startup"]] = Field(default_factory=list)
    """Health groups whose answer this check decides too."""


def _statuses(value: Any) -> Any:
    values = value if isinstance(value, list) else [value]
    texts = [str(item).strip().lower() for item in values if not isinstance(item, bool)]
    if len(texts) != len(values) or not texts or not all(_STATUS.fullmatch(text) for text in texts):
        raise refuse('must be a status such as 204, "2xx", "200-399", or a list of those')
    return texts


_STATUS = re.compile(r"[1-5](xx|\d\d)|[1-5]\d\d-[1-5]\d\d", re.ASCII)
Statuses = Annotated[
    list[str],
    BeforeValidator(_statuses),
    WithJsonSchema({"type": ["string", "integer", "array"], "examples": ["2xx", 204, [200, 204]]}),
]


def _wanted(value: Any) -> Any:
    """The conditions of `oatie_ops.config.conditions`, judged here where the file can still be named."""
    try:
        parse(value)
    except ValueError as error:
        raise refuse(f"is no condition: {error}") from error
    return value


Wanted = Annotated[bool | int | float | str, AfterValidator(_wanted)]
HttpUrl = Annotated[SecretText, url_of("http", "https")]
TcpUrl = Annotated[SecretText, url_of("tcp")]
PostgresUrl = Annotated[SecretText, url_of("postgresql", "postgres")]
RedisUrl = Annotated[SecretText, url_of("redis", "rediss", "unix")]


class HttpCheck(Check):
    """An HTTP request is answered with an accepted status."""

    type: Literal["http"]
    url: HttpUrl | None = None
    """http:// or https:// address."""
    path: HttpPath | None = None
    """Path on the application's own address, instead of `url`."""
    method: Literal["GET", "HEAD", "POST", "PUT", "OPTIONS"] = "GET"
    """Request method."""
    status: Statuses = Field(default_factory=lambda: ["2xx"])
    """Status codes that pass."""
    headers: dict[str, SecretText] = Field(default_factory=dict)
    """Headers of the request."""
    contains: str | None = None
    """Text that the body must hold."""
    expect: dict[str, Wanted] = Field(default_factory=dict)
    """Values of the JSON body by their path: {"queue.depth" = "< 100"}; what is missing fails."""
    body: SecretText | None = None
    """Body of the request."""
    redirects: bool | Literal["same-host"] = False
    """Follow redirects, everywhere or on the same host; without it a redirect is an answer like any other."""
    verify_tls: bool = True
    """Check the certificate; else of its expiry only a limit that is set here is looked at."""
    ca_file: str | None = None
    """Certificates to trust instead of the system's."""
    expiry_warn_days: NotNegative = 14
    """Days before the certificate expires from which it is degraded."""
    expiry_fail_days: NotNegative = 0
    """Days before the certificate expires from which it has failed."""


class TcpCheck(Check):
    """A connection is accepted."""

    type: Literal["tcp"]
    host: str = "127.0.0.1"
    """Address or host name."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Port."""
    url: TcpUrl | None = None
    """tcp://host:port, instead of `host` and `port`."""


class TlsCheck(Check):
    """A TLS handshake succeeds with a certificate that is trusted and not about to expire."""

    type: Literal["tls"]
    host: str
    """Address or host name."""
    port: int = Field(default=443, ge=1, le=65535)
    """Port."""
    server_name: str | None = None
    """Name that the certificate must hold; `host` without it."""
    verify_tls: bool = True
    """Check the certificate; else of its expiry only a limit that is set here is looked at."""
    ca_file: str | None = None
    """Certificates to trust instead of the system's."""
    expiry_warn_days: NotNegative = 14
    """Days before the certificate expires from which it is degraded."""
    expiry_fail_days: NotNegative = 0
    """Days before the certificate expires from which it has failed."""


class DnsCheck(Check):
    """A name server has a record."""

    type: Literal["dns"]
    name: str
    """Name to ask for."""
    record: Literal["A", "AAAA", "CNAME", "MX", "NS", "TXT"] = "A"
    """Type of the record."""
    server: str | None = None
    """Address of the name server; the first one of the system without it."""
    port: int = Field(default=53, ge=1, le=65535)
    """Port of the name server."""
    expect: Strings = Field(default_factory=list)
    """Values that the answer must hold."""


class PostgresCheck(Check):
    """A query is answered."""

    type: Literal["postgres"]
    url: PostgresUrl
    """postgresql:// address; take it from the environment: "${DATABASE_URL}"."""
    query: str = "SELECT 1"
    """Query to run, in a read-only session."""
    expect: Wanted | None = None
    """What the first value of the answer must be: a value, or a condition such as "< 100"."""
    role: Literal["primary", "replica"] | None = None
    """Role that the server must have."""
    lag_warn: PositiveDuration | None = None
    """Replication lag from which it is degraded."""
    lag_fail: PositiveDuration | None = None
    """Replication lag from which it has failed."""


class RedisCheck(Check):
    """PING is answered."""

    type: Literal["redis"]
    url: RedisUrl
    """redis:// address; take it from the environment: "${REDIS_URL}"."""
    role: Literal["primary", "replica", "master", "slave"] | None = None
    """Role that the server must have."""
    memory_warn: Percent | None = None
    """Percent of maxmemory (or of the host's memory) from which it is degraded."""
    memory_fail: Percent | None = None
    """Percent of maxmemory (or of the host's memory) from which it has failed."""


class SqliteCheck(Check):
    """A SQLite database opens and answers."""

    type: Literal["sqlite"]
    path: str
    """File of the database."""
    query: str = "SELECT 1"
    """Query to run."""
    expect: Wanted | None = None
    """What the first value of the answer must be: a value, or a condition such as "< 100"."""
    integrity: bool = False
    """Look for damage too (PRAGMA quick_check), which reads the whole file."""


class ProcessCheck(Check):
    """A process lives: give `pid_file` or `name`."""

    type: Literal["process"]
    pid_file: str | None = None
    """File that holds its process id."""
    name: str | None = None
    """Name of its program."""


class CommandCheck(Check):
    """A program exits with 0."""

    type: Literal["command"]
    run: Argv
    """Program and arguments, run without a shell in the project's directory."""
    exit_codes: Literal["plain", "nagios"] = "plain"
    """`nagios`: 1 warns, 2 fails, else unknown; `plain`: all but 0 fails."""


class DockerCheck(Check):
    """A container runs, and is healthy where it has a check of its own."""

    type: Literal["docker"]
    container: str
    """Its name or id."""
    socket: str | None = None
    """Unix socket of the Docker Engine; that of DOCKER_HOST or /var/run/docker.sock without it."""


class HeartbeatCheck(Check):
    """The service calls in (POST /health/services/NAME/heartbeat); silence fails."""

    type: Literal["heartbeat"]
    every: PositiveDuration = 60.0
    """How often it calls in."""
    grace: Duration = 10.0
    """How much later than that it may be."""
    interval: PositiveDuration = 5.0
    """Time from the start of one check to the start of the next."""
    rise: int = Field(default=1, ge=1)
    """Passes in a row after which a failed service counts as healthy again."""
    fall: int = Field(default=1, ge=1)
    """Failures in a row after which the service counts as failed."""


class Limited(Check):
    """A figure with limits; each is left where `*_leave` says, or a little below where it is entered."""

    warn_leave: NotNegative | None = None
    """Below this it is no longer degraded."""
    fail_leave: NotNegative | None = None
    """Below this it has no longer failed."""


class DiskCheck(Limited):
    """Disk space in use."""

    type: Literal["disk"]
    path: str = "."
    """Any path on the file system; the one that holds the application without it."""
    warn: Percent = 80.0
    """Percent in use from which it is degraded."""
    fail: Percent = 90.0
    """Percent in use from which it has failed."""
    min_free: Size = 0
    """Fails below this much free space, whatever the percentage."""
    inodes_warn: Percent = 90.0
    """Percent of inodes in use from which it is degraded."""
    inodes_fail: Percent = 98.0
    """Percent of inodes in use from which it has failed."""


class MemoryCheck(Limited):
    """Memory in use."""

    type: Literal["memory"]
    warn: Percent = 80.0
    """Percent in use from which it is degraded."""
    fail: Percent = 90.0
    """Percent in use from which it has failed."""


class LoadCheck(Limited):
    """Load average of five minutes, for each processor."""

    type: Literal["load"]
    warn: NotNegative = 2.0
    """Load per processor from which it is degraded."""
    fail: NotNegative = 8.0
    """Load per processor from which it has failed."""


class PressureCheck(Limited):
    """Time that tasks lost waiting for a resource (Linux pressure stall information)."""

    type: Literal["pressure"]
    resource: Literal["cpu", "memory", "io"] = "memory"
    """What they wait for."""
    warn: Percent = 20.0
    """Percent of the last minute from which it is degraded."""
    fail: Percent = 60.0
    """Percent of the last minute from which it has failed."""


class FdsCheck(Limited):
    """Open files of oatie, its workers and the host."""

    type: Literal["fds"]
    warn: Percent = 80.0
    """Percent of the limit from which it is degraded."""
    fail: Percent = 95.0
    """Percent of the limit from which it has failed."""


class DiskIoCheck(Limited):
    """Time in which a disk was busy."""

    type: Literal["diskio"]
    device: str | None = None
    """Name of the disk, such as "sda"; the busiest without it."""
    warn: Percent = 90.0
    """Percent of the time from which it is degraded."""
    fail: Percent = 99.0
    """Percent of the time from which it has failed."""


class NetworkCheck(Limited):
    """Packets lost to errors and drops."""

    type: Literal["network"]
    interface: str | None = None
    """Name of the interface, such as "eth0"; the worst without it."""
    warn: Percent = 1.0
    """Percent of packets from which it is degraded."""
    fail: Percent = 10.0
    """Percent of packets from which it has failed."""


class CpuCheck(Limited):
    """Processor time in use."""

    type: Literal["cpu"]
    warn: Percent = 85.0
    """Percent in use from which it is degraded."""
    fail: Percent = 95.0
    """Percent in use from which it has failed."""


AnyCheck = Annotated[
    HttpCheck
    | TcpCheck
    | PostgresCheck
    | RedisCheck
    | SqliteCheck
    | ProcessCheck
    | CommandCheck
    | DockerCheck
    | HeartbeatCheck
    | TlsCheck
    | DnsCheck
    | DiskCheck
    | MemoryCheck
    | CpuCheck
    | LoadCheck
    | PressureCheck
    | FdsCheck
    | DiskIoCheck
    | NetworkCheck,
    Field(discriminator="type"),
]
