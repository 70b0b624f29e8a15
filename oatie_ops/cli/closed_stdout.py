"""When the reader of standard output has gone, as ``oatie logs | head`` does: no error, and no complaint."""

from __future__ import annotations

import os
import select

from oatie_ops.exit_codes import ExitCode


def stdout_is_gone() -> bool:
    """Has the reader of stdout closed it? Tells this apart from another pipe or socket that broke."""
    try:
        poll = select.poll()
        poll.register(1, select.POLLOUT)
        return any(events & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, events in poll.poll(0))
    except OSError:
        return True


def leave_quietly(descriptor: int = 1) -> int:
    """What is still buffered cannot be written; without this the interpreter complains at its exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
    return ExitCode.OK
