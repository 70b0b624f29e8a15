"""The schema of the tables that nearly every oatie.toml has, apart from the large ones of `schema_services`
and `schema_engines`: a start with a new file imports what that file needs (`oatie_ops.config.sections`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from oatie_ops.config import defaults
from oatie_ops.config.fields import (
    SENSITIVE,
    Argv,
    Duration,
    EnvironmentText,
    Host,
    HttpPath,
    ImportString,
    Listen,
    LogLevel,
    Name,
    Origin,
    Port,
    PositiveDuration,
    ShareUrl,
    Size,
    Strings,
    VariableName,
)
from oatie_ops.config.schema_table import Table


class App(Table):
    """The application."""

    name: Name = "app"
    """Name of the application in status, logs and metrics."""
    run: ImportString | None = None
    """ASGI or WSGI object or factory, as module:attribute. Either this or `command`."""
    command: Argv | None = None
    """Any other program and its arguments, run without a shell. It must listen on $PORT."""
    socket: Literal["activation"] | None = None
    """"activation": the program of `command` takes the listening socket over (LISTEN_FDS)."""
    interface: Literal["auto", "asgi", "wsgi"] = "auto"
    """How `run` is called; found out by itself."""
    factory: bool | None = None
    """Whether `run` is a function that makes the application; found out by itself."""
    host: Host = defaults.APP_HOST
    """Address to listen on."""
    port: Port = defaults.APP_PORT
    """Port to listen on. $PORT of the platform goes before it."""
    workers: int = Field(default=defaults.APP_WORKERS, ge=1, le=1024)
    """Number of worker processes."""
    spare: int = Field(default=0, ge=0, le=64)
    """Booted workers in reserve: one replaces a dead worker at once."""
    ready: HttpPath | None = None
    """Path that must answer 2xx before a new worker gets any user; without it GET / below 500."""
    ready_host: str | None = None
    """Host header of the readiness probe, for applications that refuse unknown hosts."""
    ready_timeout: PositiveDuration = defaults.READY_TIMEOUT_SECONDS
    """How long a new worker may take to become ready."""
    drain: Duration = defaults.DRAIN_SECONDS
    """How long requests in flight may take to finish before an old worker is stopped."""
    stop_timeout: Duration = defaults.STOP_TIMEOUT_SECONDS
    """From the signal to stop to SIGKILL."""
    keep_alive: Duration = defaults.KEEP_ALIVE_SECONDS
    """How long an idle connection is kept. Longer than the idle time-out of the load balancer in front."""
    hang_timeout: Duration = defaults.HANG_TIMEOUT_SECONDS
    """A worker whose event loop is stuck this long is replaced; 0 turns it off."""
    boot_timeout: PositiveDuration = defaults.BOOT_TIMEOUT_SECONDS
    """How long a worker may take to load the application."""
    max_requests: int = Field(default=0, ge=0)
    """Requests after which a worker is replaced; 0: never."""
    max_rss: Size = 0
    """Resident memory above which a worker is replaced; 0: never."""
    max_age: Duration = 0.0
    """Age after which a worker is replaced; 0: never."""
    restart_limit: int = Field(default=defaults.RESTART_LIMIT, ge=0)
    """Crashes within `restart_window` after which restarts slow down and the state is reported as failed."""
    restart_window: PositiveDuration = defaults.RESTART_WINDOW_SECONDS
    """Window in which `restart_limit` counts."""
    log_level: LogLevel = "info"
    """How much is logged; reaches the application as LOG_LEVEL."""
    access_log: bool = False
    """Log each request."""
    loop: Literal["auto", "asyncio", "uvloop"] = "auto"
    """Event loop of the workers."""
    http: Literal["auto", "h11", "httptools"] = "auto"
    """HTTP parser of the workers."""
    debug: bool | None = None
    """Reaches the application as DEBUG."""
    cors_origins: Strings = Field(default_factory=list)
    """Reaches the application as CORS_ORIGINS, separated by commas."""
    cors_credentials: bool | None = None
    """Reaches the application as CORS_ALLOW_CREDENTIALS."""
    allowed_hosts: Strings = Field(default_factory=list)
    """Reaches the application as ALLOWED_HOSTS, separated by commas."""
    env: dict[VariableName, EnvironmentText] = Field(default_factory=dict)
    """More environment variables for the application. A variable that is set outside goes before."""
    env_file: str | None = None
    """File of NAME=value lines, relative to this file; they reach the application too."""


class Deploy(Table):
    """How a release is made and switched to."""

    target: Literal["process", "docker", "swarm", "kubernetes"] = "process"
    """Where the release runs."""
    build: Strings = Field(default_factory=list)
    """Shell commands that build a release, run in its directory with a virtual environment of its own."""
    build_timeout: PositiveDuration = defaults.BUILD_TIMEOUT_SECONDS
    """Deadline of the whole build."""
    release: str | None = None
    """Shell command that runs once before any new worker starts, such as a database migration."""
    release_timeout: PositiveDuration = defaults.RELEASE_TIMEOUT_SECONDS
    """Deadline of the release command."""
    bake: Duration = defaults.BAKE_SECONDS
    """How long the new release must behave before the old workers are let go."""
    bake_max_error_ratio: Annotated[float, Field(ge=0, le=1)] = defaults.BAKE_MAX_ERROR_RATIO
    """Share of 5xx answers during the bake above which the deploy is rolled back."""
    keep: int = Field(default=defaults.KEEP_RELEASES, ge=1)
    """Releases to keep for a rollback."""
    shared: list[str] = Field(default_factory=list)
    """Paths that every release shares instead of having a copy: data, uploads."""
    exclude: list[str] = Field(default_factory=list)
    """Patterns to leave out of a release, in addition to .gitignore."""


class Secrets(Table):
    """Where secret values come from."""

    backend: Literal["env", "file", "aws_secrets_manager", "gcp_secret_manager", "azure_key_vault"] | None = (
        None
    )
    """The store of secrets. $SECRETS_BACKEND goes before it."""
    name: str | None = None
    """Name of the secret ($AWS_SECRET_NAME goes before it)."""
    project: str | None = None
    """Google Cloud project ($GOOGLE_CLOUD_PROJECT goes before it)."""
    vault_url: str | None = None
    """Address of the Azure key vault ($AZURE_KEY_VAULT_URL goes before it)."""
    region: str | None = None
    """AWS region."""
    endpoint: str | None = None
    """Another address of the service."""
    path: str | None = None
    """File or directory of the backend `file`."""
    timeout: PositiveDuration = 5.0
    """Deadline for all of a look-up."""
    ttl: Duration = 300.0
    """How long a value is kept in memory."""
    expose: Literal["environment", "descriptor"] = "environment"
    """How the application gets what [app.env] takes from a store: "environment" as variables, which its
    children inherit; "descriptor" as one JSON object, read once from the file descriptor with the number in
    $OATIE_SECRETS_FD (build and release commands: from the file $OATIE_SECRETS_FILE, mode 0600)."""


class Ops(Table):
    """The ops API: health, metrics, dashboard."""

    listen: Listen = defaults.OPS_LISTEN
    """"host:port", or "off". With the default, the next free port where it is taken."""
    token_file: str | None = None
    """File of the tokens that programs and people prove themselves by (`oatie token`), mode 0600."""
    hosts: Strings = Field(default_factory=list)
    """Names, besides addresses and localhost, that the ops API is reached by."""
    cors_origins: list[Origin] = Field(default_factory=list)
    """Web pages of other origins that may read with a token, as https://host[:port]."""
    read_needs_token: bool = False
    """Ask for a token on loopback too: for machines with several users, or behind a proxy."""
    tls_certificate: str | None = None
    """PEM file with the certificate (and its chain): the ops API then speaks HTTPS alone."""
    tls_key: str | None = None
    """PEM file with its private key, where it is not in the same file."""
    public_details: bool = False
    """Tell details to everybody who can reach the ops API, without a token. Changes need one all the same."""


