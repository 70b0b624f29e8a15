"""Every row of the specification's detection table, and the contract about hints."""

from __future__ import annotations

import pytest

from oatie_ops.environment import EnvironmentDetector, EnvironmentType
from tests.unit.environment_world import detect, detector

PROVEN = [
    ({"CODESPACES": "true"}, "dev", "codespaces", "codespaces"),
    (
        {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.12", "AWS_LAMBDA_FUNCTION_NAME": "f"},
        "provider",
        "aws",
        "cloud",
    ),
    ({"WEBSITE_SITE_NAME": "site"}, "provider", "azure", "cloud"),
    ({"DYNO": "web.1"}, "provider", "heroku", "cloud"),
    ({"RAILWAY_ENVIRONMENT": "production"}, "provider", "railway", "cloud"),
    ({"VERCEL_ENV": "production"}, "provider", "vercel", "cloud"),
    ({"VERCEL_URL": "reports-abc.vercel.app"}, "provider", "vercel", "cloud"),
    ({"DOCKER_CONTAINER": "true"}, "container", "docker", "docker"),
]

HINTED = [
    ("AWS_REGION", "aws"),
    ("AWS_LAMBDA_FUNCTION_NAME", "aws"),
    ("GOOGLE_CLOUD_PROJECT", "gcp"),
    ("GCLOUD_PROJECT", "gcp"),
    ("AZURE_RESOURCE_GROUP", "azure"),
    ("HEROKU_APP_NAME", "heroku"),
]


@pytest.mark.parametrize(
    ("env", "layer", "value", "environment"), PROVEN, ids=[str(row[0]) for row in PROVEN]
)
def test_a_row_that_only_the_platform_sets_decides(
    env: dict[str, str], layer: str, value: str, environment: str
) -> None:
    found = detect(env)

    assert getattr(found, layer) == value
    assert found.environment == environment


@pytest.mark.parametrize(
    ("path", "environment"),
    [
        ("/var/run/secrets/kubernetes.io", "kubernetes"),
        ("/.dockerenv", "docker"),
    ],
)
def test_a_row_about_a_path_decides(path: str, environment: str) -> None:
    assert detect({}, {path: ""}).environment == environment


@pytest.mark.parametrize(("variable", "provider"), HINTED)
def test_a_row_that_developers_export_names_the_provider_and_stays_local(
    variable: str, provider: str
) -> None:
    found = detect({variable: "x"})

    assert (found.provider, found.confidence) == (provider, "low")
    assert (found.platform, found.environment) == ("local", "local")
    assert found.hints == {provider: (variable,)}


def test_several_hinted_providers_are_none_but_all_are_listed() -> None:
    found = detect(
        {"AWS_REGION": "x", "GCLOUD_PROJECT": "p", "AZURE_RESOURCE_GROUP": "g", "HEROKU_APP_NAME": "a"}
    )

    assert (found.provider, found.confidence, found.environment) == (None, None, "local")
    assert set(found.hints) == {"aws", "gcp", "azure", "heroku"}


def test_a_proof_beats_hints_of_other_providers_and_keeps_them() -> None:
    found = detect({"DYNO": "web.1", "AWS_REGION": "eu-west-1"})

    assert (found.provider, found.confidence) == ("heroku", "high")
    assert found.hints == {"aws": ("AWS_REGION",)}
    assert "region" not in found.identity


def test_a_hint_does_not_undo_what_the_container_says() -> None:
    found = detect({"AWS_REGION": "eu-west-1", "KUBERNETES_SERVICE_HOST": "10.0.0.1"})

    assert (found.provider, found.confidence, found.environment) == ("aws", "low", "kubernetes")


def test_the_specified_calls_exist() -> None:
    world = detector({"DYNO": "web.1"})

    assert world.detect_environment_type() is EnvironmentType.CLOUD
    assert world.detect_environment_type().value == "cloud"
    assert world.detect_platform() == "heroku"


def test_the_library_exports_the_detector_lazily() -> None:
    import oatie_ops

    assert oatie_ops.EnvironmentDetector is EnvironmentDetector
    assert "EnvironmentDetector" in dir(oatie_ops)
    with pytest.raises(AttributeError, match="no_such_name"):
        oatie_ops.no_such_name  # noqa: B018


def test_without_arguments_it_reads_this_very_machine() -> None:
    assert EnvironmentDetector().detect().os in {"linux", "darwin"}
