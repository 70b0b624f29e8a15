"""`oatie_ops.degradation_manager`: degrading a service from inside an application.

In a process without oatie a switch lives in this process. Under oatie the same call sets the switch of all
workers: here at once, in the others as soon as a thread has written the file, which waits for nobody.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from oatie_ops.degradation import reader as readers
from oatie_ops.degradation.decision import DEFAULT_SECONDS, FULL, Decision
from oatie_ops.degradation.reader import Local, Reader
from oatie_ops.degradation.rules import library_source
from oatie_ops.degradation.word import Owner, unpack

DEFAULT_RESPONSE = "default"
log = logging.getLogger(__name__)


class DegradationManager:
    """Thread-safe; nothing here waits for a disk, a process or a network. One per process."""

    def __init__(self, reader: Reader | None = None, shared: Path | None = None) -> None:
        self._given = reader
        self._shared = shared
        self._responses: dict[str, dict[str, Any]] = {}
        self._writer = _Writer()

    @property
    def _reader(self) -> Reader:
        return self._given or readers.current()

    def register_degradation_rule(self, service: str, rule: Mapping[str, Any]) -> None:
        """``rule``: ``{"degraded_responses": {name: body}}``, and ``routes``, ``retry_after`` (seconds).

        The names are the application's own, for `get_degraded_response`. A name that is a route
        ("GET /api/reports") is also served by `OatieMiddleware`. Raises `TypeError` for what is no such rule.
        """
        responses = rule.get("degraded_responses", {})
        if not isinstance(responses, Mapping):
            raise TypeError("degraded_responses must be a mapping of names to responses")
        self._responses[service] = dict(responses)
        source = library_source(rule)
        self._reader.set_rule(service, source)
        path = self._shared or readers.shared_path()
        if path is not None:
            self._writer.put(path, "register", (service, source), self._reader.forget)

    def activate_degradation(
        self,
        service: str,
        reason: str = "",
        *,
        level: int = FULL,
        for_seconds: float | None = DEFAULT_SECONDS,
        owner: str = "application",
        cause: str = "",
    ) -> bool:
        """Degrades ``level`` percent of the requests; ``for_seconds`` None: until it is deactivated.

        ``owner`` and ``cause``: who decides and on what ground; equal ones replace each other. False where
        an operator has decided otherwise. Raises `ValueError` for a level or a time out of bounds.
        """
        if not 0 < level <= FULL:
            raise ValueError(f"level must be from 1 to {FULL} percent, not {level}")
        if for_seconds is not None and not for_seconds > 0:
            raise ValueError("for_seconds must be above 0, or None")
        reader = self._reader
        if self._operator_holds(reader, service):
            return False
        now = time.monotonic()
        deadline = None if for_seconds is None else now + for_seconds
        reader.local[service] = local = Local(level, reason, time.time(), deadline)
        reader.forget()
        path = self._shared or readers.shared_path()
        if path is not None:
            wanted = Decision(
                service=service,
                owner=owner,
                level=level,
                reason=reason,
                actor=_actor(),
                origin="application",
                started_at=time.time(),
                until=None if for_seconds is None else time.time() + for_seconds,
                cause=cause,
            )

            def written() -> None:
                # The file says it now, and whoever ends it there ends it here.
                if reader.local.get(service) is local:
                    del reader.local[service]
                reader.forget()

            self._writer.put(path, "decide", wanted, written)
        return True

    def deactivate_degradation(self, service: str, *, owner: str = "application", cause: str = "") -> bool:
        """Ends what `activate_degradation` began; True where there was something. An operator's stays."""
        reader = self._reader
        was = reader.local.pop(service, None) is not None or self._is_shared(reader, service, owner)
        reader.forget()
        path = self._shared or readers.shared_path()
        if path is not None:
            self._writer.put(path, "withdraw", (service, owner, cause), reader.forget)
        return was

    def is_degraded(self, service: str) -> bool:
        """True while any of its requests are degraded, whoever decided it."""
        return self._reader.level(service) > 0

    def level(self, service: str) -> int:
        """Percent of its requests that are degraded."""
        return self._reader.level(service)

    def get_degraded_response(self, service: str, operation: str = DEFAULT_RESPONSE) -> Any:
        """The registered response, or that of ``"default"``; None while it is not degraded or has none."""
        if not self.is_degraded(service):
            return None
        responses = self._responses.get(service, {})
        return responses.get(operation, responses.get(DEFAULT_RESPONSE))

    def get_degradation_status(self) -> dict[str, Any]:
        """What is degraded now, as this process sees it.

        ``degraded``, ``degraded_services``, ``registered`` (names), and by service its ``level`` (percent),
        ``reason``, ``owner`` and ``left_seconds`` (None: until it is ended).
        """
        reader = self._reader
        services = {name: self._told(reader, name, level) for name, level in reader.raised().items()}
        return {
            "degraded": bool(services),
            "degraded_services": list(services),
            "services": services,
            "registered": sorted(self._responses),
        }

    def after_fork(self) -> None:
        """In the child: its writer was not taken along, nor whoever held the writer's lock."""
        self._writer = _Writer()

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Waits until what was decided here is written; whether it was. For tests and a program's end."""
        return self._writer.flush(timeout_seconds)

    def _told(self, reader: Reader, service: str, level: int) -> dict[str, Any]:
        local, word = reader.local.get(service), unpack(reader.page.of(service) if reader.page else 0)
        deadline = local.deadline if local else word.deadline_seconds
        return {
            "level": level,
            "reason": reader.reason(service),
            "owner": "application" if local else word.owner.name.lower(),
            "left_seconds": None if deadline is None else round(max(0.0, deadline - time.monotonic()), 3),
        }

    @staticmethod
    def _operator_holds(reader: Reader, service: str) -> bool:
        """At level 0: the service stays as it is."""
        word = unpack(reader.page.of(service) if reader.page else 0)
        return word.owner is Owner.OPERATOR and word.level == 0 and not word.over(time.monotonic())

    @staticmethod
    def _is_shared(reader: Reader, service: str, owner: str) -> bool:
        word = unpack(reader.page.of(service) if reader.page else 0)
        return word.level > 0 and word.owner.name.lower() == owner


