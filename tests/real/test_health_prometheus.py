"""The metrics as Prometheus' own programs see them, from a supervisor's API with real workers."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.real.harness import Project
from tests.real.waiting import free_port, need_program, wait_for

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
DATA = files("oatie_ops.health").joinpath("data")


def get(url: str, **headers: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        assert answer.status == 200
        text: str = answer.read().decode()
        return text


def scrape(url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    page = get(url, Accept=OPENMETRICS)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


@pytest.fixture
def metrics_url(project: Project) -> str:
    project.oatie("deploy", "--yes").expect(0)
    url = f"http://127.0.0.1:{project.ops_port}/health/metrics"
    wait_for(lambda: "oatie_host_cpu_usage_ratio" in get(url), "the first checks")
    return url


@pytest.fixture
def prometheus(tmp_path: Path, metrics_url: str) -> Iterator[str]:
    """A real server that scrapes every half second and knows our alert rules; its address."""
    program, port = need_program("prometheus"), free_port()
    target = metrics_url.split("/")[2]
    (tmp_path / "rules.yml").write_text(DATA.joinpath("oatie-rules.yml").read_text())
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms, evaluation_interval: 500ms}\n"
        "rule_files: [rules.yml]\n"
        "scrape_configs:\n"
        "  - job_name: oatie\n"
        "    metrics_path: /health/metrics\n"
        f"    static_configs: [{{targets: ['{target}']}}]\n"
    )
    process = subprocess.Popen(
        [
            program,
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=30)


def query(server: str, expression: str) -> list[Any]:
    try:
        answer = json.loads(get(f"{server}/api/v1/query?query={urllib.request.quote(expression)}"))
    except OSError:
        return []
    return list(answer["data"]["result"])


@pytest.mark.slow
def test_prometheus_scrapes_without_an_error(prometheus: str, project: Project) -> None:
    wait_for(lambda: query(prometheus, 'up{job="oatie"} == 1'), "a scrape that worked")
    targets = json.loads(get(f"{prometheus}/api/v1/targets"))["data"]["activeTargets"]
    assert [target["lastError"] for target in targets] == [""]
    assert query(prometheus, 'oatie_service_up{service="app"}')[0]["value"][1] == "1"
    before = float(query(prometheus, "oatie_app_requests_total")[0]["value"][1])
    for _ in range(5):
        get(f"http://127.0.0.1:{project.port}/")
    wait_for(
        lambda: float(query(prometheus, "oatie_app_requests_total")[0]["value"][1]) >= before + 5,
        "the five requests",
    )
    rules = json.loads(get(f"{prometheus}/api/v1/rules"))["data"]["groups"][0]["rules"]
    assert len(rules) >= 8
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}


@pytest.mark.slow
def test_counters_never_go_backwards_when_workers_are_replaced(metrics_url: str, project: Project) -> None:
    seen = [scrape(metrics_url)]
    for _ in range(2):
        for _ in range(10):
            get(f"http://127.0.0.1:{project.port}/")
        project.oatie("reload").expect(0)
        seen.append(scrape(metrics_url))
    monotonic = re.compile(r"^oatie_.*(_total|_bucket|_count|_sum)$")
    for earlier, later in itertools.pairwise(seen):
        fallen = {key for key, value in earlier.items() if monotonic.match(key[0]) and later[key] < value}
        assert not fallen
    assert seen[-1]["oatie_app_requests_total", ()] >= 20


@pytest.mark.slow
def test_promtool_finds_no_fault(metrics_url: str, tmp_path: Path) -> None:
    promtool = need_program("promtool")
    page = get(metrics_url)
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_shipped_rules_hold_what_they_promise(tmp_path: Path) -> None:
    promtool = need_program("promtool")
    (tmp_path / "oatie-rules.yml").write_text(DATA.joinpath("oatie-rules.yml").read_text())
    (tmp_path / "test.yml").write_text(RULES_TEST)
    for arguments in (("check", "rules", "oatie-rules.yml"), ("test", "rules", "test.yml")):
        done = subprocess.run(
            [promtool, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_panel_of_the_dashboard_asks_a_valid_question(tmp_path: Path) -> None:
    """Grafana's variables replaced, each expression becomes a recording rule that promtool checks."""
    promtool = need_program("promtool")
    panels = json.loads(DATA.joinpath("oatie-grafana.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = [
        {"record": f"panel:number{i}", "expr": e.replace("$instance", ".*").replace("$__rate_interval", "1m")}
        for i, e in enumerate(asked)
    ]
    path = tmp_path / "panels.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


RULES_TEST = """
rule_files: [oatie-rules.yml]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - series: 'oatie_service_up{instance="a",job="oatie",service="db"}'
        values: '1 0x10'
      - series: 'oatie_service_up{instance="a",job="oatie",service="web"}'
        values: '1 0x10'
      - series: 'oatie_service_dependency_suppressed{instance="a",job="oatie",service="web"}'
        values: '0 1x10'
      - series: 'oatie_service_up{instance="a",job="oatie",service="old"}'
        values: '0x11'
      - series: 'oatie_service_maintenance{instance="a",job="oatie",service="old"}'
        values: '1x11'
    alert_rule_test:
      - eval_time: 4m
        alertname: OatieServiceDown
        exp_alerts:
          - exp_labels: {severity: critical, instance: a, job: oatie, service: db}
            exp_annotations:
              summary: "db is failing"
              description: "`oatie health db` tells why."
"""
