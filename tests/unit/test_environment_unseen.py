"""Places that were invented after the table was written, and laptops that resemble them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.environment_world import CGROUP, DMI, EACCES, ID, MOUNTINFO, NAMESPACE, UID, detect

HOST = {MOUNTINFO: "1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n", CGROUP: "0::/user.slice\n"}
DOCKER = {
    MOUNTINFO: "1 0 0:50 / / rw - overlay overlay rw\n"
    f"2 1 8:1 /var/lib/docker/containers/{ID}/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n",
    "/.dockerenv": "",
    CGROUP: "0::/\n",
}
POD_VARIABLES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
POD = {
    MOUNTINFO: "1 0 0:50 / / rw - overlay overlay rw\n"
    f"2 1 8:1 /var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n",
    NAMESPACE: "shop",
}
LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x", "AWS_REGION": "x"}
RUN = {"K_SERVICE": "s", "K_REVISION": "s-1", "K_CONFIGURATION": "s"}
EKS = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"}
AZURE_CHASSIS = {DMI + "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77"}
WSL = {"/proc/sys/kernel/osrelease": "5.15.167.4-microsoft-standard-WSL2"}

# name -> (environment variables, files, what must be said)
PLACES: dict[str, tuple[dict[str, str], dict[str, Any], dict[str, Any]]] = {
    "heroku on kubernetes": (
        {"DYNO": "web-7f9-abc", **POD_VARIABLES},
        POD,
        {"provider": "heroku", "platform": "heroku", "orchestrator": "kubernetes"},
    ),
    "vercel over lambda": ({"VERCEL": "1", **LAMBDA}, {}, {"provider": "vercel", "platform": "vercel"}),
    "netlify function": ({"NETLIFY": "true", **LAMBDA}, {}, {"platform": "netlify", "ci": None}),
    "render says CI": (
        {"RENDER": "true", "CI": "true", "IS_PULL_REQUEST": "false"},
        DOCKER,
        {"platform": "render", "ci": None, "environment": "cloud"},
    ),
    "app runner": (
        {"AWS_EXECUTION_ENV": "AWS_ECS_FARGATE", "ECS_CONTAINER_METADATA_URI_V4": "x", "PORT": "8080"},
        {},
        {"provider": "aws", "environment": "cloud"},
    ),
    "cloud run": (RUN, {}, {"platform": "gcp-cloud-run", "environment": "cloud"}),
    "knative elsewhere": ({**RUN, **POD_VARIABLES}, POD, {"provider": None, "platform": "kubernetes"}),
    "firebase emulator": (
        {**RUN, "FUNCTION_TARGET": "f", "FUNCTIONS_EMULATOR": "true"},
        HOST,
        {"provider": None},
    ),
    "functions framework at home": ({"FUNCTION_TARGET": "main"}, HOST, {"provider": None}),
    "replit deployment over cloud run": (
        {"REPL_ID": "x", "REPLIT_DEPLOYMENT": "1", **RUN},
        {},
        {"provider": "replit", "environment": "cloud"},
    ),
    "replit workspace": ({"REPL_ID": "x"}, HOST, {"dev": "replit", "environment": "development"}),
    "coder in docker": (
        {"CODER": "true", "CODER_AGENT_URL": "x"},
        DOCKER,
        {"dev": "coder", "container": "docker", "environment": "development"},
    ),
    "cloud9 on EC2": (
        {"C9_USER": "ada", "C9_PROJECT": "shop", "C9_PID": "77"},
        {**HOST, DMI + "sys_vendor": "Amazon EC2"},
        {"provider": "aws", "platform": "cloud9", "dev": "cloud9", "environment": "development"},
    ),
    "distrobox": (
        {"container": "podman", "DISTROBOX_ENTER_PATH": "/usr/bin/distrobox-enter"},
        {"/run/.containerenv": 'engine="podman-5.2"\n'},
        {"container": "podman", "dev": "distrobox"},
    ),
    "cloudflare container": (
        {"CLOUDFLARE_APPLICATION_ID": "a", "CLOUDFLARE_DURABLE_OBJECT_ID": "d", "CLOUDFLARE_REGION": "WEUR"},
        {},
        {"provider": "cloudflare", "platform": "cloudflare-containers", "environment": "cloud"},
    ),
    "wrangler's token at home": (
        {"CLOUDFLARE_API_TOKEN": "x", "CLOUDFLARE_ACCOUNT_ID": "y"},
        HOST,
        {"provider": None},
    ),
    "woodpecker that says CI=true": (
        {"CI": "true", "CI_SYSTEM_NAME": "woodpecker", "CI_PIPELINE_EVENT": "pull_request"},
        HOST,
        {"ci": "woodpecker", "pull_request": True},
    ),
    "runner in a pod on EKS": (
        {"GITHUB_ACTIONS": "true", "CI": "true", **POD_VARIABLES, **EKS},
        POD,
        {
            "provider": "aws",
            "platform": "github-actions",
            "orchestrator": "kubernetes",
            "ci": "github-actions",
        },
    ),
    "hosted runner on Azure": (
        {"GITHUB_ACTIONS": "true", "CI": "true"},
        {**HOST, **AZURE_CHASSIS},
        {"provider": "azure", "ci": "github-actions", "environment": "local"},
    ),
    "devcontainer in a codespace": (
        {"CODESPACES": "true", "REMOTE_CONTAINERS": "true"},
        {**DOCKER, **AZURE_CHASSIS},
        {"provider": "azure", "dev": "codespaces", "environment": "codespaces"},
    ),
    "docker under WSL": (
        {},
        {**DOCKER, **WSL},
        {"container": "docker", "dev": None, "environment": "docker"},
    ),
    "WSL with docker's mounts": (
        {"WSL_DISTRO_NAME": "Ubuntu"},
        {
            **HOST,
            **WSL,
            MOUNTINFO: HOST[MOUNTINFO] + "5 1 0:7 /x /mnt/wsl/docker-desktop rw - overlay o rw\n",
        },
        {"container": None, "dev": "wsl", "environment": "local"},
    ),
    "docker in a virtual machine of a Mac": (
        {},
        {**DOCKER, DMI + "sys_vendor": "Apple Inc."},
        {"container": "docker", "provider": None},
    ),
    "docker under gVisor": (
        {},
        {"/.dockerenv": "", MOUNTINFO: "1 0 0:1 / / rw - 9p none rw,trans=fd\n"},
        {"container": "docker", "environment": "docker"},
    ),
    "docker under kata": (
        {},
        {"/.dockerenv": "", MOUNTINFO: "1 0 0:1 / / rw - virtiofs none rw\n"},
        {"container": "docker", "environment": "docker"},
    ),
    "a docker host": (
        {},
        {
            **HOST,
            MOUNTINFO: HOST[MOUNTINFO] + "9 1 0:5 / /var/lib/docker/overlay2/x/merged rw - overlay o rw\n",
        },
        {"container": None, "environment": "local"},
    ),
    "docker on EC2": (
        {},
        {**DOCKER, DMI + "sys_vendor": "Amazon EC2"},
        {"provider": "aws", "platform": "docker", "environment": "docker"},
    ),
    "a pod whose token may not be read": (
        {},
        {"/var/run/secrets/kubernetes.io": EACCES},
        {"orchestrator": "kubernetes", "environment": "kubernetes"},
    ),
    "credentials at home": (
        {"AWS_PROFILE": "x", "GOOGLE_APPLICATION_CREDENTIALS": "/k.json", "AZURE_CLIENT_ID": "y"},
        HOST,
        {"provider": None, "environment": "local"},
    ),
    "a Chromebook": (
        {},
        {**HOST, DMI + "sys_vendor": "Google", DMI + "product_name": "Eve"},
        {"provider": None},
    ),
    "blank is unset": ({"DYNO": "  ", "CODESPACES": " ", "K_SERVICE": "\t"}, HOST, {"platform": "local"}),
    "a value with a line end": ({"CODESPACES": "true\r\n"}, DOCKER, {"environment": "codespaces"}),
}


@pytest.mark.parametrize("name", PLACES)
def test_place(name: str) -> None:
    variables, files, expected = PLACES[name]
    found = detect(variables, files)
    assert {key: getattr(found, key) for key in expected} == expected
