"""Environments of real platforms, and variants of them, each with the layered answer that is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.environment import EnvironmentType
from tests.unit.environment_world import DMI, detect, detector

DIRECTORY = Path(__file__).parent.parent / "fixtures"
FIXTURES: list[dict[str, Any]] = [
    fixture
    for name in ("detect_fixtures.json", "detect_variants.json")
    for fixture in json.loads((DIRECTORY / name).read_text())["fixtures"]
]


@pytest.mark.parametrize("fixture", FIXTURES, ids=[fixture["id"] for fixture in FIXTURES])
def test_a_recorded_environment_gets_the_right_answer(fixture: dict[str, Any]) -> None:
    found = detect(fixture["env"], fixture["files"], system=fixture["os"])

    assert {layer: getattr(found, layer) for layer in fixture["expect"]} == fixture["expect"]
    expected_identity = fixture.get("identity", {})
    assert {key: found.identity.get(key) for key in expected_identity} == expected_identity
    if "is_pr" in fixture.get("note", ""):
        assert found.pull_request is ("is_pr true" in fixture["note"])


@pytest.mark.parametrize("fixture", FIXTURES, ids=[fixture["id"] for fixture in FIXTURES])
def test_every_claimed_layer_has_evidence(fixture: dict[str, Any]) -> None:
    found = detect(fixture["env"], fixture["files"], system=fixture["os"])

    claimed = {
        name for name in ("provider", "orchestrator", "container", "ci", "dev") if getattr(found, name)
    }
    assert claimed <= set(found.evidence)
    assert all(found.evidence[layer][0].read for layer in claimed)


@pytest.mark.parametrize("fixture", FIXTURES, ids=[fixture["id"] for fixture in FIXTURES])
def test_hints_alone_leave_the_environment_local(fixture: dict[str, Any]) -> None:
    found = detect(fixture["env"], fixture["files"], system=fixture["os"])

    if found.confidence == "low" and found.platform == "local":
        assert found.environment == EnvironmentType.LOCAL


@pytest.mark.parametrize("fixture", FIXTURES, ids=[fixture["id"] for fixture in FIXTURES])
def test_the_explanation_agrees_with_the_answer(fixture: dict[str, Any]) -> None:
    world = detector(fixture["env"], fixture["files"], system=fixture["os"])
    explanation = world.explain()

    assert explanation.detection == world.detect()
    deciding = [
        (layer, value)
        for report in explanation.signals
        for layer, value in report.claims.items()
        if f"decides {layer}: {value}" in report.outcome
    ]
    expected = {(layer, getattr(explanation.detection, layer)) for layer in explanation.detection.evidence}
    assert set(deciding) == expected
    assert len(deciding) == len(expected)


@pytest.mark.parametrize("system", ["darwin", "Darwin", "macos", "windows", "win32"])
def test_linux_files_say_nothing_elsewhere(system: str) -> None:
    found = detect({}, {"/.dockerenv": "", DMI + "sys_vendor": "Amazon EC2"}, system=system)

    assert found.os in {"darwin", "windows"}
    assert (found.platform, found.provider, found.container) == ("local", None, None)


def test_variables_count_on_every_system() -> None:
    assert detect({"WEBSITE_SITE_NAME": "s"}, system="windows").platform == "azure-app-service"
