"""Where people write code: hosted workspaces, dev containers, local stand-ins of platforms, WSL."""

from __future__ import annotations

from oatie_ops.environment.conditions import (
    any_env,
    any_of,
    env,
    env_is,
    every,
    exists,
    file_contains,
    flag,
    no,
)
from oatie_ops.environment.layers import Signal
from oatie_ops.environment.signals import from_env, proof

# These are headlines: the container and the virtual machine beneath are layers.
WORKSPACES: tuple[Signal, ...] = (
    proof(
        "workspace.codespaces",
        flag("CODESPACES"),
        platform="codespaces",
        dev="codespaces",
        identity=(("name", from_env("CODESPACE_NAME")),),
    ),
    proof(
        "workspace.gitpod",
        any_env("GITPOD_WORKSPACE_ID", "GITPOD_ENVIRONMENT_ID"),
        platform="gitpod",
        dev="gitpod",
        identity=(("name", from_env("GITPOD_WORKSPACE_ID", "GITPOD_ENVIRONMENT_ID")),),
    ),
    proof(
        "workspace.gcp-cloud-shell",
        flag("CLOUD_SHELL"),
        provider="gcp",
        platform="gcp-cloud-shell",
        dev="gcp-cloud-shell",
        identity=(("project", from_env("DEVSHELL_PROJECT_ID", "GOOGLE_CLOUD_PROJECT")),),
    ),
    proof(
        "workspace.aws-cloudshell",
        env_is("AWS_EXECUTION_ENV", "cloudshell"),
        provider="aws",
        platform="aws-cloudshell",
        dev="aws-cloudshell",
        identity=(("region", from_env("AWS_REGION", "AWS_DEFAULT_REGION")),),
    ),
    proof(
        "workspace.azure-cloud-shell",
        any_of(env_is("AZUREPS_HOST_ENVIRONMENT", "cloud-shell"), env("ACC_CLOUD", "ACC_TERM_ID")),
        provider="azure",
        platform="azure-cloud-shell",
        dev="azure-cloud-shell",
        identity=(("region", from_env("ACC_LOCATION")),),
    ),
    proof(
        "workspace.coder",
        every(
            flag("CODER"), any_env("CODER_WORKSPACE_NAME", "CODER_AGENT_URL", "CODER_WORKSPACE_AGENT_NAME")
        ),
        platform="coder",
        dev="coder",
        identity=(("name", from_env("CODER_WORKSPACE_NAME")),),
    ),
    proof(
        "workspace.replit",
        every(env("REPL_ID"), no(flag("REPLIT_DEPLOYMENT"))),
        platform="replit",
        dev="replit",
        identity=(("name", from_env("REPL_SLUG")),),
    ),
    proof(
        "workspace.codesandbox",
        any_of(flag("CODESANDBOX_SSE"), env("CODESANDBOX_HOST"), flag("CSB")),
        platform="codesandbox",
        dev="codesandbox",
    ),
    proof(
        "workspace.cloud9",
        every(env("C9_USER"), any_env("C9_PROJECT", "C9_PID", "C9_HOSTNAME")),
        platform="cloud9",
        dev="cloud9",
        identity=(("name", from_env("C9_PROJECT")),),
    ),
    proof("workspace.stackblitz", env_is("SHELL", "/bin/jsh"), platform="stackblitz", dev="stackblitz"),
    proof(
        "workspace.firebase-studio", env("MONOSPACE_ENV"), platform="firebase-studio", dev="firebase-studio"
    ),
)

SIGNALS: tuple[Signal, ...] = (
    proof("dev.devpod", flag("DEVPOD"), dev="devpod"),
    proof(
        "dev.devcontainer",
        any_of(
            flag("REMOTE_CONTAINERS"),
            flag("DEVCONTAINER"),
            env("REMOTE_CONTAINERS_IPC"),
            env("VSCODE_REMOTE_CONTAINERS_SESSION"),
        ),
        dev="devcontainer",
    ),
    proof("dev.toolbox", exists("/run/.toolboxenv"), dev="toolbox"),
    proof("dev.distrobox", env("DISTROBOX_ENTER_PATH"), dev="distrobox"),
    proof("dev.telepresence", any_env("TELEPRESENCE_ROOT", "TELEPRESENCE_CONTAINER"), dev="telepresence"),
    proof(
        "dev.railway-run",
        every(
            env("RAILWAY_PROJECT_ID"),
            any_env(
                "RAILWAY_ENVIRONMENT_NAME",
                "RAILWAY_ENVIRONMENT_ID",
                "RAILWAY_ENVIRONMENT",
                "RAILWAY_SERVICE_ID",
            ),
            no(any_env("RAILWAY_REPLICA_ID", "RAILWAY_DEPLOYMENT_ID")),
        ),
        dev="railway-run",
    ),
    proof(
        "dev.vercel-dev",
        env_is("VERCEL_ENV", "development"),
        dev="vercel-dev",
    ),
    proof("dev.netlify-dev", any_of(flag("NETLIFY_LOCAL"), flag("NETLIFY_DEV")), dev="netlify-dev"),
    proof("dev.sam-local", flag("AWS_SAM_LOCAL"), dev="sam-local"),
    proof("dev.localstack", env("LOCALSTACK_HOSTNAME"), dev="localstack"),
    proof("dev.firebase-emulator", flag("FUNCTIONS_EMULATOR"), dev="firebase-emulator"),
    proof(
        "dev.wsl",
        any_of(
            file_contains("/proc/sys/kernel/osrelease", "microsoft", "wsl"),
            env("WSL_INTEROP", "WSL_DISTRO_NAME"),
        ),
        dev="wsl",
    ),
)
