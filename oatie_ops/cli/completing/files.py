"""All generated files by name, and the way to write them anew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from oatie_ops.cli.completing import bash, fish, man, powershell, zsh
from oatie_ops.cli.completing.tree import tree


def files() -> Mapping[str, str]:
    """Name below ``completions/`` -> content."""
    root = tree()
    scripts = {
        "oatie.bash": bash.script(root),
        "_oatie": zsh.script(root),
        "oatie.fish": fish.script(root),
        "oatie.ps1": powershell.script(root),
    }
    return {**scripts, **{f"man/{name}": text for name, text in man.pages(root).items()}}


def write(directory: Path) -> None:
    """Anew: what no command stands behind any more is removed."""
    wanted = files()
    (directory / "man").mkdir(parents=True, exist_ok=True)
    for stale in directory.glob("man/*.1"):
        if f"man/{stale.name}" not in wanted:
            stale.unlink()
    for name, text in wanted.items():
        (directory / name).write_text(text, encoding="utf-8")
