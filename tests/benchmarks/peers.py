"""The peers of `oatie start`: the command of each, what it needs, and how it is told to reload.

Where a peer cannot share a listening socket among processes of an application that is not its own (PM2 with
Python), it runs one. supervisord and circus hold the socket and hand it to uvicorn.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.real.harness import Project

INSTALL_TIMEOUT_SECONDS = 60.0
UVICORN_FAST = ["--no-access-log", "--loop", "uvloop", "--http", "httptools", "--log-level", "warning"]


@dataclass(frozen=True)
class Peer:
    """``needs``: modules. ``reload_command`` None: SIGHUP. ``one_process``: it cannot run several here."""

    name: str
    command: Callable[[Project, int], list[str]]
    needs: tuple[str, ...] = ()
    reload_command: Callable[[Project], list[str]] | None = None
    one_process: bool = False
    program: Callable[[], str | None] | None = None

    def missing(self) -> str | None:
        """Why it cannot run here."""
        for module in self.needs:
            try:
                found = importlib.util.find_spec(module)
            except ModuleNotFoundError:  # the package of a module is missing
                found = None
            if found is None:
                return f"the Python package of {module} is not installed"
        if self.program is not None and self.program() is None:
            return "its program is not on the PATH, and npm could not install it"
        return None


def _oatie(_project: Project, workers: int) -> list[str]:
    return [sys.executable, "-m", "oatie_ops", "start", "--workers", str(workers)]


def _uvicorn(project: Project, workers: int) -> list[str]:
    several = ["--workers", str(workers)] if workers > 1 else []
    base = [sys.executable, "-m", "uvicorn", "service:app", "--port", str(project.port)]
    return [*base, *UVICORN_FAST, *several]


def _gunicorn(worker_class: str) -> Callable[[Project, int], list[str]]:
    def command(project: Project, workers: int) -> list[str]:
        base = [sys.executable, "-m", "gunicorn", "service:app", "-k", worker_class, "-w", str(workers)]
        return [*base, "-b", f"127.0.0.1:{project.port}", "--log-level", "warning"]

    return command


def _granian(project: Project, workers: int) -> list[str]:
    base = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(project.port)]
    more = ["--workers", str(workers), "--respawn-failed-workers", "--log-level", "warning"]
    return [*base, *more, "service:app"]


def _circus(project: Project, workers: int) -> list[str]:
    uvicorn = " ".join([sys.executable, "-m uvicorn --fd $(circus.sockets.web) service:app", *UVICORN_FAST])
    (project.root / "circus.ini").write_text(
        f"[circus]\nendpoint = ipc://{project.root}/c.ctl\npubsub_endpoint = ipc://{project.root}/c.pub\n"
        f"[watcher:web]\ncmd = {uvicorn}\nuse_sockets = True\ncopy_env = True\nnumprocesses = {workers}\n"
        f"working_dir = {project.root}\n"
        f"[socket:web]\nhost = 127.0.0.1\nport = {project.port}\n"
    )
    return [sys.executable, "-m", "circus.circusd", "--log-level", "error", "circus.ini"]


def _supervisord(project: Project, workers: int) -> list[str]:
    uvicorn = " ".join([sys.executable, "-m uvicorn --fd 0 service:app", *UVICORN_FAST])
    (project.root / "supervisord.conf").write_text(
        f"[supervisord]\nnodaemon = true\nlogfile = /dev/null\nlogfile_maxbytes = 0\n"
        f"pidfile = {project.root}/supervisord.pid\n"
        f"[fcgi-program:web]\nsocket = tcp://127.0.0.1:{project.port}\ncommand = {uvicorn}\n"
        f"process_name = %(program_name)s_%(process_num)d\nnumprocs = {workers}\nautorestart = true\n"
        f"directory = {project.root}\nstdout_logfile = NONE\nstderr_logfile = NONE\n"
    )
    return [sys.executable, "-m", "supervisor.supervisord", "-c", "supervisord.conf"]


@functools.cache
def _pm2_program() -> str | None:
    """Of the PATH; else installed for this run only."""
    if found := shutil.which("pm2"):
        return found
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return None
    _KEPT.append(tempfile.TemporaryDirectory(prefix="oatie-bench-pm2-"))
    place = Path(_KEPT[-1].name)
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(place), "pm2"]
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=INSTALL_TIMEOUT_SECONDS)
    except (subprocess.SubprocessError, OSError):
        return None
    return str(place / "node_modules" / ".bin" / "pm2")


_KEPT: list[tempfile.TemporaryDirectory[str]] = []  # removed when the run ends


def _pm2(project: Project, _workers: int) -> list[str]:
    arguments = ["-m", "uvicorn", "service:app", "--port", str(project.port), *UVICORN_FAST]
    app = {"name": "web", "script": sys.executable, "args": arguments, "interpreter": "none"}
    (project.root / "pm2.config.json").write_text(json.dumps({"apps": [app | {"cwd": str(project.root)}]}))
    return [_pm2_program() or "pm2", "start", "pm2.config.json", "--no-daemon"]


def _pm2_reload(_project: Project) -> list[str]:
    return [_pm2_program() or "pm2", "reload", "all"]


OATIE = Peer("oatie", _oatie)
UVICORN = Peer("uvicorn", _uvicorn, ("uvicorn", "uvloop", "httptools"))
GUNICORN = Peer("gunicorn", _gunicorn("uvicorn_worker.UvicornWorker"), ("gunicorn", "uvicorn_worker"))
GUNICORN_ASGI = Peer("gunicorn -k asgi", _gunicorn("asgi"), ("gunicorn.workers.gasgi",))
GRANIAN = Peer("granian", _granian, ("granian",))
CIRCUS = Peer("circus", _circus, ("circus", "uvloop"))
SUPERVISORD = Peer("supervisord", _supervisord, ("supervisor", "uvloop"))
PM2 = Peer("PM2", _pm2, ("uvloop",), _pm2_reload, one_process=True, program=_pm2_program)
PEERS = (OATIE, UVICORN, GUNICORN, GUNICORN_ASGI, GRANIAN, CIRCUS, SUPERVISORD, PM2)
