"""Ways into a cluster, and what it does when it fails for a moment, refuses, or is another one."""

from __future__ import annotations

import base64
import json
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from oatie_ops.config.settings import Settings
from oatie_ops.deployment.targets.engine import LogQuery
from oatie_ops.deployment.targets.kubernetes import access, follow, live, looking, manifests, release_job
from oatie_ops.deployment.targets.kubernetes.access import connect
from oatie_ops.deployment.targets.kubernetes.client import Cluster
from oatie_ops.deployment.targets.kubernetes.errors import ClusterError, Unreachable
from oatie_ops.deployment.targets.kubernetes.operations import Operations
from oatie_ops.deployment.targets.kubernetes.watching import Watch
from oatie_ops.deployment.targets.kubernetes.workload import Workload
from oatie_ops.errors import OatieError, PrerequisiteMissing
from tests.real.cluster import TOKEN, FakeCluster, fake_cluster
from tests.real.waiting import wait_for
from tests.unit.test_kubernetes_objects import release


@pytest.fixture
def fake() -> Iterator[FakeCluster]:
    with fake_cluster() as made:
        yield made


@pytest.fixture
def cluster(fake: FakeCluster, tmp_path: Path) -> Iterator[Cluster]:
    made = connect(str(fake.kubeconfig(tmp_path / "config")), None, None)
    made.get("/version")
    yield made
    made.close()


def of_issuer(authority: trustme.CA) -> str:
    return base64.b64encode(authority.cert_pem.bytes()).decode()


def test_certificates_in_the_file_let_in(tmp_path: Path) -> None:
    """As kubeadm and others write it: authority, certificate and key as data; and another name to check."""
    authority, clients = trustme.CA(), trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("cluster.internal").configure_cert(server)
    clients.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    mine = clients.issue_cert("me")
    chain = b"".join(each.bytes() for each in mine.cert_chain_pems)
    user = {
        "client-certificate-data": base64.b64encode(chain).decode(),
        "client-key-data": base64.b64encode(mine.private_key_pem.bytes()).decode(),
        "token": TOKEN,
    }
    named = {"certificate-authority-data": of_issuer(authority), "tls-server-name": "cluster.internal"}
    with fake_cluster(server) as fake:
        file = fake.kubeconfig(tmp_path / "config", user=user, cluster=named)
        assert connect(str(file), None, None).get("/version")["minor"] == "36"
        file = fake.kubeconfig(tmp_path / "config", user=user, cluster=named | {"tls-server-name": "other"})
        with pytest.raises(Unreachable, match="cannot be reached"):
            connect(str(file), None, None).get("/version")
        stranger = named | {"certificate-authority-data": of_issuer(clients)}
        file = fake.kubeconfig(tmp_path / "config", user=user, cluster=stranger)
        with pytest.raises(Unreachable, match="cannot be reached"):
            connect(str(file), None, None).get("/version")


def test_a_plugin_gives_the_token(fake: FakeCluster, tmp_path: Path) -> None:
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": TOKEN},
    }
    plugin = {
        "apiVersion": credential["apiVersion"],
        "command": sys.executable,
        "args": ["-c", f"print({json.dumps(json.dumps(credential))})"],
        "interactiveMode": "Never",
    }
    file = fake.kubeconfig(tmp_path / "config", user={"exec": plugin})
    assert connect(str(file), None, None).get("/version")["minor"] == "36"


def test_a_pod_uses_its_own_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kubernetes.config import incluster_config

    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "namespace").write_text("shop\n")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(access, "ACCOUNT", tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with fake_cluster(server) as fake:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(fake.server.server_port))
        found = connect(None, None, None)
        assert (found.namespace, found.get("/version")["minor"]) == ("shop", "36")
        with pytest.raises(PrerequisiteMissing, match="no way into a cluster"):
            connect(str(tmp_path / "a-file-that-is-not-there"), None, None)


