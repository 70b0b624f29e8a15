"""The schema of what engines run: ``[image]``, ``[container]``, ``[docker]``, ``[swarm]``, ``[kubernetes]``,
``[proxy]`` and ``[accessories.NAME]``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from oatie_ops.config import defaults
from oatie_ops.config.fields import (
    AcmeUrl,
    Argv,
    Duration,
    EnvironmentText,
    HttpPath,
    Port,
    PositiveDuration,
    Size,
    Strings,
    VariableName,
)
from oatie_ops.config.schema_table import Table


class Image(Table):
    """The image that a release is, on engines that run containers."""

    use: str | None = None
    """A ready image to run as it is, instead of building one."""
    dockerfile: str = "Dockerfile"
    """File that the image is built from; without it oatie takes the one that `oatie init --docker` writes."""
    context: str = "."
    """Directory that the build may read; its .dockerignore is respected."""
    stage: str | None = None
    """Build only up to this stage of the Dockerfile."""
    args: dict[str, str] = Field(default_factory=dict)
    """Build arguments. They stay visible in the image: never a secret."""
    repository: str | None = None
    """Name of the image without a tag, with its registry where there is one."""
    push: bool = False
    """Push the image to `repository`, so that other nodes can pull it."""
    pull: Literal["missing", "always", "never"] = "missing"
    """When `use`, and the images of accessories, are pulled."""


class Healthcheck(Table):
    """How the engine itself finds out whether a container is healthy."""

    test: str | Argv
    """A shell command, or a program with arguments; exit code 0 is healthy."""
    interval: PositiveDuration = 10.0
    """Time between two tests."""
    timeout: PositiveDuration = 9.0
    """A test that has not ended by then has failed."""
    retries: int = Field(default=3, ge=1)
    """Failures in a row after which the container is unhealthy."""
    start_period: Duration = 0.0
    """Failures within this time after the start do not count."""


class Container(Table):
    """One container of the application, on any engine."""

    port: Port | None = None
    """Port that the application listens on inside; it gets it as $PORT. Without it, that of [app]."""
    memory: Size = 0
    """Limit of memory; 0: none."""
    cpus: Annotated[float, Field(ge=0)] = 0.0
    """Limit of processors; 0: none."""
    pids: int = Field(default=0, ge=0)
    """Limit of processes; 0: none."""
    user: str | None = None
    """User inside, as "name" or "uid:gid"; without it the one of the image."""
    read_only: bool = False
    """Mount the root file system read-only; /tmp is a tmpfs then."""
    init: bool = True
    """A small init as process 1 reaps children and passes signals on."""
    stop_signal: str | None = None
    """Signal to stop with; without it the one of the image, else SIGTERM."""
    healthcheck: Healthcheck | None = None
    """Replaces the health check of the image."""
    volumes: Strings = Field(default_factory=list)
    """"name:/path" or "/host/path:/path", with ":ro" to read only."""
    labels: dict[str, str] = Field(default_factory=dict)
    """More labels."""


class Docker(Table):
    """The target "docker": one engine, behind Caddy."""

    host: str | None = None
    """Address of the engine; without it $DOCKER_HOST, else the engine of this machine."""
    replicas: int = Field(default=1, ge=1, le=16)
    """Containers of the application."""
    restart: Literal["no", "on-failure", "always", "unless-stopped"] = "unless-stopped"
    """Restart policy of the containers that serve."""
    log_driver: str | None = None
    """Log driver; without it the one of the engine."""
    log_options: dict[str, str] = Field(default_factory=dict)
    """Options of the log driver; json-file rotates 3 files of 10 MB without any."""
    networks: Strings = Field(default_factory=list)
    """More networks, which exist already, to connect to."""
    accessory_timeout: PositiveDuration = defaults.ACCESSORY_TIMEOUT_SECONDS
    """How long an accessory may take to become healthy."""


class Swarm(Table):
    """The target "swarm": a service on the nodes of a swarm."""

    host: str | None = None
    """Address of a manager; without it $DOCKER_HOST, else the engine of this machine."""
    replicas: int = Field(default=2, ge=1, le=1000)
    """Tasks of the service."""
    constraints: Strings = Field(default_factory=list)
    """Where tasks may run, such as "node.role == worker"."""
    configs: dict[str, str] = Field(default_factory=dict)
    """Files of the checkout, as swarm configs: path in the container to path in the checkout."""
    networks: Strings = Field(default_factory=list)
    """Overlay networks to connect to; those that do not exist are made."""
    endpoint_mode: Literal["vip", "dnsrr"] = "vip"
    """One virtual address, or the addresses of all tasks by DNS."""
    publish: Literal["ingress", "host", "none"] = "ingress"
    """Publish [app] port on every node, on the nodes with a task, or not at all."""
    parallelism: int = Field(default=1, ge=1)
    """Tasks that are updated at the same time."""
    monitor: PositiveDuration | None = None
    """How long a new task is watched for failures; without it as long as the health check needs to tell."""
    timeout: PositiveDuration = defaults.ROLLOUT_TIMEOUT_SECONDS
    """Deadline of a whole rollout. After it the update is undone."""
    registry_auth: bool = False
    """Hand the credentials of the registry to the nodes."""
    engines: dict[str, str] = Field(default_factory=dict)
    """Addresses of the engines of other nodes by host name, for `oatie status|health --all`."""


class Ingress(Table):
    """HTTP from outside the cluster."""

    host: str
    """Host name."""
    class_name: str | None = None
    """Ingress class; without it the default one of the cluster."""
    tls_secret: str | None = None
    """Secret with the certificate."""
    path: HttpPath = "/"
    """Path prefix."""


class Autoscale(Table):
    """A HorizontalPodAutoscaler (autoscaling/v2), which then owns the number of pods."""

    min: int = Field(default=2, ge=1)
    """Fewest pods."""
    max: int = Field(default=10, ge=1)
    """Most pods."""
    cpu: int = Field(default=65, ge=1, le=100)
    """Percent of the requested processor time that is aimed at; needs [container] cpus."""


class Kubernetes(Table):
    """The target "kubernetes"."""

    context: str | None = None
    """Context of the kubeconfig; without it the current one, or that of the pod this runs in."""
    kubeconfig: str | None = None
    """File; without it $KUBECONFIG, else ~/.kube/config."""
    namespace: str | None = None
    """Namespace; without it that of the context."""
    replicas: int = Field(default=2, ge=1)
    """Pods of the application."""
    timeout: PositiveDuration = defaults.ROLLOUT_TIMEOUT_SECONDS
    """Deadline of a whole rollout. After it the rollout is undone."""
    unschedulable: PositiveDuration = 20.0
    """How long a pod may find no node; raise it where nodes are added on demand."""
    pre_stop: Duration = 5.0
    """A pod that is to go still answers for so long, until nobody sends it requests any more."""
    min_ready: Duration = 2.0
    """How long a pod must be ready before the rollout goes on."""
    probes: Literal["auto", "app", "ops"] = "auto"
    """What is asked: the application, or the ops API in the pod ("auto": that, where it listens wide)."""
    service_account: str | None = None
    """Service account to run as; without it one of the application's name, without any rights."""
    pull_secrets: Strings = Field(default_factory=list)
    """Secrets with the credentials of the registry."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that a node must have."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of the pods."""
    service_type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """Type of the Service."""
    node_port: int | None = Field(default=None, ge=1, le=65535)
    """Port on every node, with service_type = "NodePort"."""
    ingress: Ingress | None = None
    """An Ingress for a host name."""
    autoscale: Autoscale | None = None
    """Scale with the load, between two bounds."""
    force_conflicts: bool = False
    """Take fields over that another field manager owns."""


