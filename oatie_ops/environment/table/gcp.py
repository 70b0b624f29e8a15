"""Google Cloud: functions, Cloud Run, App Engine and builds."""

from __future__ import annotations

from oatie_ops.environment.conditions import (
    Condition,
    any_env,
    any_of,
    env,
    env_is,
    env_starts,
    every,
    exists,
    fact,
    no,
)
from oatie_ops.environment.facts import SERVICE_ACCOUNT
from oatie_ops.environment.layers import UNKNOWN, Signal
from oatie_ops.environment.signals import from_env, proof

PROJECT = ("project", from_env("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GCP_PROJECT"))

# Knative sets the same K_* variables as Cloud Run in any cluster.
_IN_A_POD: Condition = any_of(
    env("KUBERNETES_SERVICE_HOST"),
    exists(f"{SERVICE_ACCOUNT}/token"),
    fact("cgroup path is in kubepods", lambda facts: facts.cgroup.kubernetes),
)

SIGNALS: tuple[Signal, ...] = (
    # Functions of the second generation run on Cloud Run and carry its variables too.
    proof(
        "runtime.gcp-cloud-functions",
        every(env("FUNCTION_TARGET", "K_SERVICE"), no(_IN_A_POD)),
        provider="gcp",
        platform="gcp-cloud-functions",
        container=UNKNOWN,
        identity=(
            ("name", from_env("K_SERVICE")),
            ("revision", from_env("K_REVISION")),
            PROJECT,
            ("region", from_env("FUNCTION_REGION")),
        ),
    ),
    proof(
        "runtime.gcp-cloud-functions-gen1",
        env("FUNCTION_NAME", "FUNCTION_REGION", "GCP_PROJECT"),
        provider="gcp",
        platform="gcp-cloud-functions",
        identity=(
            ("name", from_env("FUNCTION_NAME")),
            PROJECT,
            ("region", from_env("FUNCTION_REGION")),
        ),
    ),
    proof(
        "runtime.gcp-cloud-run",
        every(env("K_SERVICE", "K_REVISION", "K_CONFIGURATION"), no(_IN_A_POD)),
        provider="gcp",
        platform="gcp-cloud-run",
        container=UNKNOWN,
        identity=(("name", from_env("K_SERVICE")), ("revision", from_env("K_REVISION")), PROJECT),
    ),
    proof(
        "runtime.gcp-cloud-run-job",
        every(
            env("CLOUD_RUN_JOB"),
            any_env("CLOUD_RUN_EXECUTION", "CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"),
        ),
        provider="gcp",
        platform="gcp-cloud-run-job",
        container=UNKNOWN,
        identity=(
            ("name", from_env("CLOUD_RUN_JOB")),
            ("revision", from_env("CLOUD_RUN_EXECUTION")),
            PROJECT,
        ),
    ),
    proof(
        "runtime.gcp-cloud-run-worker-pool",
        every(env("CLOUD_RUN_WORKER_POOL"), no(_IN_A_POD)),
        provider="gcp",
        platform="gcp-cloud-run-worker-pool",
        container=UNKNOWN,
        identity=(("name", from_env("CLOUD_RUN_WORKER_POOL")), PROJECT),
    ),
    proof(
        "runtime.gcp-app-engine-standard",
        any_of(
            env_is("GAE_ENV", "standard"),
            env_starts("SERVER_SOFTWARE", "Google App Engine/"),
        ),
        provider="gcp",
        platform="gcp-app-engine-standard",
        identity=(
            PROJECT,
            ("name", from_env("GAE_SERVICE")),
            ("version", from_env("GAE_VERSION")),
            ("instance_id", from_env("GAE_INSTANCE")),
        ),
    ),
    proof(
        "runtime.gcp-app-engine-flex",
        every(
            env("GAE_SERVICE"),
            any_env("GAE_INSTANCE", "GAE_VERSION", "GAE_MEMORY_MB"),
            no(env_is("GAE_ENV", "standard")),
        ),
        provider="gcp",
        platform="gcp-app-engine-flex",
        container=UNKNOWN,
        identity=(
            PROJECT,
            ("name", from_env("GAE_SERVICE")),
            ("version", from_env("GAE_VERSION")),
            ("instance_id", from_env("GAE_INSTANCE")),
        ),
    ),
    proof(
        "runtime.gcp-cloud-build",
        env_starts("BUILDER_OUTPUT", "/builder/outputs"),
        provider="gcp",
        platform="gcp-cloud-build",
        container=UNKNOWN,
        identity=(PROJECT,),
    ),
)
