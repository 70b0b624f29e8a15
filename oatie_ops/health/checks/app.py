"""Does the application answer on its public address, as a user would reach it? Also ``http`` with a ``path``.

The ready path must answer 2xx; without a declared one any answer below 500 to ``GET /`` counts, as at the
deploy's gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from oatie_ops.config.settings import AppSettings
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.checks.http import HttpCheck, checked_url, declared
from oatie_ops.health.model import CheckSpec, Result, Status

_BELOW_500 = ((200, 499),)
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True)
class AppCheck:
    """``template`` holds all but the address. ``path`` None means the ready path of what serves now."""

    template: HttpCheck
    path: str | None = None

    async def run(self, attempt: Attempt) -> Result:
        tools = self.template.tools
        status = tools.app_status() if tools.app_status else {}
        if status.get("state") == "starting":
            return Result(Status.UNKNOWN, "not asked while the first workers start")
        # A release that was rolled back to keeps its own ready path, which the supervisor knows.
        ready = (status.get("app") or {}).get("ready", tools.settings.app.ready)
        url = address(tools.settings.app, status, self.path or ready or "/")
        if url is None:
            return Result(Status.UNKNOWN, "the application's port is not known")
        accepted = self.template.accepted if self.path or ready else _BELOW_500
        return await replace(self.template, url=checked_url(url), accepted=accepted).run(attempt)


def address(app: AppSettings, status: Mapping[str, Any], path: str) -> str | None:
    """The URL to ask. Port 0 in the settings means that the kernel chose; then the supervisor knows."""
    port = app.port or urlsplit(str((status.get("app") or {}).get("url") or "")).port
    if not port:
        return None
    host = _LOOPBACK_OF.get(app.host, app.host)
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}{path if path.startswith('/') else '/' + path}"


def build(spec: CheckSpec, tools: Tools) -> Check:
    anywhere = checked_url("http://localhost/")
    if spec.type != "app":
        return AppCheck(declared(spec, tools, anywhere), path=str(spec.options["path"]))
    return AppCheck(HttpCheck(spec, tools, anywhere, host=tools.settings.app.ready_host))
