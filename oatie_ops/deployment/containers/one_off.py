"""The release command: once, in a container of the new release, before any other container of it starts."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress

from oatie_ops.deployment.commands import TAIL_LINES, CommandFailed, CommandTimedOut
from oatie_ops.deployment.containers.api import Connection, explained
from oatie_ops.deployment.containers.errors import EngineFailed
from oatie_ops.deployment.containers.spec import Made
from oatie_ops.deployment.targets.base import Tell
from oatie_ops.supervisor.logline import LineSplitter


def run_once(
    engine: Connection, made: Made, name: str, *, command: str, timeout_seconds: float, output: Tell
) -> None:
    """Raises `CommandFailed` or `CommandTimedOut`. The container is gone in any case."""
    config = {**made.config, "Cmd": ["/bin/sh", "-c", command], "Entrypoint": []}
    config["HostConfig"] = {**made.config["HostConfig"], "PortBindings": {}}
    config["Healthcheck"] = {"Test": ["NONE"]}
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    began = time.monotonic()
    from oatie_ops.deployment.targets.docker.fleet import Fleet

    fleet = Fleet(engine, "")
    late = threading.Event()

    def end_it() -> None:
        late.set()
        with suppress(EngineFailed), explained("ending the release command", ignore=(404, 409)):
            engine.api.kill(name)

    timer = threading.Timer(timeout_seconds, end_it)
    timer.daemon = True
    try:
        identity = fleet.create(name, Made(config, made.files))
        fleet.start(identity)
        timer.start()
        splitter = LineSplitter()
        with explained("following the release command"):
            for chunk in engine.api.logs(identity, stream=True, follow=True):
                for line in splitter.feed(chunk):
                    tail.append(line.decode())
                    output(line.decode())
            code = int(engine.api.wait(identity)["StatusCode"])
    finally:
        timer.cancel()
        fleet.remove([name])
    seconds = time.monotonic() - began
    if late.is_set():
        raise CommandTimedOut(
            f"the release command `{command}` took too long",
            why=f"it was still running after {timeout_seconds:g} s; its last lines are below",
            fix="raise [deploy] release_timeout if it needs that long",
            details=tuple(tail),
        )
    if code != 0:
        raise CommandFailed(
            f"the release command `{command}` failed",
            why=f"exit code {code} after {seconds:.1f} s"
            + ("; its last lines are below" if tail else "; it printed nothing"),
            fix="",
            details=tuple(tail),
            data={"exit_code": code},
        )
