"""``python -m tests.benchmarks [NAME …] [--quick] [--out DIR]`` measures `oatie` beside its peers.

Everything is measured here and now, the peers in turn with `oatie` within each round, so ratios survive a
slow machine; absolute figures are those of this machine. Printed are medians, the best rounds, what was
promised, and where a peer is better. With ``--out``: results.md, results.json, and a picture of each
benchmark as PNG and SVG. ``pip install -e .[test,bench]`` brings the peers that are Python packages; a peer
that is not there is left out, with the reason. Exits 1 where a promise was missed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks import plots
from tests.benchmarks.report import Options, Report, missed, peer_wins, table
from tests.benchmarks.writing import Run, as_json, as_markdown

# Each module has one ``run(options) -> Report``. Imported only when asked for: some need a peer's package.
COMPARISON = {
    "startup": "bench_startup",
    "tab": "bench_tab",
    "breakers": "bench_breaker",
    "starting": "starting",
    "steady": "steady",
    "switching": "switching",
    "recovery": "recovery",
    "checks": "bench_checks",
    "scaling": "bench_backtest",
}


def main() -> int:
    arguments = _arguments()
    options = Options(arguments.quick, arguments.traces)
    began = time.monotonic()
    run = Run(
        taken_at=datetime.now(UTC).isoformat(timespec="minutes"),
        machine=f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        seconds=0.0,
        quick=options.quick,
        reports=(),
    )
    if arguments.out is not None and not plots.available():
        print("no plots: matplotlib is missing; pip install -e .[bench] brings it", file=sys.stderr)
    for name in arguments.names or COMPARISON:
        print(f"{name} …", file=sys.stderr, flush=True)
        report = _benchmark(COMPARISON[name], options)
        _print(report)
        run = replace(run, seconds=time.monotonic() - began, reports=(*run.reports, report))
        if arguments.out is not None:  # now: a run that is cut off keeps what it has measured
            _write(run, arguments.out)
    _close(run)
    return 1 if missed(run.figures) else 0


def _arguments() -> argparse.Namespace:
    summary = (__doc__ or "").partition("\n\n")[2]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=summary)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(COMPARISON)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; all of it within five minutes")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the tables and plots there")
    parser.add_argument("--traces", type=Path, metavar="DIR", help="recorded loads for scaling, t_s,load CSV")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(COMPARISON):
        parser.error(f"no benchmark called {', '.join(sorted(unknown))}; there are {', '.join(COMPARISON)}")
    return arguments


def _benchmark(module: str, options: Options) -> Report:
    report = importlib.import_module(f"tests.benchmarks.{module}").run(options)
    assert isinstance(report, Report)
    return report


def _print(report: Report) -> None:
    print(f"\n{report.title}\n{table(report.figures)}")
    for peer, why in report.left_out:
        print(f"left out: {peer} ({why})")
    sys.stdout.flush()


def _close(run: Run) -> None:
    print(f"\n{run.machine}; {run.seconds:.0f} s")
    for title, sentences in (("a peer wins", peer_wins(run.figures)), ("MISSED", missed(run.figures))):
        for sentence in sentences:
            print(f"{title}: {sentence}")


def _write(run: Run, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    drawn: list[str] = []
    if plots.available():
        drawn = [report.name for report in run.reports if plots.draw(report, directory)]
    (directory / "results.json").write_text(as_json(run) + "\n")
    (directory / "results.md").write_text(as_markdown(run, drawn))


if __name__ == "__main__":
    sys.exit(main())
