"""Becomes an operator's program: own session, dies with the supervisor, sockets at descriptor 3 and up.

Run as a script by an isolated interpreter, so it may use nothing but the standard library.
``exec_shim.py PARENT_PID DIRECTORY SOCKETS PROGRAM [ARGUMENT...]``
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
COMMAND_NOT_FOUND = 127
NOT_EXECUTABLE = 126


def main(parent_pid: int, directory: str, sockets: int, command: list[str]) -> int:
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:
            return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    if sockets:  # sd_listen_fds(3): the pid must be that of the process that takes them
        os.environ["LISTEN_FDS"] = str(sockets)
        os.environ["LISTEN_PID"] = str(os.getpid())
    try:
        os.chdir(directory)
        os.execvp(command[0], command)
    except FileNotFoundError as error:
        sys.stderr.write(f"cannot start {command[0]!r}: {error.strerror}\n")
        return COMMAND_NOT_FOUND
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]!r}: {error.strerror}\n")
        return NOT_EXECUTABLE


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]))
