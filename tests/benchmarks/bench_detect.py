"""How long detection takes: `python tests/benchmarks/bench_detect.py`. Times are microseconds."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from oatie_ops.environment import EnvironmentDetector

FIXTURES = Path(__file__).parent.parent / "fixtures" / "detect_fixtures.json"
ROUNDS = 500


def measure(work: Callable[[], object]) -> list[float]:
    work()
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1e6)
    return times


def report(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    p99 = ordered[int(len(ordered) * 0.99)]
    print(f"{name:<34} min {ordered[0]:7.0f}  median {statistics.median(ordered):7.0f}  p99 {p99:7.0f}")


def import_cost_ms() -> float:
    code = "import time, re, json, dataclasses; t = time.perf_counter(); import oatie_ops.environment\n"
    code += "print((time.perf_counter() - t) * 1e3)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(7)
    ]
    return min(float(run.stdout) for run in runs)


def main() -> None:
    report("this machine, its real files", measure(EnvironmentDetector().detect))
    medians = {}
    for fixture in json.loads(FIXTURES.read_text())["fixtures"]:
        files = {path: text for path, text in fixture["files"].items() if isinstance(text, str)}
        detector = EnvironmentDetector(fixture["env"], files.get, fixture["os"])
        medians[fixture["id"]] = statistics.median(measure(detector.detect))
    slowest = max(medians, key=lambda name: medians[name])
    print(f"{len(medians)} fixtures in memory: median {statistics.median(medians.values()):.0f}")
    print(f"  slowest {medians[slowest]:.0f} ({slowest})")
    print(f"import of the package, best of 7: {import_cost_ms():.1f} ms")


if __name__ == "__main__":
    main()
