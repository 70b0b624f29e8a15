"""Where each kind of object is in the REST API (kubernetes.io/docs/reference/using-api/api-concepts)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KINDS: Mapping[str, tuple[str, str]] = {
    "Deployment": ("apis/apps/v1", "deployments"),
    "Service": ("api/v1", "services"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Secret": ("api/v1", "secrets"),
    "ServiceAccount": ("api/v1", "serviceaccounts"),
    "Pod": ("api/v1", "pods"),
    "ReplicaSet": ("apis/apps/v1", "replicasets"),
    "Event": ("api/v1", "events"),
    "Job": ("apis/batch/v1", "jobs"),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
    "HorizontalPodAutoscaler": ("apis/autoscaling/v2", "horizontalpodautoscalers"),
    "Ingress": ("apis/networking.k8s.io/v1", "ingresses"),
}
# What a first deploy makes, in the order in which it is taken away again.
OWN_KINDS = (
    "Ingress",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "Service",
    "Deployment",
    "Job",
    "Secret",
    "ConfigMap",
    "ServiceAccount",
)


def path(namespace: str, kind: str, name: str = "", *more: str) -> str:
    prefix, plural = KINDS[kind]
    return "/" + "/".join(part for part in (prefix, "namespaces", namespace, plural, name, *more) if part)


def path_of(namespace: str, each: Mapping[str, Any]) -> str:
    return path(namespace, str(each["kind"]), str(each["metadata"]["name"]))