class Scale(Table):
    """How far `oatie scale` may go, by hand and by itself."""

    min: int = Field(default=1, ge=1, le=defaults.SCALE_MAX)
    """The fewest workers or replicas."""
    max: int = Field(default=defaults.SCALE_MAX, ge=1, le=defaults.SCALE_MAX)
    """The most."""
    auto: bool = False
    """Whether the supervisor follows the load by itself, within `min` and `max`."""
    startup: Duration = defaults.SCALE_STARTUP_SECONDS
    """Time until a new replica serves; the advice is replayed with it."""
    budget: Annotated[float, Field(gt=0, lt=0.5)] = defaults.SCALE_BUDGET
    """The share of the time that may be short of capacity."""


class Logs(Table):
    """Captured output of the workers."""

    max_size: Size = defaults.LOG_MAX_BYTES
    """Size at which a log file is rotated."""
    keep: int = Field(default=defaults.LOG_KEEP_FILES, ge=1)
    """Rotated files to keep."""


class Alert(Table):
    """Who is told, and how: one of `webhook`, `command`, `email`."""

    webhook: str | None = Field(default=None, json_schema_extra=SENSITIVE)
    """Address to POST to."""
    format: Literal["json", "slack", "alertmanager"] = "json"
    """Body of the webhook."""
    command: Argv | None = None
    """Program and arguments; the alert comes as JSON on its stdin."""
    email: Strings | None = None
    """Addresses to write to."""
    smtp: str | None = Field(default=None, json_schema_extra=SENSITIVE)
    """smtp:// or smtps:// address of the mail server."""
    delay: Duration = 0.0
    """How long a failure must last before it is told."""
    repeat: Duration = 0.0
    """Time between reminders; 0: none."""


class Switches(Table):
    """Decisions that running workers obey at once (`oatie degrade`), and when the load decides."""

    share: ShareUrl | None = None
    """redis:// or postgresql:// address that carries decisions to other hosts: "${REDIS_URL}"."""
    overload_lag: PositiveDuration = 0.25
    """How late the workers' event loops may be before services with auto = ["load"] are shed."""
    overload_in_flight: int = Field(default=0, ge=0)
    """Requests under way for each worker from which they are shed, too; 0: not looked at."""