class Proxy(Table):
    """Caddy, in front of containers and of programs that cannot share a socket."""

    enabled: bool | None = None
    """Put Caddy in front. Without it: where the target is "docker"."""
    admin: str = defaults.PROXY_ADMIN
    """Address of Caddy's admin API, "host:port" or "unix//path"."""
    image: str | None = None
    """Image to run Caddy from, where no Caddy runs and none is installed (target docker)."""
    hosts: Strings = Field(default_factory=list)
    """Host names to answer for; without any, every request to [app] port."""
    tls: Literal["auto", "internal", "off", "files"] = "auto"
    """Certificates for `hosts`: "auto" (ACME), "internal" (Caddy's own authority), "files", or "off"."""
    acme_ca: AcmeUrl | None = None
    """Directory of another ACME authority for tls = "auto": step-ca, Vault, another Caddy."""
    acme_ca_root: str | None = None
    """File with the root certificate (PEM) that `acme_ca` itself is trusted by, where the system has none."""
    certificate: str | None = None
    """File with the certificate chain, for tls = "files"."""
    key: str | None = None
    """File with the private key, for tls = "files"."""
    switch_directory: str | None = None
    """Directory that Caddy can read, where the switch between releases is kept."""


class Accessory(Table):
    """A container that the application needs. Only `oatie deploy --accessory NAME` changes it."""

    image: str
    """Image to run."""
    command: Argv | None = None
    """Program and arguments instead of those of the image."""
    env: dict[VariableName, EnvironmentText] = Field(default_factory=dict)
    """Environment variables."""
    volumes: Strings = Field(default_factory=list)
    """"name:/path" or "/host/path:/path", with ":ro" to read only."""
    ports: Strings = Field(default_factory=list)
    """"127.0.0.1:5432:5432"; not needed for the application, which reaches it by its name."""
    healthcheck: Healthcheck | None = None
    """How it is found out that it is ready."""
    memory: Size = 0
    """Limit of memory; 0: none."""
    cpus: Annotated[float, Field(ge=0)] = 0.0
    """Limit of processors; 0: none."""
    user: str | None = None
    """User inside, as "name" or "uid:gid"."""
    labels: dict[str, str] = Field(default_factory=dict)
    """More labels."""
