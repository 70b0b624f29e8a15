"""Where start-up time goes, what the machine does, and how many workers it should be.

The public names are imported when they are first used, as those of `oatie_ops` itself.
"""

from __future__ import annotations

from importlib import import_module

# public name -> the module that defines it
_LAZY = {
    "resource_monitor": "oatie_ops.performance.monitor",
    "startup_optimizer": "oatie_ops.performance.optimizer",
    "scaling_engine": "oatie_ops.scaling.engine",
}


def __getattr__(name: str) -> object:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
