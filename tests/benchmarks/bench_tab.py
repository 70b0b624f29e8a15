"""From pressing TAB to the completed word on the screen, in real shells on pseudo-terminals."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tests.benchmarks.bench_startup import HELLO
from tests.benchmarks.measuring import COMMAND_TIMEOUT_SECONDS, interleaved
from tests.benchmarks.report import Figure, Options, Report
from tests.real.shells import Shell

ROUNDS, QUICK_ROUNDS = 30, 10
LIMIT_MS = 5.0
TYPER = "Typer's own completion"
READY = {
    "zsh": ("autoload -Uz compinit; compinit -u",),
    # What fish suggests in grey while one types would be taken for the answer to TAB.
    "fish": ("set -g fish_autosuggestion_enabled 0",),
}
# What is typed before TAB, what TAB has to add, and how the script is loaded.
OATIE = ("oatie depl", "oy", "source ./oatie.completion")
HELLO_TYPED = ("hello depl", "oy", "source ./hello.completion")


def run(options: Options) -> Report:
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    present = [name for name in ("bash", "zsh", "fish") if shutil.which(name)]
    left_out = tuple((name, "not installed") for name in ("bash", "zsh", "fish") if name not in present)
    figures = [figure for name in present for figure in _measure(name, rounds, options)]
    return Report("tab", "TAB to screen", tuple(figures), left_out)


def _measure(name: str, rounds: int, options: Options) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="oatie-bench-") as directory:
        home = Path(directory)
        _scripts(name, home)
        path = f"PATH={home}:$PATH" if name != "fish" else f"set -x PATH {home} $PATH"
        shell = Shell(name, home, (path, *READY.get(name, ()), OATIE[2], HELLO_TYPED[2]))
        try:
            rivals = {"oatie": _pressing(shell, OATIE), TYPER: _pressing(shell, HELLO_TYPED)}
            found = interleaved(rivals, rounds, options)
        finally:
            shell.close()
    return [
        Figure(
            f"TAB in {name}",
            subject,
            median(seconds) * 1000,
            "ms to screen",
            best=min(seconds) * 1000,
            limit=LIMIT_MS if subject == "oatie" else None,
        )
        for subject, seconds in found.items()
    ]


def _pressing(shell: Shell, what: tuple[str, str, str]) -> Callable[[], float]:
    def press() -> float:
        seconds = shell.complete(what[0], what[1])
        shell.clear_line()
        shell.enter("true")  # whatever the shell still drew is over
        return seconds

    return press


def _scripts(name: str, home: Path) -> None:
    """oatie.completion and hello.completion, and a program called hello."""
    (home / "oatie.completion").write_text(
        _said([sys.executable, "-m", "oatie_ops", "completion", "show", name])
    )
    hello = home / "hello"
    hello.write_text(f"#!{sys.executable}\n{HELLO}")
    hello.chmod(0o755)
    (home / "hello.completion").write_text(_said([str(hello)], _HELLO_COMPLETE=f"source_{name}"))


def _said(command: list[str], **env: str) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=True,
        timeout=COMMAND_TIMEOUT_SECONDS,
    )
    return done.stdout
