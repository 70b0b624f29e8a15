"""A service whose dependency fails for as long as a file is there, called through oatie's library."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from oatie_ops import ServiceFallback, error_recovery_manager

BROKEN = Path(os.environ["OATIE_DATA_DIR"]) / "broken"
INSTEAD = ServiceFallback("database", fallback_data="none", cache_duration=0)
error_recovery_manager.register_service("database", fallback=INSTEAD)


def query() -> str:
    if BROKEN.exists():
        raise ConnectionError(f"refused with {os.environ.get('DATABASE_PASSWORD', '')}")
    return "rows"


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    path, body = scope["path"], "ok"
    if path == "/query":
        body = error_recovery_manager.execute_with_recovery("database", query)
    elif path == "/state":
        body = error_recovery_manager.breaker("database").state.value
    elif path == "/raise":
        raise ValueError("order 17 is broken")
    elif path == "/die":
        os.kill(os.getpid(), signal.SIGKILL)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})