class _Writer:
    """One daemon thread per process that carries decisions to the file and the store, in their order."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[tuple[Path, str, Any, Callable[[], None]]] = queue.Queue()
        self._pid = 0
        self._lock = threading.Lock()

    def put(self, path: Path, act: str, what: Any, done: Callable[[], None]) -> None:
        with self._lock:
            if (
                self._pid != os.getpid()
            ):  # the first call, or the first after a fork, which takes no threads along
                self._pid = os.getpid()
                self._waiting = queue.Queue()
                threading.Thread(
                    target=self._write_all, args=(self._waiting,), name="oatie-switches", daemon=True
                ).start()
            self._waiting.put((path, act, what, done))

    def flush(self, timeout_seconds: float) -> bool:
        deadline = time.monotonic() + timeout_seconds
        while self._waiting.unfinished_tasks and self._pid == os.getpid():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    @staticmethod
    def _write_all(waiting: queue.Queue[tuple[Path, str, Any, Callable[[], None]]]) -> None:
        while True:
            path, act, what, done = waiting.get()
            try:
                from oatie_ops.degradation.desk import Desk
                from oatie_ops.paths import StatePaths

                desk = Desk(StatePaths(path.parent.parent))
                if act == "decide":
                    desk.decide(what)
                elif act == "register":
                    desk.register(*what)
                else:
                    desk.withdraw([what], "recovered", _actor())
                done()
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever goes wrong
                log.warning("a switch was not shared with the other workers: %s", error)
            finally:
                waiting.task_done()


def _actor() -> str:
    worker = os.environ.get("OATIE_WORKER")
    return f"worker {worker}" if worker else f"pid {os.getpid()}"


degradation_manager = DegradationManager()
os.register_at_fork(after_in_child=degradation_manager.after_fork)
