"""The check types, one small file each. `build` finds the file of a type and makes the check.

A new type is one file with a ``build(spec, tools) -> Check`` and one line in `_MODULES`.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module

from oatie_ops.health.checks.awaiting import Awaiting
from oatie_ops.health.checks.base import Check, CheckUnusable, DriverMissing, Tools, Unmeasured
from oatie_ops.health.checks.rotating import Rotating, stored_options
from oatie_ops.health.model import CheckSpec

_MODULES = {
    "workers": "workers",
    "app": "app",
    "http": "http",
    "https": "http",
    "tcp": "tcp",
    "disk": "disk",
    "memory": "memory",
    "cpu": "cpu",
    "process": "process",
    "store": "store",
    "heartbeat": "heartbeat",
    "tls": "tls",
    "dns": "dns",
    "postgres": "postgres",
    "redis": "redis",
    "sqlite": "sqlite",
    "command": "command",
    "docker": "docker",
    "load": "load",
    "pressure": "pressure",
    "fds": "fds",
    "diskio": "diskio",
    "network": "network",
}


def build(spec: CheckSpec, tools: Tools) -> Check:
    """The check of ``spec``. One that cannot work becomes a check that answers ``unknown`` and says why."""
    if templates := stored_options(tools.settings, spec.service):
        return Rotating(spec, tools, templates, _build)
    return _build(spec, tools)


def _build(spec: CheckSpec, tools: Tools) -> Check:
    module = _module_of(spec)
    if module is None:
        return Unmeasured(f"checks of type {spec.type!r} are not known; nothing is measured here")
    try:
        check: Check = import_module(f"{__name__}.{module}").build(spec, tools)
    except DriverMissing as missing:
        return Awaiting(spec, tools, missing, partial(_build, spec, tools))
    except CheckUnusable as error:
        return Unmeasured(str(error))
    except (AttributeError, TypeError, ValueError) as error:
        return Unmeasured(f"the options of this {spec.type} check cannot be used ({type(error).__name__})")
    return check


def _module_of(spec: CheckSpec) -> str | None:
    """None for a type that is not known. An ``http`` check of a ``path`` asks the application itself."""
    of_application = _MODULES.get(spec.type) == "http" and spec.options.get("path")
    return "app" if of_application else _MODULES.get(spec.type)
