"""``python -m tests.benchmarks [NAME …] [--quick] [--out DIR]`` measures `oatie` beside its peers.

Everything is measured here and now, the peers in turn with `oatie` within each round, so ratios survive a
slow machine; absolute figures are those of this machine. Printed are medians, the best rounds, what was
promised, and where a peer is better. With ``--out``: results.md, results.json, and a picture of each
benchmark as PNG and SVG. ``pip install -e .[test,bench]`` brings the peers that are Python packages; a peer
that is not there or fails is left out, with the reason. Each benchmark has its share of time: after it no
further round begins, and after six of them it is given up. Exits 1 where a promise was missed or could not
be measured.

What is compared is in COMPARISON. The other ``bench_*`` here have no peer: each holds `oatie` against figures
of its own (checks by the thousand, a crowd at the dashboard, a year of samples) and is a program by itself,
as its first line says.
"""

from __future__ import annotations

import argparse
import compileall
import importlib
import os
import platform
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import oatie_ops
from tests.benchmarks import plots
from tests.benchmarks.measuring import TROUBLE, at_most, first_line
from tests.benchmarks.report import Options, Report, missed, peer_wins, table
from tests.benchmarks.writing import Run, as_json, as_markdown


@dataclass(frozen=True)
class Benchmark:
    """``module`` has one ``run(options) -> Report``, and is imported only when asked for: some need a peer's
    package. ``quick_seconds``: its share of the five minutes that a quick run may take."""

    module: str
    quick_seconds: float


COMPARISON = {
    "startup": Benchmark("bench_startup", 15),
    "tab": Benchmark("bench_tab", 20),
    "breakers": Benchmark("bench_breaker", 15),
    "starting": Benchmark("starting", 30),
    "steady": Benchmark("steady", 35),
    "switching": Benchmark("switching", 85),
    "recovery": Benchmark("recovery", 75),
    "checks": Benchmark("bench_checks", 10),
    "scaling": Benchmark("bench_backtest", 15),
}
# A whole run may take this many times as long as a quick one; what hangs is given up after GIVE_UP shares,
# which a busy machine does not reach.
WHOLE, GIVE_UP = 8, 6


def main() -> int:
    arguments = _arguments()
    # The peers were installed, which compiles them; with PYTHONDONTWRITEBYTECODE a checkout never would be.
    compileall.compile_dir(Path(oatie_ops.__file__).parent, quiet=1)
    began = time.monotonic()
    run = Run(
        taken_at=datetime.now(UTC).isoformat(timespec="minutes"),
        machine=f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        seconds=0.0,
        quick=arguments.quick,
        reports=(),
    )
    if arguments.out is not None and not plots.available():
        print("no plots: matplotlib is missing; pip install -e .[bench] brings it", file=sys.stderr)
    for name in arguments.names or COMPARISON:
        print(f"{name} …", file=sys.stderr, flush=True)
        started = time.monotonic()
        report = measured(name, COMPARISON[name], arguments)
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        _print(report)
        run = replace(run, seconds=time.monotonic() - began, reports=(*run.reports, report))
        if arguments.out is not None:  # now: a run that is cut off keeps what it has measured
            _write(run, arguments.out)
    _close(run)
    return 1 if missed(run.figures) or any(report.failed for report in run.reports) else 0


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


def measured(name: str, benchmark: Benchmark, arguments: argparse.Namespace) -> Report:
    """A benchmark that fails or hangs costs its own figures, not those of the others."""
    share = benchmark.quick_seconds * (1 if arguments.quick else WHOLE)
    options = Options(arguments.quick, arguments.traces, until=time.monotonic() + share)
    try:
        with at_most(share * GIVE_UP):
            module = importlib.import_module(f"tests.benchmarks.{benchmark.module}")
            report = module.run(options)
    except (ImportError, *TROUBLE) as error:
        return Report(name, name.capitalize(), (), failed=first_line(error))
    assert isinstance(report, Report)
    return replace(report, left_out=(*report.left_out, *options.gone.items()))


def _print(report: Report) -> None:
    print(f"\n{report.title}\n{report.failed or table(report.figures)}")
    for peer, why in report.left_out:
        print(f"left out: {peer} ({why})")
    sys.stdout.flush()


def _close(run: Run) -> None:
    print(f"\n{run.machine}; {run.seconds:.0f} s")
    failed = [f"{report.name}: {report.failed}" for report in run.reports if report.failed]
    wins, misses = peer_wins(run.figures), missed(run.figures)
    for title, sentences in (("a peer wins", wins), ("MISSED", misses), ("NOT MEASURED", failed)):
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
