"""How the target is opened: from the configuration, or from where a release was put."""

from __future__ import annotations

from oatie_ops.config.settings import Settings
from oatie_ops.deployment.targets.engine import Place
from oatie_ops.deployment.targets.kubernetes import names
from oatie_ops.deployment.targets.kubernetes.target import KubernetesTarget
from oatie_ops.paths import StatePaths


def configured(settings: Settings, paths: StatePaths) -> KubernetesTarget:
    kube = settings.kubernetes
    kubeconfig = str((settings.root / kube.kubeconfig).expanduser()) if kube.kubeconfig else None
    name = names.object_name(settings.app.name)
    return KubernetesTarget(
        settings,
        name,
        paths,
        kubeconfig,
        kube.context,
        kube.namespace,
        builds=settings.image.use is None,
    )


def placed(place: Place, paths: StatePaths) -> KubernetesTarget:
    return KubernetesTarget(
        Settings(root=paths.home.parent),
        str(place["app"]),
        paths,
        place.get("kubeconfig"),
        place.get("context"),
        place.get("namespace"),
        builds=bool(place.get("builds")),
        server=place.get("server"),
    )
