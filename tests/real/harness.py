"""A project directory with a real application, the real `oatie` on it, and proof that nothing is left.

Every process that a test starts carries a marker in its environment, so that whatever it becomes (a
daemon, an orphan, a grandchild) is found again by pid, asserted on, and ended when the test ends.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import pytest

from oatie_ops.errors import OatieError
from oatie_ops.paths import StatePaths, state_paths
from oatie_ops.supervisor.client import ControlClient
from tests.real.loadrun import LoadRun
from tests.real.waiting import PATIENCE_SECONDS, free_port, port_answers, wait_for

PROC = Path("/proc")
APPS = Path(__file__).resolve().parent / "apps"
MARKER = "PROOF_RUN_MARKER"
COMMAND_TIMEOUT_SECONDS = 300
# Signals and variables of the machine that runs the tests must not steer the program under test.
FOREIGN_VARIABLES = (
    *("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"),
    *("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"),
    *("OATIE_HOME", "OATIE_ENVIRONMENT", "LOG_LEVEL", "HOST", "PORT", "WEB_CONCURRENCY"),
    *("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "DOCKER_HOST"),
    *("FORWARDED_ALLOW_IPS", "CORS_ORIGINS", "CORS_ALLOW_CREDENTIALS"),
)

PYTHON_SERVICE: dict[str, Any] = {"run": "service:app", "ready": "/ready"}
QUICK: dict[str, Any] = {"ready_timeout": "60s", "drain": "10s", "stop_timeout": "3s"}


@dataclass(frozen=True)
class Completed:
    """One finished command."""

    arguments: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines() if line.strip()]

    @property
    def result(self) -> dict[str, Any]:
        """The last event of a run with ``--json``."""
        last = self.events[-1]
        assert last["event"] == "result", self
        return last

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def said(self) -> str:
        """All that an operator could read."""
        return self.stdout + self.stderr

    def step(self, name: str, state: str) -> dict[str, Any] | None:
        """The first event that says so."""
        steps = [event for event in self.events if event["event"] == "step"]
        return next((event for event in steps if (event["step"], event["state"]) == (name, state)), None)

    def expect(self, code: int) -> Completed:
        if self.code != code:
            pytest.fail(f"expected exit code {code}\n{self}", pytrace=True)
        return self

    def __str__(self) -> str:
        shown = " ".join(self.arguments)
        return f"$ oatie {shown}\nexit {self.code}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


class Background:
    """A command that still runs; what it prints goes to files that the test can read at any time."""

    def __init__(self, project: Project, arguments: tuple[str, ...], env: Mapping[str, str] | None) -> None:
        self.arguments = arguments
        stem = project.outputs / uuid.uuid4().hex[:8]
        self._out, self._err = stem.with_suffix(".out"), stem.with_suffix(".err")
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [*project.program, *arguments],
                cwd=project.root,
                env=project.environ(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def so_far(self) -> Completed:
        code = self.process.poll()
        stdout, stderr = self._out.read_text(errors="replace"), self._err.read_text(errors="replace")
        if code is None:
            stdout = stdout[: stdout.rfind("\n") + 1]  # the last line may be half written
        return Completed(self.arguments, -1000 if code is None else code, stdout, stderr)

    def wait_for_step(self, step: str, state: str = "started") -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            ended = self.process.poll() is not None
            event = self.so_far().step(step, state)
            if event is None and ended:
                pytest.fail(f"ended before {step} {state}\n{self.so_far()}", pytrace=True)
            return event

        return wait_for(reached, f"{step} {state}", evidence=self.so_far)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = COMMAND_TIMEOUT_SECONDS) -> Completed:
        wait_for(
            lambda: self.process.poll() is not None,
            f"the end of oatie {' '.join(self.arguments)}",
            seconds=seconds,
            evidence=self.so_far,
        )
        return self.so_far()


class Project:
    """One application under oatie in a directory of its own. Use the `project` fixtures, they clean up."""

    def __init__(self, directory: Path, *sources: str) -> None:
        self.root = directory / "project"
        self.outputs = directory / "outputs"
        self.root.mkdir(parents=True)
        self.outputs.mkdir()
        self.port, self.ops_port = free_port(), free_port()
        self.marker = uuid.uuid4().hex
        self.program = [sys.executable, "-m", "oatie_ops"]
        self.config: dict[str, dict[str, Any]] = {}
        for source in sources or ("service.py",):
            shutil.copy(APPS / source, self.root / source)
        self.configure(app=PYTHON_SERVICE)

    # What the project is

    def configure(self, *, app: Mapping[str, Any] = {}, deploy: Mapping[str, Any] = {}, **more: Any) -> None:
        """Merges into oatie.toml; a value of None takes the key away."""
        if not self.config:
            self.config = {
                "app": {"name": "proof", "port": self.port, "workers": 2, **QUICK},
                "deploy": {"bake": "300ms"},
                "ops": {"listen": f"127.0.0.1:{self.ops_port}"},
            }
        for table, values in {"app": app, "deploy": deploy, **more}.items():
            self.config.setdefault(table, {}).update(values)
        lines = []
        for table, values in self.config.items():
            lines.append(f"[{table}]")
            lines += [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
        (self.root / "oatie.toml").write_text("\n".join(lines) + "\n")

    def version(self, version: str, **knobs: Any) -> None:
        """The application as it will be deployed next; the knobs are those of its `DEFAULTS`."""
        (self.root / "app.json").write_text(json.dumps({"version": version, **knobs}))
        (self.root / "VERSION").write_text(version)

    @property
    def state(self) -> StatePaths:
        return state_paths(self.root, {})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
        return {**kept, MARKER: self.marker, **(more or {})}

    # What is done to it

    def oatie(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        timeout_seconds: float = COMMAND_TIMEOUT_SECONDS,
        cwd: Path | None = None,
    ) -> Completed:
        done = subprocess.run(
            [*self.program, *arguments],
            cwd=cwd or self.root,
            env=self.environ(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        return Completed(arguments, done.returncode, done.stdout, done.stderr)

    def background(self, *arguments: str, env: Mapping[str, str] | None = None) -> Background:
        return Background(self, arguments, env)

    def deploy(self, *arguments: str, env: Mapping[str, str] | None = None) -> Completed:
        return self.oatie("deploy", "--yes", "--json", *arguments, env=env)

    def deployed(self, version: str = "1", **knobs: Any) -> Completed:
        """Deploys that version and insists that it worked."""
        self.version(version, **knobs)
        return self.deploy().expect(0)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> Background:
        """`oatie start` in the foreground, at its full strength."""
        running = self.background("start", *arguments, env=env)

        def complete() -> bool:
            if running.process.poll() is not None:
                pytest.fail(f"oatie start ended\n{running.so_far()}", pytrace=True)
            return self.status()["state"] == "running"

        wait_for(complete, "the application to run", evidence=running.so_far)
        return running

    def wait_until_running(self) -> None:
        wait_for(lambda: self.status()["state"] == "running", "the application to run", evidence=self.status)

    def status(self) -> dict[str, Any]:
        """What `oatie status --json` prints, asked without a process of its own, as tests wait on it."""
        try:
            return ControlClient(self.state.control_socket).call("GET", "/control/status")
        except OatieError as error:
            return {"state": "not running", "detail": error.why, "release": None, "workers": []}

    def workers(self) -> list[dict[str, Any]]:
        return list(self.status()["workers"])

    def get(self, path: str = "/", *, port: int | None = None) -> int | None:
        """The status of one request over a new connection, None where there is no answer."""
        answer = self.ask(path, port=port)
        return answer[0] if answer else None

    def ask(
        self, path: str = "/", *, port: int | None = None, timeout_seconds: float = 30.0
    ) -> tuple[int, dict[str, str], bytes] | None:
        """Status, headers (lower case) and body; None where there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout_seconds)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return response.status, headers, response.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def serving(self) -> str | None:
        """The version that a user is answered with now."""
        answer = self.ask("/")
        return answer[1].get("x-release") if answer else None

    def load(self, path: str = "/work?ms=10", **options: Any) -> LoadRun:
        return LoadRun(self.url + path, **options)

    # What is left of it

    def processes(self) -> list[psutil.Process]:
        """Every live process that descends from a command of this test."""
        found = []
        for pid in psutil.pids():
            try:
                if pid != os.getpid() and self._ours(pid):
                    found.append(psutil.Process(pid))
            except (OSError, psutil.Error):
                continue
        return found

    def _ours(self, pid: int) -> bool:
        """Without psutil where there is a /proc: tests wait on this, and it looks at the whole machine."""
        if not (PROC / "self").exists():
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return process.environ().get(MARKER) == self.marker or str(self.root) in process.cwd()
        place = PROC / str(pid)
        if f"{MARKER}={self.marker}".encode() in (place / "environ").read_bytes().split(b"\0"):
            return True
        return str(self.root) in str((place / "cwd").readlink())  # a zombie has neither

    def describe(self) -> list[str]:
        lines = []
        for process in self.processes():
            try:
                lines.append(f"{process.pid} (of {process.ppid()}) {' '.join(process.cmdline())[:150]}")
            except psutil.Error:
                continue
        return lines

    def describe_children(self, parent: psutil.Process) -> list[str]:
        """Pid and status of all below it, zombies too."""
        lines = []
        for process in psutil.process_iter():
            try:
                if parent in process.parents():
                    lines.append(f"{process.pid} {process.status()}")
            except psutil.Error:
                continue
        return lines

    def leftovers(self) -> list[str]:
        """What a run that is over must not leave: held locks, sockets, half releases, temporary files."""
        found = []
        for entry in _entries(self.state.releases):
            if not (entry.name.isdigit() and (entry / "manifest.json").is_file()):
                found.append(f"half a release: {entry.name}")
        for entry in _entries(self.state.builds):
            if not (entry / "built.json").is_file():
                found.append(f"half a build: {entry.name}")
        if _is_locked(self.state.deploy_lock):
            found.append("the deploy lock is held")
        return found

    def assert_settled(self) -> None:
        """After a run: whatever serves may serve, and nothing half done lies about."""
        assert self.leftovers() == []

    def assert_gone(self) -> None:
        """After a stop: no process, no port, no socket, no pid file, no lock."""
        wait_for(lambda: not self.processes(), "every process to end", evidence=self.describe)
        stray = [file for file in (self.state.control_socket, self.state.supervisor_pid) if file.exists()]
        assert stray == []
        assert not port_answers(self.port)
        assert not port_answers(self.ops_port)
        self.assert_settled()

    def kill(self, pid: int) -> None:
        """SIGKILL, and waits until it is gone."""
        process = psutil.Process(pid)
        process.kill()
        wait_for(lambda: not _lives(process), f"the end of {pid}")

    def close(self) -> None:
        """Ends everything that the test started, by pid."""
        processes = self.processes()
        for process in processes:
            _kill(process)
        psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)
        for late in self.processes():
            _kill(late)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _kill(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return


def _entries(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value)


ProjectMaker = Callable[..., Project]
