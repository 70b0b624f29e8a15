"""Names of environment variables that mean something to oatie. Data only: the fast path reads it too."""

from __future__ import annotations

from collections.abc import Mapping

from oatie_ops.config.spans import KeyPath

PREFIX = "OATIE_"

# Not settings of an application; read where they matter.
CONTROL_VARIABLES = frozenset(
    {
        "OATIE_HOME",
        "OATIE_ENVIRONMENT",
        "OATIE_ENV_FILE",
        "OATIE_DATA_DIR",
        "OATIE_TOKEN",
        "OATIE_NO_COLOR",
        # What oatie itself sets for the processes that it starts.
        "OATIE_APP",
        "OATIE_GENERATION",
        "OATIE_RELEASE",
        "OATIE_SECRETS_FD",
        "OATIE_SECRETS_FILE",
        "OATIE_WORKER",
    }
)

# From the weakest to the strongest where two set the same key.
PLAIN_VARIABLES: Mapping[str, KeyPath] = {
    "PORT": ("app", "port"),
    "WEB_CONCURRENCY": ("app", "workers"),
    "WORKERS": ("app", "workers"),
    "LOG_LEVEL": ("app", "log_level"),
    "DEBUG": ("app", "debug"),
    "CORS_ORIGINS": ("app", "cors_origins"),
    "CORS_ALLOW_CREDENTIALS": ("app", "cors_credentials"),
    "ALLOWED_HOSTS": ("app", "allowed_hosts"),
    "SECRETS_BACKEND": ("secrets", "backend"),
    "AWS_SECRET_NAME": ("secrets", "name"),
    "GCLOUD_PROJECT": ("secrets", "project"),
    "GOOGLE_CLOUD_PROJECT": ("secrets", "project"),
    "AZURE_KEY_VAULT_URL": ("secrets", "vault_url"),
}


def is_relevant(name: str) -> bool:
    """May this variable change what `oatie_ops.config.load` returns, whatever the file says?"""
    return name.startswith(PREFIX) or name in PLAIN_VARIABLES
