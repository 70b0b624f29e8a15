"""Kubernetes, managed or not, and the other schedulers."""

from __future__ import annotations

import re

from oatie_ops.environment.conditions import any_env, any_of, env, env_contains, env_ends, every, exists, fact
from oatie_ops.environment.facts import SERVICE_ACCOUNT, Facts
from oatie_ops.environment.layers import UNKNOWN, Getter, Signal
from oatie_ops.environment.parse import AKS_ISSUER, EKS_ISSUER, GKE_ISSUER, gke_location
from oatie_ops.environment.signals import from_env, from_metadata, proof
from oatie_ops.environment.table import aws


def _issued_by(pattern: str, facts: Facts) -> re.Match[str] | None:
    issuer = facts.token.issuer
    return re.match(pattern, issuer) if issuer else None


def _issuer_group(pattern: str, *groups: int | str) -> Getter:
    def get(facts: Facts) -> str:
        match = _issued_by(pattern, facts)
        return next((match[group] for group in groups if match[group]), "") if match else ""

    return get


def _gke_location(kind: str) -> Getter:
    location = _issuer_group(GKE_ISSUER, 2)

    def get(facts: Facts) -> str:
        found, name = gke_location(location(facts))
        return name if found == kind else ""

    return get


_EKS_ISSUER = fact("service account token issued by EKS", lambda f: bool(_issued_by(EKS_ISSUER, f)))
_GKE_ISSUER = fact("service account token issued by GKE", lambda f: bool(_issued_by(GKE_ISSUER, f)))
_AKS_ISSUER = fact("service account token issued by AKS", lambda f: bool(_issued_by(AKS_ISSUER, f)))

SIGNALS: tuple[Signal, ...] = (
    proof(
        "kubernetes.eks",
        any_of(
            _EKS_ISSUER,
            env_contains("AWS_WEB_IDENTITY_TOKEN_FILE", "/secrets/eks.amazonaws.com/"),
            env_contains("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/secrets/pods.eks.amazonaws.com/"),
            exists("/var/run/secrets/eks.amazonaws.com/serviceaccount/token"),
            exists("/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"),
        ),
        provider="aws",
        platform="aws-eks",
        orchestrator="kubernetes",
        container=UNKNOWN,
        identity=(("region", _issuer_group(EKS_ISSUER, 1)), aws.REGION),
    ),
    proof(
        "kubernetes.gke",
        _GKE_ISSUER,
        provider="gcp",
        platform="gcp-gke",
        orchestrator="kubernetes",
        container=UNKNOWN,
        identity=(
            ("project", _issuer_group(GKE_ISSUER, 1)),
            ("zone", _gke_location("zone")),
            ("region", _gke_location("region")),
            ("cluster", _issuer_group(GKE_ISSUER, 3)),
        ),
    ),
    proof(
        "kubernetes.aks",
        any_of(
            fact(
                "$CLUSTER_RESOURCE_ID or aks-cluster-metadata names a managed cluster",
                lambda facts: facts.aks is not None,
            ),
            _AKS_ISSUER,
            env_ends("KUBERNETES_SERVICE_HOST", ".azmk8s.io"),
        ),
        provider="azure",
        platform="azure-aks",
        orchestrator="kubernetes",
        container=UNKNOWN,
        identity=(
            ("cluster", lambda facts: facts.aks.name if facts.aks else ""),
            ("resource_id", lambda facts: facts.aks.resource_id if facts.aks else ""),
            ("resource_group", lambda facts: facts.aks.resource_group if facts.aks else ""),
            ("region", _issuer_group(AKS_ISSUER, "region", "hcp")),
        ),
    ),
    proof(
        "kubernetes.gke-metadata",
        every(
            fact(
                "GCE's metadata service names a cluster",
                lambda facts: bool(facts.metadata.get("gcp", {}).get("cluster")),
            ),
            env("KUBERNETES_SERVICE_HOST"),
        ),
        provider="gcp",
        platform="gcp-gke",
        orchestrator="kubernetes",
        container=UNKNOWN,
        identity=(("cluster", from_metadata("gcp", "cluster")),),
    ),
    # Each of these three can be missing alone: `env -i`, automountServiceAccountToken, cgroup namespaces.
    proof(
        "kubernetes.pod",
        any_of(
            env("KUBERNETES_SERVICE_HOST"),
            exists(f"{SERVICE_ACCOUNT}/token"),
            exists(f"{SERVICE_ACCOUNT}/namespace"),
            exists("/var/run/secrets/kubernetes.io"),
            fact("cgroup path is in kubepods", lambda facts: facts.cgroup.kubernetes),
            fact("/etc/hosts is mounted by a kubelet", lambda facts: bool(facts.mounts.pod_uid)),
        ),
        platform="kubernetes",
        orchestrator="kubernetes",
        container=UNKNOWN,
        identity=(
            ("namespace", lambda facts: (facts.text(f"{SERVICE_ACCOUNT}/namespace") or "").strip()),
            ("namespace", lambda facts: facts.token.namespace),
            ("namespace", from_env("POD_NAMESPACE")),
            ("pod_uid", lambda facts: facts.token.pod_uid or facts.cgroup.pod_uid or facts.mounts.pod_uid),
            ("pod", lambda facts: facts.token.pod_name or facts.env("POD_NAME")),
        ),
    ),
    # NOMAD_ADDR and NOMAD_TOKEN belong to the command line tool; NOMAD_ADDR_* to tasks.
    proof(
        "scheduler.nomad",
        env("NOMAD_ALLOC_ID"),
        platform="nomad",
        orchestrator="nomad",
        identity=(
            ("name", from_env("NOMAD_JOB_NAME")),
            ("task", from_env("NOMAD_TASK_NAME")),
            ("instance_id", from_env("NOMAD_ALLOC_ID")),
            ("datacenter", from_env("NOMAD_DC")),
            ("region", from_env("NOMAD_REGION")),
            ("namespace", from_env("NOMAD_NAMESPACE")),
        ),
    ),
    proof(
        "scheduler.mesos",
        any_env("MESOS_TASK_ID", "MARATHON_APP_ID"),
        platform="mesos",
        orchestrator="mesos",
        identity=(
            ("name", from_env("MARATHON_APP_ID")),
            ("instance_id", from_env("MESOS_TASK_ID")),
        ),
    ),
)
