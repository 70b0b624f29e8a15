"""``oatie deploy --dry-run -o yaml``: the objects that a deploy to Kubernetes would apply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oatie_ops.cli.output import emit
from oatie_ops.errors import UsageError

if TYPE_CHECKING:
    from oatie_ops.config.load import Loaded
    from oatie_ops.paths import StatePaths


def require_possible(output: str, target: str, *, dry_run: bool) -> None:
    """Raises `UsageError`."""
    if output != "yaml":
        raise UsageError(f"-o {output!r} is no form that there is", fix="write `-o yaml`")
    if not dry_run or target != "kubernetes":
        raise UsageError(
            "-o yaml prints what would be applied to Kubernetes",
            fix="`oatie deploy --use-kubernetes --dry-run -o yaml`",
        )


def print_manifests(loaded: Loaded, paths: StatePaths) -> None:
    """No cluster is asked and no secret is looked up; secrets are shown as where they come from."""
    from oatie_ops.deployment.facts import history
    from oatie_ops.deployment.targets.kubernetes import configured, manifests, variables
    from oatie_ops.supervisor.spec import ReleaseSpec

    settings = loaded.settings
    number = str(history(paths).next_release)
    image = settings.image.use or f"{settings.image.repository or settings.app.name}:r{number}"
    spec = ReleaseSpec(number, settings.root, settings.app, image=image)
    target = configured(settings, paths)
    release = target.rendered(spec, sleep_action=True)
    plain, secret = variables.split(spec.app)
    found = manifests.config_objects(release, plain, {})
    if secret:
        found.append(manifests.shown_secret(release, variables.shown(spec.app, secret)))
    kube = settings.kubernetes
    found += manifests.objects(release, kube.autoscale["min"] if kube.autoscale else kube.replicas)
    try:
        emit(manifests.as_yaml(manifests.in_namespace(found, kube.namespace)).rstrip("\n"))
    except ImportError as error:
        from oatie_ops.deployment.targets.kubernetes.errors import missing_extra

        raise missing_extra() from error
