"""uvicorn without its command line, which is a quarter of its import and some megabytes.

The package imports it for its names ``run`` and ``main``: click, multiprocessing, a watcher of files. A
supervisor calls neither; an application may, and gets them when it asks.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

COMMAND_LINE = "uvicorn.main"
ITS_NAMES = ("main", "run")


def import_server_alone() -> None:
    """Does nothing where uvicorn is there already."""
    if "uvicorn" in sys.modules:
        return
    stand_in = types.ModuleType(COMMAND_LINE)
    stand_in.__dict__.update(dict.fromkeys(("Server", *ITS_NAMES)))
    sys.modules[COMMAND_LINE] = stand_in
    try:
        server = importlib.import_module("uvicorn.server")
    finally:
        del sys.modules[COMMAND_LINE]
    package = sys.modules["uvicorn"].__dict__
    for name in ITS_NAMES:
        package.pop(name, None)
    package |= {"Server": server.Server, "__getattr__": _of_the_command_line}


def _of_the_command_line(name: str) -> Any:
    """``uvicorn.run`` and ``uvicorn.main``, as the package itself would have had them (PEP 562)."""
    if name not in ITS_NAMES:
        raise AttributeError(f"module 'uvicorn' has no attribute {name!r}")
    module = importlib.import_module(COMMAND_LINE)
    sys.modules["uvicorn"].__dict__.update({each: getattr(module, each) for each in ITS_NAMES})
    return getattr(module, name)
