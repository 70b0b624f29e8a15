"""What a supervisor does at which signal."""

from __future__ import annotations

import asyncio
import signal

from oatie_ops.supervisor.supervisor import Supervisor


def install_signals(supervisor: Supervisor) -> None:
    """TERM and INT: graceful, a second one quick; QUIT quick; HUP reload; USR1 reopen logs; TTIN/TTOU ± 1."""
    loop = asyncio.get_running_loop()

    def scale(step: int) -> None:
        wanted = max(1, supervisor.fleet.desired + step)
        supervisor.machinery.sink.note(f"scaling to {wanted} workers (signal)")
        supervisor.fleet.scale_soon(wanted)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    loop.add_signal_handler(signal.SIGQUIT, lambda: supervisor.stop(quick=True))
    loop.add_signal_handler(signal.SIGHUP, lambda: supervisor.reload_soon("SIGHUP"))
    loop.add_signal_handler(signal.SIGUSR1, supervisor.machinery.sink.reopen)
    loop.add_signal_handler(signal.SIGTTIN, lambda: scale(1))
    loop.add_signal_handler(signal.SIGTTOU, lambda: scale(-1))