@pytest.mark.parametrize("content", ["{", "a: [", "", '{"contexts": []}', '{"current-context": "x"}'])
def test_a_file_that_is_none_is_explained(content: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(content)
    with pytest.raises(PrerequisiteMissing, match="no way into a cluster"):
        connect(str(tmp_path / "config"), None, None)


def test_a_certificate_that_is_none_is_explained(fake: FakeCluster, tmp_path: Path) -> None:
    broken = {"certificate-authority-data": base64.b64encode(b"no certificate").decode()}
    file = fake.kubeconfig(tmp_path / "config", cluster={**broken, "server": "https://127.0.0.1:1"})
    with pytest.raises(PrerequisiteMissing) as caught:
        connect(str(file), None, None)
    assert "certificates" in caught.value.why


@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_a_failure_that_passes_is_borne(status: int, fake: FakeCluster, cluster: Cluster) -> None:
    left = [status, status]
    fake.fault = lambda _method, _path: left.pop() if left else None
    assert cluster.get("/version")["minor"] == "36"
    assert not left


def test_a_failure_that_does_not_pass_is_told(fake: FakeCluster, cluster: Cluster) -> None:
    cluster._patience_seconds = 0.5
    fake.fault = lambda _method, _path: 503
    with pytest.raises(ClusterError, match="503"):
        cluster.get("/version")
    # What was never reached is not waited for.
    first = Cluster(cluster._configuration, "shop", patience_seconds=300)
    began = time.monotonic()
    with pytest.raises(ClusterError, match="503"):
        first.get("/version")
    assert time.monotonic() - began < 60
    first.close()


@pytest.mark.parametrize("status", [0, 503])
def test_a_rollout_outlasts_a_cluster_that_is_away_for_longer(
    status: int, fake: FakeCluster, cluster: Cluster
) -> None:
    """It goes on meanwhile: only the rollout's own deadline ends the waiting."""
    workload = applied(cluster)
    cluster._patience_seconds = 0.0
    watch, said, left = Watch(workload, release().number, 5.0), list[str](), [status] * 3
    fake.fault = lambda _method, _path: left.pop() if left else None
    watch.until_ready(60.0, said.append)
    assert not left
    assert any("cannot be reached" in line or "answered 503" in line for line in said)
    left += [status] * 2
    watch.bake(1.5, said.append)
    left += [status] * 1000
    with pytest.raises(OatieError, match=r"cannot be reached|answered 503"):
        watch.until_ready(0.5, said.append)


def test_a_warning_and_the_time_of_the_cluster_are_heeded(cluster: Cluster) -> None:
    import httpx

    said = '299 - "would violate PodSecurity \\"restricted:latest\\""'
    headers = [("Warning", said), ("Warning", said), ("Date", "Sat, 28 Nov 2099 10:00:00 GMT")]
    cluster._heed(httpx.Response(200, headers=headers))
    assert cluster.warnings == ['would violate PodSecurity "restricted:latest"']
    assert cluster.now() > 4e9


def applied(cluster: Cluster) -> Workload:
    workload = Workload(cluster, "shop")
    kube = replace(release().settings.kubernetes, autoscale=None, ingress=None)
    made = release(kubernetes=kube)
    workload.apply([*manifests.config_objects(made, {"A": "1"}, {}), *manifests.objects(made, 2)])
    return workload


def test_a_pod_without_a_log_hides_none_of_the_others(fake: FakeCluster, cluster: Cluster) -> None:
    workload = applied(cluster)
    wait_for(lambda: sum(map(live.rollout.is_ready, workload.pods())) == 2, "two pods")
    kube = replace(release().settings.kubernetes, autoscale=None, ingress=None)
    workload.apply(manifests.objects(replace(release(kubernetes=kube), image="reg/no-such-tag"), 2))
    waiting = '"ImagePullBackOff"'
    wait_for(lambda: waiting in json.dumps(workload.pods()), "a pod that waits", evidence=workload.pods)
    found = b"\n".join(follow.lines(cluster, workload.pods(), LogQuery())).decode()
    assert "line 3 from" in found
    assert "is waiting to start: ImagePullBackOff" in found


def test_pods_that_were_leaving_already_are_not_counted_as_stopped(
    fake: FakeCluster, cluster: Cluster
) -> None:
    kube = replace(release().settings.kubernetes, autoscale=None, ingress=None)
    made = release(kubernetes=kube)
    workload = Workload(cluster, "shop")
    objects = [*manifests.config_objects(made, {"A": "1"}, {}), *manifests.objects(made, 2)]
    workload.apply(manifests.annotated(objects, "", "2"))
    operations = Operations(workload, kube, time.time)
    operations.start(lambda _said: None)
    fake.control.grace_seconds = 1.0
    operations.scale(1, lambda _said: None)
    assert operations.stop(None, lambda _said: None) == 1


def test_an_account_with_few_rights_can_look(fake: FakeCluster, cluster: Cluster) -> None:
    workload = applied(cluster)
    fake.forbidden = {("GET", "ingresses"), ("GET", "horizontalpodautoscalers"), ("GET", "services")}
    assert live.address(cluster, "shop") is None
    assert not list(looking.reached(cluster, "shop", Settings(root=Path("/")).kubernetes))
    workload.remove_all()
    assert not fake.all("deployments")
    fake.forbidden = {("GET", "deployments")}
    with pytest.raises(ClusterError, match="does not allow") as caught:
        workload.deployed()
    assert "kubectl auth can-i" in caught.value.fix


def test_a_namespace_that_goes_away_is_told(fake: FakeCluster, cluster: Cluster) -> None:
    fake.namespaces["shop"] = "Terminating"
    [problem] = looking.reached(cluster, "shop", Settings(root=Path("/")).kubernetes)
    assert "being deleted" in problem.what
    with pytest.raises(ClusterError, match="namespace is being deleted"):
        applied(cluster)


def test_a_job_whose_pod_is_refused_is_told_at_once(
    fake: FakeCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.rollout, "REFUSED_SECONDS", 0.5)
    fake.pod_quotas["shop"] = 0
    job = manifests.job(release(), "true", 300)
    with pytest.raises(OatieError, match="could not start") as caught:
        release_job.run(cluster, job, "true", 300, lambda _line: None, 20)
    assert "exceeded quota" in "".join(caught.value.details)
    assert not fake.all("jobs")


@pytest.mark.parametrize("change", [{"spec": {"replicas": "2"}}, {"spec": {"nonsense": 1}}])
def test_the_fake_refuses_what_the_schemas_do(change: dict[str, Any], cluster: Cluster) -> None:
    """A test of the tests: a wrong object must not pass for a good one."""
    applied(cluster)
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, **change}
    place = "/apis/apps/v1/namespaces/shop/deployments/shop"
    with pytest.raises(ClusterError, match="refuses Deployment shop"):
        cluster.apply(place, body, manager="x", force=True)
