"""Telling systemd (or anything that speaks sd_notify(3)) how the service is.

Protocol: datagrams of ``KEY=value`` lines to the Unix socket that ``NOTIFY_SOCKET`` names; a leading ``@``
stands for the NUL of Linux's abstract namespace. Without the variable nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping

SEND_TIMEOUT_SECONDS = 1.0


class Notifier:
    """Every method says whether the manager took the message; a manager that is gone is no error.

    ``watchdog_seconds`` is how often `watchdog` has to be called at least, None where nobody waits for
    it: half of what systemd allows, as its documentation advises.
    """

    def __init__(self, address: str | None, watchdog_seconds: float | None = None) -> None:
        self._address = address
        self.watchdog_seconds = watchdog_seconds

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] | None = None) -> Notifier:
        """Takes the variables out of the environment, so that no worker speaks in our name."""
        env = os.environ if environ is None else environ
        address = env.pop("NOTIFY_SOCKET", None)
        microseconds, pid = env.pop("WATCHDOG_USEC", ""), env.pop("WATCHDOG_PID", "")
        ours = not pid or pid == str(os.getpid())
        watchdog = (
            int(microseconds) / 2e6 if ours and microseconds.isdecimal() and int(microseconds) else None
        )
        return cls(address or None, watchdog if address else None)

    @property
    def enabled(self) -> bool:
        return self._address is not None

    def ready(self, status: str = "") -> bool:
        """Start-up or a reload is finished. ``status`` is one line for ``systemctl status``."""
        return self._send("READY=1", *_status(status))

    def reloading(self, status: str = "") -> bool:
        """Followed by `ready` when it is over (``Type=notify-reload`` needs the clock value)."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={_monotonic_microseconds()}", *_status(status))

    def stopping(self, status: str = "") -> bool:
        return self._send("STOPPING=1", *_status(status))

    def status(self, status: str) -> bool:
        return self._send(*_status(status))

    def main_pid(self, pid: int) -> bool:
        """For a daemon that is not the process the manager started."""
        return self._send(f"MAINPID={pid}")

    def watchdog(self) -> bool:
        """We are alive; due every `watchdog_seconds`."""
        return self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> bool:
        if self._address is None or not lines:
            return False
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(SEND_TIMEOUT_SECONDS)
                sock.sendto("\n".join(lines).encode(), address)
        except OSError:
            return False
        return True


def _status(text: str) -> list[str]:
    return [f"STATUS={' '.join(text.split())}"] if text.strip() else []


def _monotonic_microseconds() -> int:
    """CLOCK_MONOTONIC, as the protocol demands; `time.monotonic_ns` is another clock on macOS."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
