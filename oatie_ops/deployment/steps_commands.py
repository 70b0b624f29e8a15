"""The steps that run the operator's own commands: the build and the release command."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oatie_ops.config.settings import AppSettings
from oatie_ops.deployment.build import plan_build, run_build
from oatie_ops.deployment.commands import (
    TAIL_LINES,
    CommandFailed,
    CommandTimedOut,
    LineListener,
    command_environment,
    run_command,
)
from oatie_ops.deployment.context import AnyDeployment
from oatie_ops.deployment.engine import Voice
from oatie_ops.deployment.moving import bring_home

BUILD_LOG = "build.log"
RELEASE_LOG = "release-command.log"


def build(run: AnyDeployment, voice: Voice) -> str:
    made, settings = run.manifest, run.facts.settings.deploy
    plan = plan_build(made.directory, settings.build, builds=run.paths.builds, release=run.number)
    log = run.paths.logs / BUILD_LOG
    with _explained(run, voice, log) as take_line, _environment(made.app) as environment:
        result = run_build(
            plan,
            environment=environment,
            log=log,
            on_line=take_line,
            timeout_seconds=settings.build_timeout_seconds,
        )
    run.record(made.directory, python=result.python, build_key=result.key)
    run.store.releases.mark(run.number, "built")
    if result.reused and not result.ran:
        return "nothing to do: what it depends on has not changed, the environment is reused"
    rest = ", what the others install was there" if result.skipped else ""
    return f"{len(result.ran)} of {len(settings.build)} commands ran{rest}"


def release_command(run: AnyDeployment, voice: Voice) -> str:
    made, settings = run.manifest, run.facts.settings.deploy
    assert settings.release is not None, "planned only where there is one"
    identity = {
        "OATIE_APP": made.app.name,
        "OATIE_RELEASE": str(run.number),
        "OATIE_DATA_DIR": str(run.paths.data),
    }
    log = run.paths.logs / RELEASE_LOG
    with _explained(run, voice, log) as take_line, _environment(made.app) as environment:
        run_command(
            settings.release,
            role="release command",
            cwd=made.directory,
            environment=command_environment(environment, python=made.python, extra=identity),
            log=log,
            on_line=take_line,
            timeout_seconds=settings.release_timeout_seconds,
            timeout_key="[deploy] release_timeout",
        )
    root, exclude = run.facts.settings.root, run.facts.settings.deploy.exclude
    with run.interrupts.held_back():
        for place in bring_home(made.directory, root, run.paths.home, exclude):
            voice.notice(
                f"the release command made data: it is {place} from now on, linked into every release"
            )
    return "exit code 0"


@contextmanager
def _environment(app: AppSettings) -> Iterator[dict[str, str]]:
    """What a command finds. Secrets that are for no environment are in a file as long as it runs."""
    inherited = {**os.environ, **app.open_env}
    if not app.secret_env:
        yield inherited
        return
    from oatie_ops.secrets import Secret
    from oatie_ops.secrets.handover import FILE_VARIABLE, as_file

    with as_file({name: Secret(value) for name, value in app.secret_env.items()}) as path:
        yield {**inherited, FILE_VARIABLE: os.fspath(path)}


@contextmanager
def _explained(run: AnyDeployment, voice: Voice, log: Path) -> Iterator[LineListener]:
    """A failing command is shown with the last lines of the whole step, not only with its own; and the
    operator is not sent to the release's directory, which the undo is about to remove."""
    tail: deque[str] = deque(maxlen=TAIL_LINES)

    def take_line(line: str) -> None:
        tail.append(line)
        voice.output(line)

    try:
        yield take_line
    except CommandFailed as error:
        error.details = tuple(tail)
        if not isinstance(error, CommandTimedOut):
            error.fix = f"run it by hand in {run.facts.settings.root}; all of its output is in {log}"
        raise
