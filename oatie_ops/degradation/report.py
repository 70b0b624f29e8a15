"""Tells the error tracker what an application raised, once per exception, and never fails or waits."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

_TOLD = "__oatie_told__"


def report_exception(error: BaseException, scope: Mapping[str, Any]) -> None:
    if getattr(error, _TOLD, False):
        return
    try:
        error.__dict__[_TOLD] = True  # another layer of the middleware sees the same one
        record = import_module("oatie_ops.recovery.errors").record
        record(error, service="app", context={"path": scope.get("path"), "method": scope.get("method")})
    except Exception:  # noqa: BLE001, S110 - the application's own error goes on its way, whatever happens here
        pass
