"""The declaration, worked out in a process of its own: what validates it would stay in a long-lived one."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable

from oatie_ops.config import cache
from oatie_ops.config.declared import Declared
from oatie_ops.config.inputs import Inputs
from oatie_ops.config.issues import errors


def declare_apart(
    inputs: Inputs, declare: Callable[[Inputs], Declared], meanwhile: Callable[[], None]
) -> Declared | None:
    """What ``declare`` found; None where that has errors, or anything went wrong: then ask it here.

    For a process without threads, which calls ``meanwhile`` before it waits. The values go through a pipe
    that nobody else has.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            gc.disable()  # it ends before there could be garbage
            # Its search for plug-ins reads the metadata of every installed package.
            os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
            found = declare(inputs)
            if not errors(found.issues):
                with os.fdopen(write, "wb") as pipe:
                    pipe.write(json.dumps(cache.to_json(found)).encode())
        finally:
            os._exit(0)  # nothing that the parent registered, and no traceback: it repeats the work
    os.close(write)
    meanwhile()
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    try:
        return cache.from_json(json.loads(said), inputs)
    except (KeyError, TypeError, ValueError, AttributeError, OSError):
        return None
