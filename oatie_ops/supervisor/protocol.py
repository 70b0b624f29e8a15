"""What the supervisor and its workers must agree on."""

from __future__ import annotations

import signal

# The supervisor asks for the stack of a worker that hangs. A real-time signal where there are some,
# because applications use SIGUSR1 and SIGUSR2 themselves.
STACK_SIGNAL = int(signal.SIGRTMIN) + 4 if hasattr(signal, "SIGRTMIN") else int(signal.SIGUSR2)

EXIT_BOOT_FAILED = 3
