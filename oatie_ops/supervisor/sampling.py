"""What a supervisor has measured of itself, its workers and the application, once a second."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Mapping

from oatie_ops.config.settings import ServiceSettings
from oatie_ops.performance.peers import peers
from oatie_ops.performance.phases import to_json
from oatie_ops.performance.readings import Load, Running, Worker
from oatie_ops.performance.sampler import Sampler
from oatie_ops.performance.samples import samples_path
from oatie_ops.performance.starts import start_of
from oatie_ops.performance.tiers import keep_of
from oatie_ops.store.errors import StoreError
from oatie_ops.store.samplefile import SampleFile
from oatie_ops.store.starts import Starts
from oatie_ops.supervisor.starting import Noted, StartLog
from oatie_ops.supervisor.supervisor import Supervisor
from oatie_ops.traffic.totals import LATENCY_BOUNDS_SECONDS

# struct tcp_info (linux/tcp.h): eight bytes, then 32-bit words. Of a listening socket the fifth,
# tcpi_unacked, is the number of connections that wait to be accepted.
TCP_INFO_BYTES = 104
WAITING_OFFSET = 8 + 4 * 4
TCP_LISTEN = 10
REMEMBERED = 1000


def make_sampler(supervisor: Supervisor) -> Sampler:
    return Sampler(
        lambda: running(supervisor),
        supervisor.paths.home,
        samples_path(supervisor.paths.home),
        keep=keep_of(supervisor.settings.history),
        bounds_seconds=LATENCY_BOUNDS_SECONDS,
        beside=StartWriter(supervisor.machinery.starts, supervisor.settings.services).write,
    )


class StartWriter:
    """Writes down how workers started; in the sampler's thread."""

    def __init__(self, log: StartLog, services: Mapping[str, ServiceSettings]) -> None:
        self._log = log
        self._services = services
        self._written: dict[int, tuple[int, tuple[str, ...]]] = {}  # by pid: number of the row, peers

    def write(self, file: SampleFile) -> None:
        """Raises `StoreError`; what was not written is tried again."""
        while (noted := self._log.take()) is not None:
            try:
                self._write(Starts(file), noted)
            except StoreError:
                self._log.put_back(noted)
                raise

    def _write(self, starts: Starts, noted: Noted) -> None:
        number, reached = self._written.get(noted.pid) or (0, tuple(peers(noted.pid)))
        facts = {"worker": noted.worker, "pid": noted.pid, "generation": noted.generation}
        start = start_of(
            noted.began,
            noted.reports,
            program=noted.program,
            services=self._services,
            peers=reached,
            facts={**facts, "program": noted.program},
        )
        if number:
            starts.amend(number, to_json(start))
            return
        number = starts.add(noted.at, "worker", noted.release, start.seconds, to_json(start))
        if len(self._written) >= REMEMBERED:
            del self._written[next(iter(self._written))]
        self._written[noted.pid] = number, reached


def running(supervisor: Supervisor) -> Running:
    """From memory; called in the sampler's thread, so it copies before it walks."""
    stats = supervisor.machinery.stats
    workers = [worker for worker in supervisor.all_workers() if worker.pid]
    samples = [(worker, stats.read(worker.slot)) for worker in workers]
    totals = supervisor.traffic()
    found = tuple(
        Worker(worker.id, worker.pid, None if totals is None else sample.connections)
        for worker, sample in samples
    )
    serving, queue = supervisor.serving_count(), accept_queue(supervisor)
    if totals is None:
        return Running(os.getpid(), found, Load(workers=serving, accept_queue=queue))
    load = Load(
        requests=totals.requests,
        errors=totals.errors,
        busy_seconds=totals.busy_seconds,
        buckets=totals.buckets,
        in_flight=sum(sample.in_flight for _, sample in samples),
        connections=sum(sample.connections for _, sample in samples),
        workers=serving,
        accept_queue=queue,
    )
    return Running(os.getpid(), found, load)


def accept_queue(supervisor: Supervisor) -> int | None:
    """None where the system does not tell, or where nobody listens."""
    sock = supervisor.public.held
    if sock is None or sys.platform != "linux":
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    except OSError:
        return None
    listening = len(info) > WAITING_OFFSET + 4 and info[0] == TCP_LISTEN
    return struct.unpack_from("=I", info, WAITING_OFFSET)[0] if listening else None
