"""One cluster over its REST API: the kubeconfig by the official client, the requests by httpx.

The official client (the extra ``kubernetes``) knows contexts, exec plugins, tokens and the pod's own account;
its models are heavy and strict, and nothing of them is needed: objects are plain dicts here.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from oatie_ops.deployment.targets.kubernetes.errors import (
    ClusterError,
    Unreachable,
    missing_extra,
    no_access,
    refused,
)
from oatie_ops.errors import OatieError

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
APPLY = "application/apply-patch+yaml"  # a JSON document is a YAML document
MERGE = "application/merge-patch+json"

Object = dict[str, Any]


class Cluster:
    """Every call has a deadline. Raises `ClusterError` for what the API answers, else `Unreachable`."""

    def __init__(self, configuration: Any, namespace: str) -> None:
        self.namespace = namespace
        self.url = str(configuration.host).rstrip("/")
        self._configuration = configuration
        self._client: httpx.Client | None = None

    def get(self, path: str, **query: str | int) -> Object:
        return self.call("GET", path, query=query)

    def get_or_none(self, path: str, **query: str | int) -> Object | None:
        try:
            return self.get(path, **query)
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    def apply(self, path: str, body: Object, *, manager: str, force: bool, dry_run: bool = False) -> Object:
        """Server-side apply. Raises `ClusterError` with status 409 where another manager owns a field."""
        query: dict[str, str | int] = {"fieldManager": manager, "force": str(force).lower()}
        if dry_run:
            query["dryRun"] = "All"
        return self.call("PATCH", path, query=query, body=body, content_type=APPLY)

    def delete(self, path: str) -> bool:
        """False where there was nothing. What belongs to it goes too, in the background."""
        try:
            self.call("DELETE", path, query={"propagationPolicy": "Background"})
        except ClusterError as error:
            if error.status == 404:
                return False
            raise
        return True

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        with self._explained(method, path):
            answer = self._http().request(
                method,
                path,
                params=dict(query or {}),
                json=body,
                headers=self._authorization() | ({"Content-Type": content_type} if body is not None else {}),
            )
        return _object(answer.status_code, answer.content, method, path)

    def lines(self, path: str, *, read_seconds: float | None, **query: str | int) -> Iterator[str]:
        """A log, line by line as it comes. ``read_seconds`` bounds the silence; None: no bound."""
        import httpx

        timeout = httpx.Timeout(CONNECT_SECONDS, read=read_seconds)
        with (
            self._explained("GET", path),
            self._http().stream(
                "GET", path, params=dict(query), headers=self._authorization(), timeout=timeout
            ) as answer,
        ):
            if answer.status_code >= 400:
                raise refused(answer.status_code, answer.read(), "GET", path)
            yield from answer.iter_lines()

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def access(self) -> tuple[dict[str, str], ssl.SSLContext | bool, str | None]:
        """Headers, TLS and proxy, for a connection that is no request."""
        proxy = getattr(self._configuration, "proxy", None) or None
        return self._authorization(), _tls(self._configuration), proxy

    def _http(self) -> httpx.Client:
        import httpx

        if self._client is None:
            self._client = httpx.Client(
                base_url=self.url,
                verify=_tls(self._configuration),
                timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
                proxy=getattr(self._configuration, "proxy", None) or None,
                trust_env=False,
                headers={"Accept": "application/json", "User-Agent": "oatie"},
            )
        return self._client

    def _authorization(self) -> dict[str, str]:
        """Asked for at each call: the configuration renews tokens that run out."""
        settings = self._configuration.auth_settings()
        return {each["key"]: each["value"] for each in settings.values() if each.get("value")}

    @contextmanager
    def _explained(self, method: str, path: str) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.TimeoutException as error:
            raise Unreachable(
                f"the cluster at {self.url} did not answer in time", why=f"{method} {path}"
            ) from error
        except httpx.TransportError as error:
            raise Unreachable(f"the cluster at {self.url} cannot be reached", why=str(error)) from error


def connect(kubeconfig: str | None, context: str | None, namespace: str | None) -> Cluster:
    """From a kubeconfig, else from the account of the pod that this runs in. Opens no connection.

    Raises `PrerequisiteMissing` without the extra, without any access, and for an unknown context.
    """
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise missing_extra() from error
    found = client.Configuration()
    # Untyped functions of a typed package.
    load_incluster: Any = config.load_incluster_config
    load_file: Any = config.load_kube_config
    list_contexts: Any = config.list_kube_config_contexts
    file = kubeconfig or os.environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")  # noqa: PTH111
    if not any(map(os.path.exists, file.split(os.pathsep))) and "KUBERNETES_SERVICE_HOST" in os.environ:
        try:
            load_incluster(client_configuration=found)
        except config.ConfigException as error:
            raise no_access(str(error)) from error
        return Cluster(found, namespace or _own_namespace())
    try:
        load_file(config_file=file, context=context, client_configuration=found)
        contexts, active = list_contexts(config_file=file)
    except (config.ConfigException, OSError, TypeError) as error:
        raise no_access(str(error), file=file, context=context) from error
    chosen = next((each for each in contexts if each["name"] == context), active)
    return Cluster(found, namespace or chosen["context"].get("namespace") or "default")


def _own_namespace() -> str:
    try:
        with open("/var/run/secrets/kubernetes.io/serviceaccount/namespace", encoding="utf-8") as file:  # noqa: PTH123
            return file.read().strip() or "default"
    except OSError:
        return "default"


def _tls(configuration: Any) -> ssl.SSLContext | bool:
    if not configuration.host.startswith("https"):
        return False
    # Depending on its version, the client keeps the authority in a file or in memory.
    authority = getattr(configuration, "ca_cert_data", None)
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None, cadata=authority or None)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file or None)
    return context


def _object(status: int, content: bytes, method: str, path: str) -> Object:
    import json

    if status >= 400:
        raise refused(status, content, method, path)
    try:
        return dict(json.loads(content or b"{}"))
    except ValueError as error:
        raise OatieError("the cluster's answer cannot be read", why=f"{method} {path}: no JSON") from error
