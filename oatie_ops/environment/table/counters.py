"""Counter-evidence and hints: what keeps a laptop, an emulator or a stray file from being believed."""

from __future__ import annotations

from oatie_ops.environment.conditions import (
    any_env,
    any_of,
    dmi,
    dmi_ends,
    dmi_starts,
    env,
    env_is,
    every,
    exists,
    fact,
    falsy,
    flag,
    no,
)
from oatie_ops.environment.layers import Signal
from oatie_ops.environment.signals import counter, hint

COUNTERS: tuple[Signal, ...] = (
    counter("vercel-dev", env_is("VERCEL_ENV", "development"), "paas.vercel", "ci.vercel"),
    counter("netlify-dev", any_of(flag("NETLIFY_LOCAL"), flag("NETLIFY_DEV")), "paas.netlify", "ci.netlify"),
    counter("dokku", any_env("DOKKU_APP_TYPE", "DOKKU_PROC_TYPE", "DOKKU_APP_NAME"), "paas.heroku"),
    # CI=false is the accepted way to say "not here", whatever else a vendor sets.
    counter("ci-false", falsy("CI"), "ci.*", "ci-generic.*"),
    # Render sets CI=true in running Python services, not only in builds.
    counter("render-sets-ci", flag("RENDER"), "ci-generic.*"),
    counter("firebase-emulator", flag("FUNCTIONS_EMULATOR"), "runtime.gcp-*"),
    counter("gae-dev-server", env_is("GAE_ENV", "localdev"), "runtime.gcp-app-engine-*"),
    counter("sam-local", any_of(flag("AWS_SAM_LOCAL"), env("LOCALSTACK_HOSTNAME")), "runtime.aws-lambda*"),
    counter(
        "core-tools",
        env_is("AZURE_FUNCTIONS_ENVIRONMENT", "development"),
        "hint.azure.FUNCTIONS_WORKER_RUNTIME",
    ),
    counter("codebuild-task", env("CODEBUILD_BUILD_ARN"), "runtime.aws-ecs*"),
    # Telepresence gives a process on a laptop the variables of a pod.
    counter("telepresence", any_env("TELEPRESENCE_ROOT", "TELEPRESENCE_CONTAINER"), "kubernetes.*"),
    # A root file system exported from an image carries /.dockerenv into a virtual machine.
    counter(
        "root-is-a-machine",
        fact(
            "/ is a plain file system and /etc/{hostname,hosts,resolv.conf} are no mounts of their own",
            lambda facts: facts.mounts.root_is_machine and not facts.mounts.binds_network_files,
        ),
        "container.dockerenv",
        "container.unnamed",
    ),
    # /proc/vz is everywhere under an OpenVZ kernel; /proc/bc only outside of its containers.
    counter("openvz-host", exists("/proc/bc"), "container.openvz"),
    # A virtual machine of LXD has the socket too.
    counter("lxd-virtual-machine", dmi("board_name", "LXD"), "container.lxd-socket"),
    counter(
        "wsl-in-container",
        fact(
            "a container's own marks",
            lambda facts: bool(
                facts.exists("/.dockerenv")
                or facts.exists("/run/.containerenv")
                or facts.mounts.runtime
                or facts.cgroup.runtime
                or facts.cgroup.kubernetes
                or facts.env("KUBERNETES_SERVICE_HOST")
            ),
        ),
        "dev.wsl",
    ),
    # A random UUID starts with ec2 once in 4,096 machines; EC2 says Xen or Amazon as its vendor, or nothing.
    counter(
        "uuid-by-chance",
        every(
            fact("DMI sys_vendor is set", lambda facts: bool(facts.dmi("sys_vendor"))),
            no(any_of(dmi_starts("sys_vendor", "Xen"), dmi_starts("sys_vendor", "Amazon"))),
        ),
        "machine.aws-uuid",
    ),
    # Clouds that speak EC2's interface, uuid included.
    counter(
        "ec2-lookalike",
        any_of(
            dmi("sys_vendor", "e24cloud"),
            dmi("sys_vendor", "3DS Outscale"),
            dmi_ends("product_serial", ".brightbox.com"),
            dmi_ends("chassis_asset_tag", ".zstack.io"),
        ),
        "machine.aws*",
    ),
)

# A hint names a *place* (a region, a project, an app). Credentials name nothing: AWS_ACCESS_KEY_ID is how
# every S3-compatible store is reached, and a key file is used outside of the cloud it belongs to.
_HINTS = {
    "aws": ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_LAMBDA_FUNCTION_NAME"),
    "gcp": ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GCP_PROJECT", "CLOUDSDK_CORE_PROJECT"),
    "azure": ("AZURE_RESOURCE_GROUP", "AZURE_SUBSCRIPTION_ID", "FUNCTIONS_WORKER_RUNTIME"),
    "heroku": ("HEROKU_APP_NAME",),
}

HINTS: tuple[Signal, ...] = tuple(
    hint(provider, name, env(name)) for provider, names in _HINTS.items() for name in names
)
