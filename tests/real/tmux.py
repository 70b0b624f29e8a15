"""A terminal without a screen: tmux on a socket of its own, with what it shows."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.real.waiting import need_program, wait_for

FOREIGN = ("CI", "NO_COLOR", "FORCE_COLOR", "OATIE_HOME", "TMUX", "COLUMNS", "LINES")


class Terminal:
    def __init__(
        self,
        directory: Path,
        *arguments: str,
        columns: int = 110,
        lines: int = 30,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._tmux = [need_program("tmux"), "-f", "/dev/null", "-S", str(directory / "tmux.sock")]
        self._environ = {k: v for k, v in os.environ.items() if k not in FOREIGN}
        self._environ |= {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTHONUTF8": "1",
            "LC_ALL": "C.UTF-8",
            **(environ or {}),
        }
        command = shlex.join([sys.executable, "-m", "oatie_ops", *arguments])
        # The shell stays, so that what is left on the normal screen can be read.
        line = f"trap : INT; {command}; echo \"exit $?\"; stty -a | grep -o '.icanon'; exec cat"
        size = ("-x", str(columns), "-y", str(lines))
        self._run("new-session", "-d", *size, "-c", str(directory), "sh", "-c", line, env=self._environ)

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def resize(self, columns: int, lines: int) -> None:
        self._run("resize-window", "-x", str(columns), "-y", str(lines))

    @property
    def shown(self) -> str:
        return self._run("capture-pane", "-p")

    @property
    def on_alternate_screen(self) -> bool:
        return self._run("display-message", "-p", "#{alternate_on}").strip() == "1"

    def wait_for(self, text: str) -> str:
        wait_for(lambda: text in self.shown, f"{text!r} on the terminal", evidence=lambda: self.shown)
        return self.shown

    def wait_until_gone(self, text: str) -> str:
        wait_for(lambda: text not in self.shown, f"no {text!r} on the terminal", evidence=lambda: self.shown)
        return self.shown

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)

    def _run(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        done = subprocess.run([*self._tmux, *arguments], capture_output=True, text=True, check=True, env=env)
        return done.stdout
