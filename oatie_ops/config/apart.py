"""The declaration, worked out in a process of its own: what validates it would stay in a long-lived one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from oatie_ops.config import cache
from oatie_ops.config.declared import Declared
from oatie_ops.config.inputs import Inputs
from oatie_ops.config.issues import errors


def declare_apart(inputs: Inputs, declare: Callable[[Inputs], Declared]) -> Declared | None:
    """What ``declare`` found; None where that has errors, or anything went wrong: then ask it here.

    For a process without threads. The values go through a pipe that nobody else has.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            found = declare(inputs)
            if not errors(found.issues):
                with os.fdopen(write, "wb") as pipe:
                    pipe.write(json.dumps(cache.to_json(found)).encode())
        finally:
            os._exit(0)  # nothing that the parent registered, and no traceback: it repeats the work
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    try:
        return cache.from_json(json.loads(said), inputs)
    except (KeyError, TypeError, ValueError, AttributeError, OSError):
        return None
