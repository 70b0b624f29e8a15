"""Which environment applies: overrides, profiles of each platform, conventions."""

from __future__ import annotations

import pytest

from oatie_ops.environment import EnvironmentType
from tests.unit.environment_world import DMI, detect, detector

EC2 = {DMI + "sys_vendor": "Amazon EC2\n"}
CONTAINER = {"/.dockerenv": ""}


def test_the_variable_overrides_and_says_so() -> None:
    found = detect({"OATIE_ENVIRONMENT": "staging", "KUBERNETES_SERVICE_HOST": "10.0.0.1"})

    assert (found.environment, found.override, found.environment_source) == ("staging", "staging", "override")
    assert "$OATIE_ENVIRONMENT" in found.environment_why
    assert "kubernetes" in found.environment_why
    assert found.orchestrator == "kubernetes"


def test_the_option_beats_the_variable() -> None:
    found = detect({"OATIE_ENVIRONMENT": "staging"}, environment="production")

    assert found.environment == "production"
    assert "--environment" in found.environment_why


@pytest.mark.parametrize(
    ("said", "profile"), [("prod", "production"), ("K8S", "kubernetes"), (" Dev ", "development")]
)
def test_usual_short_names_are_understood(said: str, profile: str) -> None:
    assert detect({"OATIE_ENVIRONMENT": said}).environment == profile


def test_a_name_of_ones_own_keeps_the_defaults_of_what_was_detected() -> None:
    world = detector({"OATIE_ENVIRONMENT": "eu-canary", "DYNO": "web.1"})

    assert world.detect().environment == "eu-canary"
    assert world.detect_environment_type() is EnvironmentType.CLOUD


def test_an_empty_override_is_none() -> None:
    found = detect({"OATIE_ENVIRONMENT": ""}, environment="")

    assert (found.environment, found.override, found.warnings) == ("local", None, ())


def test_an_impossible_name_is_ignored_with_a_warning_that_does_not_repeat_it() -> None:
    found = detect({"OATIE_ENVIRONMENT": "../../etc/passwd"})

    assert found.environment == "local"
    assert "$OATIE_ENVIRONMENT" in found.warnings[0]
    assert "passwd" not in found.warnings[0]


@pytest.mark.parametrize(
    ("env", "files", "environment"),
    [
        ({"CODESPACES": "true"}, CONTAINER, "codespaces"),
        ({"CODESPACES": "true", "KUBERNETES_SERVICE_HOST": "h"}, {}, "codespaces"),
        ({"GITPOD_WORKSPACE_ID": "w"}, CONTAINER, "development"),
        ({"CLOUD_SHELL": "true"}, {}, "development"),
        ({"KUBERNETES_SERVICE_HOST": "h"}, CONTAINER | EC2, "kubernetes"),
        ({"ECS_CONTAINER_METADATA_URI_V4": "u"}, CONTAINER, "cloud"),
        ({}, EC2, "cloud"),
        ({}, EC2 | CONTAINER, "docker"),
        ({"NOMAD_ALLOC_ID": "a"}, {}, "cloud"),
        ({"container": "lxc"}, {}, "local"),
        ({"container": "podman"}, {}, "docker"),
        ({"container": "oci"}, {}, "docker"),
        ({"GITHUB_ACTIONS": "true"}, EC2, "local"),
        ({"GITHUB_ACTIONS": "true"}, EC2 | CONTAINER, "docker"),
        ({"GITLAB_CI": "true", "KUBERNETES_SERVICE_HOST": "h"}, {}, "kubernetes"),
        ({"CI": "true"}, {}, "local"),
        ({"REMOTE_CONTAINERS": "true"}, CONTAINER, "docker"),
        ({}, {}, "local"),
    ],
)
def test_the_profile_follows_what_runs_the_program(
    env: dict[str, str], files: dict[str, str], environment: str
) -> None:
    assert detect(env, files).environment == environment


@pytest.mark.parametrize("variable", ["ENVIRONMENT", "APP_ENV", "DJANGO_ENV", "FLASK_ENV", "FASTAPI_ENV"])
def test_a_convention_decides_where_the_platform_says_nothing(variable: str) -> None:
    found = detect({variable: "staging"})

    assert (found.environment, found.environment_source) == ("staging", "convention")
    assert f"${variable}" in found.environment_why


def test_a_convention_does_not_beat_a_platform() -> None:
    assert detect({"APP_ENV": "development", "DYNO": "web.1"}).environment == "cloud"


@pytest.mark.parametrize("env", [{"NODE_ENV": "production"}, {"APP_ENV": "kubernetes"}, {"APP_ENV": "test"}])
def test_what_is_no_statement_about_the_environment_is_not_taken_for_one(env: dict[str, str]) -> None:
    assert detect(env).environment == "local"


def test_contradicting_conventions_are_reported_and_not_used() -> None:
    found = detect({"APP_ENV": "production", "ENVIRONMENT": "dev"})

    assert (found.environment, found.environment_source) == ("local", "default")
    assert "contradict" in found.warnings[0]
