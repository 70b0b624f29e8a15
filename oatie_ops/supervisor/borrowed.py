"""What a worker needs of oatie's own packages, and nothing else of them.

A release with an interpreter of its own must not find the packages that oatie happens to depend on: a
dependency that its author forgot would be there today and missing after the next upgrade. The server is
imported from oatie's packages all the same, because that is the version that the supervisor knows.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

# The server and what it imports later; and the library, which applications use.
LENT = frozenset({"oatie_ops", "uvicorn", "uvloop", "httptools", "h11", "websockets", "a2wsgi"})


class Lender:
    """Asked last, so that a release's own version of anything wins where it was not imported yet.

    A finder of `sys.meta_path` by its shape: `importlib.abc` brings a dozen modules into every boot.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = list(paths)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is not None or fullname.partition(".")[0] not in LENT:
            return None
        return PathFinder.find_spec(fullname, self._paths, target)


def give_back(paths: Sequence[str]) -> None:
    """After the server has been imported: the rest of the borrowed packages disappears again."""
    if not paths:
        return
    del sys.path[: len(paths)]
    sys.meta_path.append(Lender(paths))
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None) or ""
        if origin.startswith(tuple(paths)) and name.partition(".")[0] not in LENT:
            del sys.modules[name]
    sys.path_importer_cache.clear()
