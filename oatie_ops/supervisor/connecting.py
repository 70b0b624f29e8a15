"""What a worker connects to while it boots, and how long it waits for it.

Python's own sockets are watched, from the start of the boot to its end; afterwards nothing is left in the
way. What connects past them (a C library, uvloop) is not timed here; the supervisor sees at the end that the
connection is there.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

LIMIT = 50


class ConnectionWatch:
    """``seen``: ``{"address", "at", "seconds", "ok"}``, oldest first; ``seconds`` None: not waited for."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self._watching = False
        self._put: list[tuple[Any, str, Any]] = []

    def begin(self) -> None:
        self._watching = True
        # Set on the subclass, so that taking it away again uncovers what is inherited.
        self._replace(socket.socket, "connect", self._connect(socket.socket.connect))

    def end(self) -> list[dict[str, Any]]:
        self._watching = False
        for owner, name, put in self._put:
            if owner.__dict__.get(name) is put:  # else somebody has wrapped ours, which now only passes on
                delattr(owner, name)
        self._put.clear()
        return self.seen

    def _replace(self, owner: Any, name: str, put: Any) -> None:
        if name not in owner.__dict__:  # else somebody was here before, and is not ours to replace
            setattr(owner, name, put)
            self._put.append((owner, name, put))

    def _connect(self, real: Callable[[socket.socket, Any], None]) -> Callable[[socket.socket, Any], None]:
        def connect(sock: socket.socket, address: Any) -> None:
            if not self._watching or len(self.seen) >= LIMIT:
                real(sock, address)
                return
            began = time.monotonic()
            seconds: float | None = None
            ok = False
            try:
                real(sock, address)
                ok, seconds = True, time.monotonic() - began
            except BlockingIOError:
                ok = True  # it goes on in the background
                raise
            except OSError:
                seconds = time.monotonic() - began
                raise
            finally:
                self.seen.append({"address": _shown(address), "at": began, "seconds": seconds, "ok": ok})

        return connect


def _shown(address: Any) -> str:
    if isinstance(address, tuple) and len(address) >= 2:
        host = str(address[0])
        return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"
    return address.decode(errors="replace") if isinstance(address, bytes) else str(address)
