"""The Caddy that oatie starts as a program, found again by its arguments, also before it answers."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path

PROGRAM = "caddy"
END_SECONDS = 10.0


def start(home: Path, admin: str, log: Path) -> int:
    """Its pid. It outlives whoever has started it; its certificates are in ``home``."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _file(home).write_text(json.dumps({"admin": {"listen": admin}}))
    environment = {**os.environ, "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [PROGRAM, *_arguments(home)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=home,
            start_new_session=True,
        )
    return process.pid


def end(home: Path) -> bool:
    """For one that cannot be asked to stop, as it is still starting, or hangs. Was there one?"""
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cmdline()[-3:] == _arguments(home):  # whatever runs it
                process.terminate()
                found.append(process)
    _, alive = psutil.wait_procs(found, END_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, END_SECONDS)
    return bool(found)


def _arguments(home: Path) -> list[str]:
    return ["run", "--config", str(_file(home))]


def _file(home: Path) -> Path:
    return home / "start.json"
