"""Where a circuit is kept: in this process, or in a file that all processes of the host have mapped."""

from __future__ import annotations

import logging
import threading
from collections.abc import MutableSequence
from pathlib import Path
from typing import Protocol

from oatie_ops.recovery.breaker.state import Circuit

log = logging.getLogger(__name__)


class Cell(Protocol):
    """Held (``with cell:``) to read and write; ``words[0]`` may be read at any time without holding it."""

    words: MutableSequence[int] | memoryview

    def __enter__(self) -> object: ...

    def __exit__(self, *exc: object) -> None: ...

    def read(self) -> Circuit: ...

    def write(self, circuit: Circuit) -> None: ...

    def peek(self) -> Circuit:
        """Without holding it; may be a moment old."""
        ...

    def after_fork(self) -> None:
        """In the child: what the parent's threads held is nobody's here."""
        ...


class LocalCell:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._circuit = Circuit()
        self.words: MutableSequence[int] | memoryview = [self._circuit.word]

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self._lock.release()

    def read(self) -> Circuit:
        return self._circuit

    def peek(self) -> Circuit:
        return self._circuit

    def write(self, circuit: Circuit) -> None:
        self._circuit = circuit
        self.words[0] = circuit.word

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        circuit = self._circuit
        if circuit.leases:  # the probes run in the parent
            self.write(
                Circuit(
                    circuit.state,
                    circuit.generation,
                    circuit.open_until,
                    circuit.reopens,
                    circuit.successes,
                    circuit.tokens,
                    (),
                    circuit.mode,
                    circuit.mode_until,
                )
            )


def make_cell(service: str, shared: Path | None) -> Cell:
    """A call must not fail because a file cannot be made: then the circuit is this process's alone."""
    if shared is not None:
        from oatie_ops.recovery.breaker.shared import SharedCell

        try:
            return SharedCell(shared)
        except (OSError, ValueError) as error:
            log.warning(
                "the breaker of %s cannot use %s (%s); it is for this process alone", service, shared, error
            )
    return LocalCell()
