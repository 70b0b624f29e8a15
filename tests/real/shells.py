"""A shell on a pseudo-terminal, as a person types into it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from tests.real.waiting import PATIENCE_SECONDS, need_program

PROMPT = "ready> "
START: Mapping[str, tuple[str, ...]] = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config", "-i"),
}
# Answers to what fish asks of the terminal, so that it does not wait for them.
DEVICE_ATTRIBUTES = re.compile(rb"\x1b\[0?c")
ESCAPES = re.compile(r"\x1b(\[[0-9;?<>=]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|[=>78])")


class Shell:
    """``load`` are lines that are typed before the first test."""

    def __init__(self, name: str, directory: Path, load: tuple[str, ...]) -> None:
        need_program(name)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "PS1": PROMPT,
            "XDG_DATA_HOME": str(directory / "data"),
            "XDG_CONFIG_HOME": str(directory / "config"),
        }
        self.pid, self.fd = pty.fork()
        if self.pid == 0:  # pragma: no cover - the child
            os.chdir(directory)
            os.execvpe(START[name][0], list(START[name]), environ)
        self.seen = b""
        if name == "fish":
            self.type("function fish_prompt; echo -n 'ready> '; end\r")
        self.wait_for(PROMPT)
        for line in load:
            self.enter(line)

    def enter(self, line: str) -> str:
        """A whole line, until a marker after it was printed; what was shown."""
        self.seen = b""
        self.type(f"{line}; echo do''ne-{len(line)}\r")
        return self.wait_for(f"do''ne-{len(line)}".replace("''", ""))

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def clear_line(self) -> None:
        self.type("\x15")
        self.seen = b""

    def complete(self, typed: str, wanted: str, *, tabs: int = 1) -> float:
        """Types, presses TAB, and waits for the text; seconds from the last TAB to its being shown."""
        self.type(typed)
        self.wait_for(typed[-8:])
        self.seen = b""
        for _ in range(tabs):
            began = time.perf_counter()
            self.type("\t")
        self.wait_for(wanted)
        return time.perf_counter() - began

    def wait_for(self, text: str, seconds: float = PATIENCE_SECONDS) -> str:
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            left = deadline - time.monotonic()
            assert left > 0, f"waited {seconds:g} s for {text!r}; the shell shows {self.shown!r}"
            ready, _, _ = select.select([self.fd], [], [], left)
            if ready:
                part = os.read(self.fd, 65536)
                if DEVICE_ATTRIBUTES.search(part):
                    os.write(self.fd, b"\x1b[?62c")
                self.seen += part
        return self.shown

    @property
    def shown(self) -> str:
        return ESCAPES.sub("", self.seen.decode(errors="replace"))

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
