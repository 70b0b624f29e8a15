"""``oatie init``: looks around, without importing anything, and writes a commented oatie.toml."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oatie_ops.cli.init_write import write_whole
from oatie_ops.cli.output import emit_json, emit_report, warn
from oatie_ops.errors import OatieError, UsageError

if TYPE_CHECKING:
    from oatie_ops.config.candidates import Candidate

SCHEMA = "oatie.init/v1"
FILES_SCHEMA = "oatie.init.files/v1"


class AlreadyConfigured(OatieError):
    """There is a configuration, which is not overwritten without being asked."""


def command(  # noqa: PLR0917 - each is an option
    force: Annotated[bool, typer.Option("--force", help="Replace an oatie.toml that is there.")] = False,
    systemd: Annotated[
        bool, typer.Option("--systemd", help="Write a systemd unit instead (Type=notify).")
    ] = False,
    github: Annotated[
        bool, typer.Option("--github", help="Write a GitHub Actions workflow instead.")
    ] = False,
    gitlab: Annotated[bool, typer.Option("--gitlab", help="Write a GitLab pipeline instead.")] = False,
    docker: Annotated[
        bool, typer.Option("--docker", help="Write a Dockerfile and .dockerignore instead.")
    ] = False,
    supervised: Annotated[
        bool, typer.Option("--supervised", help="With --docker: oatie is process 1 in the container.")
    ] = False,
    base: Annotated[
        str | None, typer.Option("--base", metavar="IMAGE", help="With --docker: the image to build on.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object with a stable shape.")] = False,
) -> None:
    """Write a commented oatie.toml for the application found in this directory.

    With an option that says "instead", that file is written and oatie.toml is left as it is.

    Exits 4, and writes nothing, where a file that may hold the application cannot be read or parsed.
    """
    from oatie_ops.config.discover import look
    from oatie_ops.config.found import overlooked, undecided
    from oatie_ops.config.locate import FILE_NAME, PYPROJECT, has_table
    from oatie_ops.config.template import render, survey

    kinds = [name for name, asked in (("systemd", systemd), ("github", github), ("gitlab", gitlab)) if asked]
    if docker:
        return _write_docker(base, supervised=supervised, force=force, as_json=json)
    if supervised or base is not None:
        raise UsageError("--supervised and --base say how a Dockerfile is made", fix="add --docker")
    if kinds:
        return _write_files(kinds, force=force, as_json=json)
    root = Path.cwd()
    file = root / FILE_NAME
    if has_table(root / PYPROJECT):
        raise AlreadyConfigured(
            "pyproject.toml has a [tool.oatie] already",
            why="one directory takes one configuration",
            fix="change that table, or remove it and run `oatie init` again",
        )
    if not force and os.path.lexists(file):
        raise AlreadyConfigured(
            f"{FILE_NAME} is there already", fix="`oatie config check` checks it; --force replaces it"
        )
    seen = look(root)
    best = seen.chosen
    if best is None:
        raise undecided(seen)
    others = list(seen.candidates[1:])
    write_whole(file, render(best, others, survey(root, best)))
    for line in overlooked(seen):
        warn(line)
    if json:
        emit_json(document(file, best, others))
    else:
        emit_report("\n".join(report(best, others)))


def _write_files(kinds: list[str], *, force: bool, as_json: bool) -> None:
    from oatie_ops.cli import init_files
    from oatie_ops.cli.context import Context

    context = Context()
    written = init_files.write(
        kinds, init_files.here(context.root, context.loaded.settings.app.name), force=force
    )
    if as_json:
        emit_json({"schema": FILES_SCHEMA, "files": [str(file) for file in written]})
    else:
        emit_report("\n".join(f"Wrote {file}" for file in written))


def _write_docker(base: str | None, *, supervised: bool, force: bool, as_json: bool) -> None:
    from oatie_ops.cli.context import Context
    from oatie_ops.cli.init_write import write_new
    from oatie_ops.config.found import require_decided
    from oatie_ops.deployment.containers import dockerfile as text

    context = Context()
    require_decided(context.loaded.discovery)
    settings = context.loaded.settings
    around = text.surroundings(settings, base=base, supervised=supervised)
    directory = settings.root / settings.image.context
    files = [(settings.image.dockerfile, text.dockerfile(around)), (".dockerignore", text.DOCKERIGNORE)]
    written = write_new(directory, files, force=force)
    if as_json:
        emit_json({"schema": FILES_SCHEMA, "files": [str(file) for file in written]})
    else:
        emit_report("\n".join(f"Wrote {file}" for file in written))
        if text.kind(around) == "other":
            warn("what this program needs is not known: choose a base image that has it (--base IMAGE)")


def document(file: Path, best: Candidate, others: list[Candidate]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "file": str(file),
        "application": _candidate(best),
        "alternatives": [_candidate(other) for other in others],
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {**candidate.as_dict(), "build": list(candidate.build), "ready": candidate.ready}


def report(best: Candidate, others: list[Candidate]) -> list[str]:
    if best.kind == "demo":
        found = ["No application was found here; oatie.toml runs the built-in demo until you name one."]
    else:
        found = [f"Found {best.kind}: {_what(best)}", f"  {best.evidence}"]
        found += [f"  also here: {_what(other)} ({other.evidence})" for other in others]
    return [*found, "Wrote oatie.toml. Next: `oatie deploy`, or `oatie start` to just run it."]


def _what(candidate: Candidate) -> str:
    return candidate.run or shlex.join(candidate.command or ())
