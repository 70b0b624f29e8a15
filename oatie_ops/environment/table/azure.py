"""Azure: App Service, Functions and Container Apps."""

from __future__ import annotations

from oatie_ops.environment.conditions import any_env, any_of, env, env_is, every
from oatie_ops.environment.facts import Facts
from oatie_ops.environment.layers import UNKNOWN, Signal
from oatie_ops.environment.signals import from_env, proof

_CONTAINER_APP = every(
    env("CONTAINER_APP_NAME", "CONTAINER_APP_REVISION"),
    any_env("CONTAINER_APP_REPLICA_NAME", "CONTAINER_APP_HOSTNAME", "CONTAINER_APP_ENV_DNS_SUFFIX"),
)
_CONTAINER_APP_JOB = every(
    env("CONTAINER_APP_JOB_NAME"), any_env("CONTAINER_APP_JOB_EXECUTION_NAME", "CONTAINER_APP_REPLICA_NAME")
)


def _app_service_resource_id(facts: Facts) -> str:
    # WEBSITE_OWNER_NAME is "<subscription>+<webspace>".
    owner = facts.env("WEBSITE_OWNER_NAME").split("+")[0]
    group, site = facts.env("WEBSITE_RESOURCE_GROUP"), facts.env("WEBSITE_SITE_NAME")
    if not (owner and group and site):
        return ""
    return f"/subscriptions/{owner}/resourceGroups/{group}/providers/Microsoft.Web/sites/{site}"


_APP_SERVICE_IDENTITY = (
    ("region", from_env("REGION_NAME")),
    ("name", from_env("WEBSITE_SITE_NAME")),
    ("resource_id", _app_service_resource_id),
    ("resource_group", from_env("WEBSITE_RESOURCE_GROUP")),
    ("instance_id", from_env("WEBSITE_INSTANCE_ID")),
    ("slot", from_env("WEBSITE_SLOT_NAME")),
)

SIGNALS: tuple[Signal, ...] = (
    # Container Apps and Functions carry App Service's WEBSITE_* variables: the more specific come first.
    proof(
        "runtime.azure-container-apps",
        _CONTAINER_APP,
        provider="azure",
        platform="azure-container-apps",
        container=UNKNOWN,
        identity=(
            ("name", from_env("CONTAINER_APP_NAME")),
            ("revision", from_env("CONTAINER_APP_REVISION")),
            ("instance_id", from_env("CONTAINER_APP_REPLICA_NAME")),
            ("replica", from_env("CONTAINER_APP_REPLICA_NAME")),
        ),
    ),
    proof(
        "runtime.azure-container-apps-job",
        _CONTAINER_APP_JOB,
        provider="azure",
        platform="azure-container-apps-job",
        container=UNKNOWN,
        identity=(
            ("name", from_env("CONTAINER_APP_JOB_NAME")),
            ("revision", from_env("CONTAINER_APP_JOB_EXECUTION_NAME")),
            ("instance_id", from_env("CONTAINER_APP_REPLICA_NAME")),
            ("replica", from_env("CONTAINER_APP_REPLICA_NAME")),
        ),
    ),
    proof(
        "runtime.azure-functions",
        every(
            env("WEBSITE_SITE_NAME"),
            any_of(
                any_env("FUNCTIONS_EXTENSION_VERSION", "FUNCTIONS_WORKER_RUNTIME"),
                env_is("WEBSITE_SKU", "flexconsumption"),
            ),
        ),
        provider="azure",
        platform="azure-functions",
        identity=_APP_SERVICE_IDENTITY,
    ),
    proof(
        "runtime.azure-app-service",
        env("WEBSITE_SITE_NAME"),
        provider="azure",
        platform="azure-app-service",
        identity=_APP_SERVICE_IDENTITY,
    ),
)
