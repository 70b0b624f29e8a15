"""One run of a check, as the check sees it."""

from __future__ import annotations

from dataclasses import dataclass

from oatie_ops.health.model import Status


@dataclass
class Attempt:
    """What a check knows beforehand and, for the message of its deadline, what it waits for.

    ``measuring`` is False while it waits for something of ours; a deadline then proves nothing about the
    target.
    """

    previous: Status = Status.UNKNOWN
    waiting_for: str = ""
    measuring: bool = True
