"""A command in a running container, through the engine."""

from __future__ import annotations

from collections.abc import Sequence

from oatie_ops.deployment.containers.api import Connection, explained
from oatie_ops.deployment.containers.errors import EngineFailed
from oatie_ops.deployment.targets.inside import NoProgram, Said, ran

NOT_THERE = ("executable file not found", "no such file or directory")


def run_inside(host: str, container: str, argv: Sequence[str]) -> Said:
    """As the container's user and with its environment. A connection of its own: threads ask at once.

    Raises `NoProgram`, else `EngineFailed`. The command's own deadline is the only one.
    """
    api = Connection(host).api
    try:
        with explained(f"running {argv[0]} in the container"):
            made = api.exec_create(container, list(argv), stdout=True, stderr=True)
            out, err = api.exec_start(made["Id"], demux=True)
            code = api.exec_inspect(made["Id"])["ExitCode"]
    except EngineFailed as error:
        if any(words in error.why for words in NOT_THERE):
            raise NoProgram(f"there is no {argv[0]} in the container", why=error.why) from error
        raise
    said = Said(int(code or 0), (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace"))
    return ran(said, argv)
