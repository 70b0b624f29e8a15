"""Turns ``run = "package.module:attribute"`` into an ASGI application, whatever it is written for."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from oatie_ops.config.settings_app import AppSettings


class LoadError(Exception):
    """The import string itself is wrong; an exception inside the application's code is raised as it is."""


def _require_loop(name: str) -> None:
    """uvloop is half of an installation's size, so it comes with an extra."""
    if name == "uvloop" and find_spec("uvloop") is None:
        raise LoadError('[app] loop = "uvloop" needs uvloop: pip install \'oatie-ops[fast]\', or say "auto"')


def load_application(app: AppSettings) -> Any:
    """Imports, calls a factory, wraps WSGI. Returns an ASGI 3 callable."""
    assert app.run is not None
    _require_loop(app.loop)
    found = _import(app.run)
    source = app.run
    if _is_factory(found, app):
        source, found = f"what {app.run} returned", found()
    if not callable(found):
        raise LoadError(f"{source} is no application: {_kind(found)} cannot be called")
    if app.interface == "wsgi" or (app.interface == "auto" and not _is_asgi(found)):
        from a2wsgi import WSGIMiddleware

        return WSGIMiddleware(found)
    return found if _is_asgi3(found) else _asgi2(found)


def _import(import_string: str) -> Any:
    module_name, _, attribute = import_string.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise LoadError(
            f"there is no module {error.name!r} (looked in {', '.join(map(_shown, sys.path[:3]))})"
        ) from error
    found: Any = module
    names = attribute.split(".") if attribute else _usual_names(module)
    for name in names:
        if not hasattr(found, name):
            raise LoadError(f"{module.__name__} has no attribute {attribute or 'app'!r}")
        found = getattr(found, name)
    return found


def _kind(found: Any) -> str:
    return "None" if found is None else f"an object of type {type(found).__name__!r}"


def _shown(entry: str) -> str:
    return str(Path(entry)) if entry else "."


def _usual_names(module: Any) -> list[str]:
    return next(([name] for name in ("app", "application", "create_app") if hasattr(module, name)), ["app"])


def _is_factory(found: Any, app: AppSettings) -> bool:
    if app.factory is not None:
        return app.factory
    if not inspect.isroutine(found) or inspect.iscoroutinefunction(found):
        return False
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return False
    return all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def _is_asgi3(found: Any) -> bool:
    call = found if inspect.isroutine(found) else getattr(found, "__call__", None)  # noqa: B004
    if inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(call):
        return True
    return not inspect.isclass(found) and _required_arguments(found) == 3


def _is_asgi(found: Any) -> bool:
    return _is_asgi3(found) or _required_arguments(found) == 1


def _required_arguments(found: Any) -> int:
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return 2
    return sum(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters
    )


def _asgi2(found: Callable[[Any], Any]) -> Callable[[Any, Any, Any], Any]:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await found(scope)(receive, send)

    return application
