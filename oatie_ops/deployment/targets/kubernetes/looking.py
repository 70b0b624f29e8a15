"""What is in the way of a deploy to a cluster, found before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator

from oatie_ops.config.address import is_loopback, listen_address
from oatie_ops.config.settings import Settings
from oatie_ops.config.settings_engines import KubernetesSettings
from oatie_ops.deployment.problem import Problem
from oatie_ops.deployment.targets.kubernetes.client import Cluster
from oatie_ops.deployment.targets.kubernetes.errors import ClusterError
from oatie_ops.deployment.targets.kubernetes.live import is_ours
from oatie_ops.deployment.targets.kubernetes.paths import path
from oatie_ops.deployment.targets.kubernetes.pod import probes_the_ops_api
from oatie_ops.errors import OatieError

SLEEP_SINCE = (1, 30)
# What is named as the application is: another one of that name would be changed by the apply, and removed
# by an undo.
OWN_NAMES = ("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler", "Ingress")


def declared(settings: Settings) -> Iterator[Problem]:
    """What oatie.toml alone tells."""
    kube, container = settings.kubernetes, settings.container
    if container.user is not None and not all(part.isdecimal() for part in container.user.split(":")):
        yield Problem(
            f"a pod cannot run as {container.user!r}",
            "only the image knows names of users",
            'write numbers, such as user = "10001:10001", in [container]',
        )
    if kube.autoscale is not None and not container.cpus:
        yield Problem(
            "the autoscaler has nothing to go by",
            "its percentage is one of the processor time that a pod asks for, and none is asked for",
            "set cpus in [container]",
        )
    if kube.node_port is not None and kube.service_type == "ClusterIP":
        yield Problem(
            "node_port needs a Service that is published",
            'service_type is "ClusterIP"',
            'set service_type = "NodePort" in [kubernetes]',
        )
    listen = listen_address(settings.ops.listen)
    if kube.probes == "ops" and (listen is None or is_loopback(listen[0])):
        yield Problem(
            "the probes cannot reach the ops API",
            f"they come from outside the pod, and [ops] listen is {settings.ops.listen!r}",
            'set listen = "0.0.0.0:8000" in [ops], or probes = "app" in [kubernetes]',
        )
    image = settings.image
    if image.use is None and not (image.push and image.repository) and image.pull != "never":
        yield Problem(
            "the nodes cannot get the image",
            "it is built here and pushed nowhere",
            'in [image] set repository and push = true, or use = "IMAGE"; pull = "never" where nodes have it',
        )


def notes(settings: Settings) -> Iterator[str]:
    use = settings.image.use
    if use is not None and "@" not in use:
        yield f"{use} is not pinned by a digest: pods that start later may get another image under that name"
    asks_ops, command = probes_the_ops_api(settings), settings.app.command
    if settings.kubernetes.probes == "auto" and asks_ops and use and command:
        yield (
            f"the probes ask the ops API at {settings.ops.listen}, which `{command[0]}` has to serve; "
            'with probes = "app" in [kubernetes] they ask the application'
        )
    if settings.app.ready is None and not asks_ops:
        yield "without `ready` in [app], a pod counts as ready when its port accepts connections"


def version(cluster: Cluster) -> tuple[str, tuple[int, int]]:
    """As text, and as (major, minor). Raises `OatieError`."""
    found = cluster.get("/version")
    digits = "".join(filter(str.isdigit, str(found.get("minor", "0")))) or "0"
    return str(found.get("gitVersion", "unknown")), (int(found.get("major") or 1), int(digits))


def reached(cluster: Cluster, name: str, kubernetes: KubernetesSettings) -> Iterator[Problem]:
    """What only the cluster tells. An answer that nobody may have is no problem in itself."""
    try:
        found = cluster.get(f"/api/v1/namespaces/{cluster.namespace}")
        if (found.get("status") or {}).get("phase") == "Terminating":
            yield Problem(
                f"the namespace {cluster.namespace} is being deleted",
                "the cluster makes nothing new in it",
                "wait until it is gone, and create it again; or set namespace in [kubernetes]",
            )
            return
    except ClusterError as error:
        if error.status == 404:
            yield Problem(
                f"there is no namespace {cluster.namespace}",
                f"{cluster.url} does not have it",
                f"`kubectl create namespace {cluster.namespace}`, or set namespace in [kubernetes]",
            )
            return
        if error.status != 403:
            raise
    for kind in OWN_NAMES if kubernetes.service_account else (*OWN_NAMES, "ServiceAccount"):
        # What nobody may look at is found out by the apply.
        there = cluster.get_if_allowed(path(cluster.namespace, kind, name))
        if there is not None and not is_ours(there):
            yield Problem(
                f"there is a {kind} {name} that oatie has not made",
                f"it is in the namespace {cluster.namespace}, without the label of oatie",
                f"give the application another name in [app], or remove that {kind}",
            )
        elif there is not None and kind == "Deployment" and there["spec"].get("paused"):
            yield Problem(
                "the Deployment is paused",
                "no change of it is rolled out, and none is taken back, until somebody resumes it",
                f"`kubectl rollout resume deployment {name} -n {cluster.namespace}`",
            )


def problem(error: OatieError) -> Problem:
    return Problem(error.what, error.why, error.fix or "`oatie doctor --target kubernetes` tells more")


def sleeps(found: tuple[int, int]) -> bool:
    return found >= SLEEP_SINCE
