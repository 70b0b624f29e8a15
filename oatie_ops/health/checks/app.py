"""Does the application answer on its public address, as a user would reach it?

The ready path must answer 2xx; without a declared one any answer below 500 to ``GET /`` counts, as at the
deploy's gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from oatie_ops.config.settings import AppSettings
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.checks.base import Check, Tools
from oatie_ops.health.checks.http import SUCCESS, HttpCheck, checked_url
from oatie_ops.health.model import CheckSpec, Result, Status

_BELOW_500 = ((200, 499),)
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True)
class AppCheck:
    spec: CheckSpec
    tools: Tools

    async def run(self, attempt: Attempt) -> Result:
        status = self.tools.app_status() if self.tools.app_status else {}
        if status.get("state") == "starting":
            return Result(Status.UNKNOWN, "not asked while the first workers start")
        app = self.tools.settings.app
        url = address(app, status)
        if url is None:
            return Result(Status.UNKNOWN, "the application's port is not known")
        accepted = SUCCESS if app.ready else _BELOW_500
        check = HttpCheck(self.spec, self.tools, checked_url(url), accepted, host=app.ready_host)
        return await check.run(attempt)


def address(app: AppSettings, status: Mapping[str, Any]) -> str | None:
    """The URL to ask. Port 0 in the settings means that the kernel chose; then the supervisor knows."""
    port = app.port or urlsplit(str((status.get("app") or {}).get("url") or "")).port
    if not port:
        return None
    host = _LOOPBACK_OF.get(app.host, app.host)
    name = f"[{host}]" if ":" in host else host
    path = app.ready or "/"
    return f"http://{name}:{port}{path if path.startswith('/') else '/' + path}"


def build(spec: CheckSpec, tools: Tools) -> Check:
    return AppCheck(spec, tools)
