"""``.oatie/run/switches.json``: beside the words, what does not fit into one; replaced as a whole.

Rules of the services (routes, responses), the decisions in force, and what the store could not take yet.
It is written before the words, so whoever sees a word finds at least its decision here.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from oatie_ops.degradation.decision import Decision, decision_from
from oatie_ops.degradation.edit import Edit, edit_from
from oatie_ops.records import dataclass

VERSION = 1
# The file is padded to a multiple of this, so that on a full disk there is room to write over it.
ROOM = 16_384


@dataclass(frozen=True)
class Bulletin:
    """``problem``: why the store does not have all of it. ``stale``: other hosts are not heard of."""

    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    pending: tuple[Edit, ...] = ()
    problem: str = ""
    stale: str = ""

    def with_(self, **changes: Any) -> Bulletin:
        return replace(self, **changes)


def path_of(switches: Path) -> Path:
    return switches.with_name(f"{switches.name}.json")


def read(path: Path) -> Bulletin:
    """An empty one where there is none, or where it cannot be understood: the store has it all."""
    try:
        data = json.loads(path.read_bytes())
        return Bulletin(
            rules=dict(data["rules"]),
            decisions=tuple(decision_from(each) for each in data["decisions"]),
            pending=tuple(edit_from(each) for each in data["pending"]),
            problem=str(data["problem"]),
            stale=str(data["stale"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Bulletin()


def write(path: Path, bulletin: Bulletin) -> None:
    """Raises `OSError`."""
    data = {
        "version": VERSION,
        "rules": bulletin.rules,
        "decisions": [decision.to_dict() for decision in bulletin.decisions],
        "pending": [edit.to_dict() for edit in bulletin.pending],
        "problem": bulletin.problem,
        "stale": bulletin.stale,
    }
    content = json.dumps(data).encode()
    content = content.ljust(-len(content) // ROOM * -ROOM)
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        _write_whole(draft, content, os.O_CREAT | os.O_TRUNC)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or path.stat().st_size != len(content):
            raise
        # On a full disk an operator may want to degrade something all the more: its blocks will do.
        # Whoever reads a half of it keeps what was known, and reads again when the words change.
        _write_whole(path, content, 0)


def _write_whole(path: Path, content: bytes, flags: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
    with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - a descriptor
        written = file.write(content)
    if written != len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
