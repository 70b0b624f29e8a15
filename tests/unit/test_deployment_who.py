"""Who gives an order and from where."""

from __future__ import annotations

import getpass

import pytest

from oatie_ops.deployment.who import who


@pytest.mark.parametrize(
    ("environ", "origin"),
    [
        (
            {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "7"},
            "ci a/b 7",
        ),
        ({"GITLAB_CI": "true", "CI_PROJECT_PATH": "a/b", "CI_JOB_ID": "9"}, "ci a/b 9"),
        ({"CI": "true"}, "ci"),
        ({"CI": "true", "SSH_CONNECTION": "10.0.0.5 51000 10.0.0.1 22"}, "ci"),
    ],
)
def test_a_ci_run_is_named_as_its_system_names_it(environ: dict[str, str], origin: str) -> None:
    assert who(environ).origin == origin


def test_an_ssh_session_is_named_by_its_client() -> None:
    assert who({"SSH_CONNECTION": "10.0.0.5 51000 10.0.0.1 22"}).origin.startswith("ssh 10.0.0.5")


def test_somebody_behind_sudo_is_named_too() -> None:
    user = getpass.getuser()
    assert who({}).actor == user
    assert who({"SUDO_USER": "ada-of-tests"}).actor == f"{user} (sudo by ada-of-tests)"
    assert who({"SUDO_USER": user}).actor == user
