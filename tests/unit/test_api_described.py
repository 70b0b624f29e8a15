"""What the description of the ops API promises."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from oatie_ops.api.examples import EXAMPLES
from tests.unit.ops_world import PROBES, Ops


@pytest.fixture
def ops(tmp_path: Path) -> Ops:
    return Ops(tmp_path)


def test_description_covers_every_path_and_its_problems(ops: Ops) -> None:
    described = ops.get("/openapi.json").json()
    assert set(described["paths"]) == {
        *PROBES,
        "/health/detailed",
        "/health/services",
        "/health/services/{service}",
        "/health/services/{service}/restart",
        "/health/services/{service}/heartbeat",
        "/api/performance/resources/current",
        "/api/performance/resources/trends",
        "/api/performance/startup/stats",
        "/api/performance/startup/profile",
        "/api/performance/startup/profile/{profile_id}/checkpoint",
        "/api/performance/startup/profile/{profile_id}/finish",
        "/api/performance/overview",
        "/api/performance/scaling/recommendations",
        "/api/performance/scaling/configuration",
        "/api/performance/scaling/apply",
        "/health/operations/{operation}",
        "/health/history",
        "/health/maintenance",
        "/health/metrics",
        "/api/performance/errors/services/{service}/recover",
        "/api/performance/errors/recovery",
        "/api/performance/errors/summary",
        "/api/performance/errors/services",
        "/api/performance/errors/recovery/history",
        "/health/dashboard",
        "/health/dashboard/html",
        "/api/performance/errors/degradation/status",
        "/api/performance/errors/services/{service}/degrade",
        "/api/performance/errors/services/{service}/restore",
        "/health/dashboard/brief",
        "/health/dashboard/frame",
        "/health/dashboard/events",
        "/health/dashboard/act",
        "/health/dashboard/links",
        "/health/dashboard/login",
        "/health/dashboard/logout",
        "/health/dashboard/assets/{digest}/{name}",
        "/docs",
    }
    post = described["paths"]["/health/services/{service}/restart"]["post"]
    assert {"202", "401", "404", "409", "421", "422"} <= set(post["responses"])
    assert post["security"] == [{"HTTPBearer": []}, {"Session": []}]


@pytest.mark.parametrize("model", list(EXAMPLES), ids=lambda model: model.__name__)
def test_every_example_has_the_shape_that_it_illustrates(model: type[BaseModel]) -> None:
    model.model_validate(EXAMPLES[model], strict=True)


def test_every_answer_is_described_with_an_example(ops: Ops) -> None:
    described = ops.get("/openapi.json").json()
    without = [
        f"{method} {path} {code}"
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        for code, answer in operation["responses"].items()
        for media, content in answer.get("content", {}).items()
        if "example" not in content
    ]
    assert without == []


def test_every_parameter_is_described_with_an_example_that_it_takes(ops: Ops) -> None:
    import jsonschema

    document = ops.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                schema = {**parameter["schema"], "components": document["components"]}
                told = [parameter["example"]] if "example" in parameter else schema.get("examples", [])
                told += [each["value"] for each in parameter.get("examples", {}).values()]
                assert told, (method, path, parameter["name"])
                for example in told:
                    jsonschema.Draft202012Validator(schema).validate(example)


def test_wrong_method_is_told_all_the_right_ones(ops: Ops) -> None:
    answer = ops.get("/health/maintenance", method="PUT", trusted=True)
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, POST")


def test_reading_is_described_as_open_on_loopback_and_acting_is_not(ops: Ops) -> None:
    paths = ops.get("/openapi.json").json()["paths"]
    assert paths["/health/maintenance"]["get"]["security"] == [
        {"HTTPBearer": []},
        {"Session": []},
        {},
    ]
    assert paths["/health/maintenance"]["post"]["security"] == [{"HTTPBearer": []}, {"Session": []}]


def test_scaling_tells_what_is_lacking_and_applies_a_number(ops: Ops) -> None:
    told = ops.get("/api/performance/scaling/recommendations").json()
    assert told["recommendations"] == []
    assert {one["type"] for one in told["unknown"]} >= {"workers", "replicas", "pool", "timeout"}
    assert ops.get("/api/performance/scaling/configuration").json()["workers"] is None
    path = "/api/performance/scaling/apply"
    assert ops.get(path, method="POST", json={"workers": 4}).status_code == 401
    refused = ops.get(path, method="POST", trusted=True, json={})
    assert refused.status_code == 409
    assert "60 minutes of load" in refused.json()["fix"]
    assert ops.get(path, method="POST", trusted=True, json={"workers": 0}).status_code == 422
    assert ops.get(path, method="POST", trusted=True, json={"workers": 4}).status_code == 202
    assert ops.view.scalings == [4]
    assert ops.deeds[-1].action == "scale"
