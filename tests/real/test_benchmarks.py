"""The comparison as a user repeats it; the peers need not be there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def harness(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_leaves_tables_and_pictures(tmp_path: Path) -> None:
    out = tmp_path / "new" / "results"
    done = harness("startup", "breakers", "--quick", "--out", str(out))
    # 1: a promise was missed, which a loaded machine may do to it.
    assert done.returncode in (0, 1), done.stderr
    data = json.loads((out / "results.json").read_text())
    assert [report["name"] for report in data["reports"]] == ["startup", "breakers"]
    assert (done.returncode == 1) is bool(data["missed"])
    measured = {figure["subject"] for report in data["reports"] for figure in report["figures"]}
    assert {"oatie --version", "oatie status", "oatie, count window"} <= measured
    assert all(figure["value"] is not None for report in data["reports"] for figure in report["figures"])
    text = (out / "results.md").read_text()
    assert "| start-up | oatie --help |" in text
    assert "## Where a peer wins" in text
    names = {path.name for path in out.iterdir()}
    assert {"startup.png", "startup.svg", "breakers.png", "breakers.svg"} <= names


def test_an_unknown_benchmark_is_refused_with_those_that_exist() -> None:
    done = harness("breaker")
    assert done.returncode == 2
    assert "no benchmark called breaker; there are startup, tab, breakers" in done.stderr
