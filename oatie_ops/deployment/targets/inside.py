"""A command in the container of a replica: what came of it, and why it could not be run there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from oatie_ops.errors import OatieError

# What a shell, and runc, exit with where there is no such program or it cannot be run.
CANNOT_RUN = (126, 127)


@dataclass(frozen=True)
class Said:
    """``code`` is the exit code of a command that has ended."""

    code: int
    out: str
    err: str


class NoProgram(OatieError):
    """The container has no such program."""


class OutOfReach(OatieError):
    """No way leads into the container from here.

    ``argv`` is the command line of the container's process 1, as far as the engine tells; empty: it does not.
    """

    def __init__(self, what: str, *, why: str = "", fix: str = "", argv: Sequence[str] = ()) -> None:
        super().__init__(what, why=why, fix=fix)
        self.argv = tuple(argv)


def ran(said: Said, argv: Sequence[str]) -> Said:
    """Raises `NoProgram` where the container's runtime had nothing to start."""
    if said.code in CANNOT_RUN and not said.out.lstrip().startswith("{"):
        raise NoProgram(f"there is no {argv[0]} in the container", why=(said.out + said.err).strip()[:200])
    return said


def runs_oatie(argv: Sequence[str]) -> bool:
    """Is oatie what this command line starts? Words of a shell's script count, too."""
    words = [word for part in argv for word in part.split()]
    return any(PurePosixPath(word).name in ("oatie", "oatie_ops") for word in words)
