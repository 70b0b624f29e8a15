"""The way into a cluster: a kubeconfig with contexts, plugins and certificates, or the pod's own account."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

from oatie_ops.deployment.targets.kubernetes.client import Cluster
from oatie_ops.deployment.targets.kubernetes.errors import missing_extra, no_access

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def connect(kubeconfig: str | None, context: str | None, namespace: str | None) -> Cluster:
    """From a kubeconfig, else from the account of the pod that this runs in. Opens no connection.

    Raises `PrerequisiteMissing` without the extra, without any access, and for an unknown context.
    """
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise missing_extra() from error
    import yaml

    found = client.Configuration()
    # Untyped functions of a typed package.
    load_incluster: Any = config.load_incluster_config
    load_file: Any = config.load_kube_config
    list_contexts: Any = config.list_kube_config_contexts
    file = kubeconfig or os.environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")  # noqa: PTH111
    there = any(map(os.path.exists, file.split(os.pathsep)))
    # A file that oatie.toml names and that is not there is a mistake, in a pod as well.
    if not there and not kubeconfig and not context and "KUBERNETES_SERVICE_HOST" in os.environ:
        try:
            load_incluster(client_configuration=found)
        except config.ConfigException as error:
            raise no_access(str(error)) from error
        return Cluster(found, namespace or _own_namespace(), tls=_tls(found))
    if not there:
        raise no_access(f"there is no file {file}")
    try:
        load_file(config_file=file, context=context, client_configuration=found)
        contexts, active = list_contexts(config_file=file)
    except (config.ConfigException, OSError, TypeError, KeyError, ValueError, yaml.YAMLError) as error:
        raise no_access(str(error) or type(error).__name__, file=file, context=context) from error
    chosen = next((each for each in contexts if each["name"] == context), active)
    return Cluster(
        found,
        namespace or chosen["context"].get("namespace") or "default",
        tls=_tls(found),
        context=str(chosen["name"]),
    )


def _own_namespace() -> str:
    try:
        return (ACCOUNT / "namespace").read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"


def _tls(configuration: Any) -> ssl.SSLContext | bool:
    if not str(configuration.host).startswith("https"):
        return False
    try:
        return _context(configuration)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise no_access(f"its certificates cannot be used: {error}") from error


def _context(configuration: Any) -> ssl.SSLContext:
    # Depending on its version, the client keeps the authority in a file or in memory.
    authority = getattr(configuration, "ca_cert_data", None)
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None, cadata=authority or None)
    # Since Python 3.13 authorities have to be as RFC 5280 wants them; those of many clusters are not, and
    # `kubectl` does not ask for it.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file or None)
    return context
