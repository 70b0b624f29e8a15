"""Who gives an order and from where, for the audit and for whoever waits for the lock."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass

# What the usual CI systems call a run of theirs, the most telling variables first.
CI_RUNS = (
    ("GITHUB_ACTIONS", ("GITHUB_REPOSITORY", "GITHUB_RUN_ID")),
    ("GITLAB_CI", ("CI_PROJECT_PATH", "CI_JOB_ID")),
    ("JENKINS_URL", ("JOB_NAME", "BUILD_NUMBER")),
    ("BUILDKITE", ("BUILDKITE_PIPELINE_SLUG", "BUILDKITE_BUILD_NUMBER")),
    ("CI", ()),
)


@dataclass(frozen=True)
class Who:
    """``actor``: a user name; ``origin``: from where (``tty pts/3``, ``ssh 10.0.0.5``, ``ci``)."""

    actor: str
    origin: str


def who(environ: Mapping[str, str] | None = None) -> Who:
    env = os.environ if environ is None else environ
    return Who(_actor(env), _origin(env))


def _actor(env: Mapping[str, str]) -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"uid {os.getuid()}"
    behind = env.get("SUDO_USER")
    return f"{user} (sudo by {behind})" if behind and behind != user else user


def _origin(env: Mapping[str, str]) -> str:
    for flag, names in CI_RUNS:
        if env.get(flag):
            run = " ".join(env[name] for name in names if env.get(name))
            return f"ci {run}".strip()
    terminal = _terminal()
    client = env.get("SSH_CONNECTION", "").split(" ")[0]
    if client:
        return f"ssh {client}{f', {terminal}' if terminal else ''}"
    return terminal or "no terminal"


def _terminal() -> str:
    for descriptor in (0, 2, 1):
        try:
            return f"tty {os.ttyname(descriptor).removeprefix('/dev/')}"
        except OSError:
            continue
    return ""
