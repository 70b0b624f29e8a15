"""A small process that has the server imported and forks workers on request.

A worker that starts from here pays for the import of its own application only; the server's modules are
shared memory. The fork server itself never runs an event loop, a thread or a line of the application, so
forking it is safe. Workers are forked twice: their parent is the supervisor (as subreaper), not this
process, whose death therefore costs nothing.

Requests are one JSON line with the worker's descriptors attached (SCM_RIGHTS, unix(7)); the answer is
one JSON line with the pid.
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from oatie_ops._version import __version__
from oatie_ops.supervisor.borrowed import give_back
from oatie_ops.supervisor.death import die_with_parent, watch_lifeline
from oatie_ops.supervisor.server_import import import_server_alone

WORKER_FDS = ("control", "private", "stdout", "stderr", "stats", "lifeline")


def main(
    channel_fd: int, supervisor_pid: int, version: str, borrowed: list[str], times: dict[str, float]
) -> None:
    """``borrowed`` stand first in `sys.path`; they are given back before an application is imported.

    ``times``: monotonic, of the way of this process so far; each worker reports them as part of its own.
    """
    gc.disable()  # nothing that is imported here is garbage
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent(supervisor_pid)
    _import_server()
    times |= {"imported": time.monotonic(), "imported cpu": time.process_time()}
    if (queued := _queued_seconds()) is not None:
        times["imported queued"] = queued
    give_back(borrowed)
    channel = socket.socket(fileno=channel_fd)
    gc.freeze()  # keeps the shared pages shared: the collector would touch every object after a fork
    while (request := _receive(channel)) is not None:
        order, fds = request
        if version == __version__:
            answer: dict[str, Any] = {
                "pid": _fork_worker({**order, "times": times}, fds, channel, supervisor_pid)
            }
        else:
            answer = {"upgraded": __version__}
        for fd in fds.values():
            os.close(fd)
        # Nobody waits for the answer any more: whoever asked is leaving, and so do we.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            channel.sendall((json.dumps(answer) + "\n").encode())


def _import_server() -> None:
    import_server_alone()
    from oatie_ops.supervisor import worker  # noqa: F401

    with contextlib.suppress(ImportError):
        import uvicorn.loops.uvloop
        import uvloop  # noqa: F401
    with contextlib.suppress(ImportError):
        import uvicorn.loops.auto
        import uvicorn.protocols.http.httptools_impl
    import uvicorn.lifespan.on
    import uvicorn.protocols.http.auto  # noqa: F401


def _queued_seconds() -> float | None:
    from oatie_ops.supervisor.reporting import queued_seconds

    return queued_seconds()


def _receive(channel: socket.socket) -> tuple[dict[str, Any], dict[str, int]] | None:
    fds = array.array("i")
    space = socket.CMSG_SPACE(len(WORKER_FDS) * fds.itemsize)
    try:
        data, ancillary, _, _ = channel.recvmsg(65536, space)
    except ConnectionResetError:
        return None
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    while data and not data.endswith(b"\n"):
        more = channel.recv(65536)
        data = data + more if more else b""
    if not data:
        return None
    return json.loads(data), dict(zip(WORKER_FDS, fds, strict=True))


def _fork_worker(
    order: dict[str, Any], fds: dict[str, int], channel: socket.socket, supervisor_pid: int
) -> int:
    read_end, write_end = os.pipe()
    intermediate = os.fork()
    if intermediate == 0:
        worker = os.fork()
        if worker == 0:
            os.close(read_end)
            os.close(write_end)
            channel.close()
            _become_worker(order, fds, supervisor_pid)
        os.write(write_end, str(worker).encode())
        os._exit(0)
    os.close(write_end)
    with open(read_end, "rb") as answer:  # noqa: PTH123 - a descriptor
        pid = int(answer.read())
    os.waitpid(intermediate, 0)
    return pid


def _become_worker(order: dict[str, Any], fds: dict[str, int], supervisor_pid: int) -> NoReturn:
    order["times"]["born"] = time.monotonic()
    os.setsid()
    die_with_parent(supervisor_pid)
    with Path(os.devnull).open("rb") as null:
        os.dup2(null.fileno(), 0)
    os.dup2(fds["stdout"], 1)
    os.dup2(fds["stderr"], 2)
    os.close(fds["stdout"])
    os.close(fds["stderr"])
    sys.stdout = open(1, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115
    watch_lifeline(fds["lifeline"])
    gc.enable()
    os.environ.update(order["env"])
    if order["secrets"]:
        _hand_over(order["secrets"])
    os.chdir(order["directory"])
    sys.path.insert(0, order["directory"])
    sys.argv = [order["app"]["run"]]
    from oatie_ops.supervisor.worker import WorkerSockets, run_worker

    sockets = WorkerSockets(
        control=socket.socket(fileno=fds["control"]),
        private=socket.socket(fileno=fds["private"]),
        stats_fd=fds["stats"],
    )
    sockets.control.setblocking(True)
    # Through the interpreter's own end, so that the application's atexit handlers run.
    sys.exit(run_worker(order, sockets))


def _hand_over(values: dict[str, str]) -> None:
    from oatie_ops.secrets import Secret
    from oatie_ops.secrets.handover import DESCRIPTOR_VARIABLE, open_descriptor

    descriptor = open_descriptor({name: Secret(value) for name, value in values.items()})
    os.environ[DESCRIPTOR_VARIABLE] = str(descriptor)
