"""From exec to exit: `oatie` as a ratio to an empty Python, a hello-world Typer program beside it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from tests.benchmarks.measuring import Rounds, interleaved, ratio, run_to_its_end
from tests.benchmarks.report import Figure, Options, Report
from tests.real.harness import Project

ROUNDS, QUICK_ROUNDS = 25, 9
EMPTY = "python -c pass"
TYPER = "hello-world Typer"
LIMITS = {"oatie --version": 3.0, "oatie --help": 6.0, "oatie status": 9.0, "oatie health": 9.0}
HELLO = """\
import typer

app = typer.Typer()


@app.command()
def hello(name: str = "world") -> None:
    typer.echo(f"hello {name}")


@app.command()
def deploy() -> None:
    typer.echo("deployed")


app()
"""


def program() -> list[str]:
    """The console script of this environment, or the module where it is not installed as one."""
    script = Path(sys.executable).with_name("oatie")
    return [str(script)] if script.exists() else [sys.executable, "-m", "oatie_ops"]


def run(options: Options) -> Report:
    with tempfile.TemporaryDirectory(prefix="oatie-bench-") as name:
        directory = Path(name)
        (directory / "hello.py").write_text(HELLO)
        project = Project(directory)
        project.configure(app={"workers": 1})
        try:
            project.start()
            rounds = QUICK_ROUNDS if options.quick else ROUNDS
            found = interleaved(_rivals(project, directory), rounds, options)
        finally:
            project.close()
    wall = {name: [pair[0] for pair in pairs] for name, pairs in found.items()}
    used = {name: [pair[1] for pair in pairs] for name, pairs in found.items()}
    figures = [*_figures("start-up", wall, LIMITS), *_figures("start-up, processor time", used, {})]
    return Report("startup", "Start-up of the command line", tuple(figures))


def _rivals(project: Project, directory: Path) -> dict[str, Callable[[], tuple[float, float]]]:
    commands = {EMPTY: [sys.executable, "-c", "pass"], TYPER: [sys.executable, "hello.py", "hello"]}
    rivals = {name: partial(run_to_its_end, command, directory) for name, command in commands.items()}
    for name in LIMITS:
        command = [*program(), *name.split()[1:]]
        rivals[name] = partial(run_to_its_end, command, project.root, project.environ())
    return dict(rivals)


def _figures(benchmark: str, found: Rounds, limits: Mapping[str, float]) -> Iterator[Figure]:
    """Beside the median of the rounds' ratios, the ratio of the best rounds."""
    empty = found[EMPTY]
    for name, seconds in found.items():
        yield Figure(
            benchmark,
            name,
            ratio(seconds, empty),
            f"x {EMPTY}",
            best=min(seconds) / min(empty),
            limit=limits.get(name),
            reference=name in (EMPTY, TYPER),
            note=f"{min(seconds) * 1000:.0f} ms at best",
        )
