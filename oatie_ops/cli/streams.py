"""Standard streams that the caller had closed (``>&-``, some job runners), opened on /dev/null.

The next file or socket that is opened would get the number of a closed one, and whoever writes to
"standard error" later, a child for instance, would write into it.
"""

from __future__ import annotations

import os
import sys

NAMES = ("stdin", "stdout", "stderr")


def open_missing() -> None:
    """First all the descriptors, as what is opened for one stream must not take the number of the next."""
    missing = [(number, name) for number, name in enumerate(NAMES) if getattr(sys, name) is None]
    for number, _ in missing:
        if not _is_open(number):
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
    for _, name in missing:
        mode = "r" if name == "stdin" else "w"
        setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for good


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
