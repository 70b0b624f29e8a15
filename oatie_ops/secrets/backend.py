"""What every store of secrets offers, and the deadline that none of them can outlast."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from oatie_ops.errors import OatieError
from oatie_ops.secrets.errors import NoCredentials, SecretError, SecretMalformed, SecretsUnreachable
from oatie_ops.secrets.reference import Reference
from oatie_ops.secrets.value import Secret

T = TypeVar("T")

CREDENTIALS = "looking for credentials"
READING = "reading the secret"
LISTING_SECONDS = 1.0  # a suggestion is not worth more


@dataclass(frozen=True)
class Fetched:
    """One secret as stored. ``version`` is the store's own name of it; ``updated_at`` in epoch seconds."""

    value: Secret
    version: str | None = None
    updated_at: float | None = None


class Deadline:
    """A point in time that the whole of a look-up must meet; `phase` says what is being waited for."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds
        self.phase = CREDENTIALS

    def left(self, at_most: float | None = None) -> float:
        """Seconds until the end, never less than 10 ms: SDKs take 0 for "no limit"."""
        left = max(0.01, self._end - self._clock())
        return left if at_most is None else min(left, at_most)

    @property
    def is_over(self) -> bool:
        return self._clock() >= self._end


class Backend(ABC):
    """One store. `prepare` imports the SDK; `fetch` and `names` may take as long as they like."""

    name: str  # as in SECRETS_BACKEND
    title: str  # for people

    def prepare(self) -> None:  # noqa: B027 - most stores need nothing
        """Imports what is needed. Raises `SdkMissing`."""

    @abstractmethod
    def fetch(self, reference: Reference, deadline: Deadline) -> Fetched:
        """Raises `SecretError`."""

    def fetch_many(self, references: Sequence[Reference], deadline: Deadline) -> list[Fetched | OatieError]:
        """In order; a failure of one is in its place and does not stop the others."""
        return [self._fetch_or_error(reference, deadline) for reference in references]

    def _fetch_or_error(self, reference: Reference, deadline: Deadline) -> Fetched | OatieError:
        try:
            return self.fetch(reference, deadline)
        except OatieError as error:
            return error

    def names(self, deadline: Deadline) -> list[str]:
        """All names that may be listed; for "did you mean"."""
        return []

    def where(self) -> str:
        """The place in the store, for messages: a region, a project, an address."""
        return ""

    def identity(self) -> str:
        """As whom the store is asked, as far as known; never a credential."""
        return ""

    @property
    def place(self) -> str:
        where = self.where()
        return f"{self.title} ({where})" if where else self.title

    def similar(self, name: str, deadline: Deadline) -> str:
        """ ", did you mean …?" or ""; a store that lists nothing costs `LISTING_SECONDS`."""
        with contextlib.suppress(OatieError):
            found = within(Deadline(deadline.left(LISTING_SECONDS)), self, name, self.names)
            near = get_close_matches(name, found, n=1, cutoff=0.6)
            return f"; did you mean `{near[0]}`?" if near else ""
        return ""


def within(deadline: Deadline, backend: Backend, name: str, work: Callable[[Deadline], T]) -> T:
    """Runs ``work(deadline)`` and gives up at the deadline, whatever an SDK is waiting for.

    The thread that still waits is abandoned; it is a daemon and ends with its SDK's own time-out.
    Raises `SecretsUnreachable` or `NoCredentials` (by the phase), or the `OatieError` of the work.
    """
    results: list[T] = []
    failures: list[OatieError] = []

    def run() -> None:
        try:
            results.append(work(deadline))
        except OatieError as error:
            failures.append(error)
        except Exception as error:  # noqa: BLE001 - reported; it may hold an answer, so it cannot be raised
            failures.append(_unexpected(error, deadline, backend, name))

    thread = threading.Thread(target=run, name=f"oatie-{backend.name}", daemon=True)
    thread.start()
    thread.join(deadline.left())
    if failures:
        raise _stripped(failures[0])
    if results:
        return results[0]
    raise _late(deadline, backend, name)


def _stripped(error: OatieError) -> OatieError:
    """Without the errors and frames behind it: an SDK's error may hold an answer, a frame a value."""
    error.__context__ = None
    return error.with_traceback(None)


def _unexpected(error: Exception, deadline: Deadline, backend: Backend, name: str) -> OatieError:
    """SDKs trip over answers they do not expect; what they raise then is known by its place only."""
    innermost = traceback.extract_tb(error.__traceback__)[-1]
    why = f"{type(error).__name__} in {Path(innermost.filename).name}:{innermost.lineno}"
    if deadline.phase == CREDENTIALS:
        return NoCredentials(
            f"looking for credentials for {backend.place} failed",
            backend=backend.name,
            name=name,
            why=why,
            fix="check the metadata service or the credential files of this machine",
        )
    return SecretMalformed(
        f"{backend.place} answered something that cannot be read",
        backend=backend.name,
        name=name,
        identity=backend.identity(),
        why=why,
        fix="check the address of the store in [secrets], and what stands between it and this machine",
    )


def _late(deadline: Deadline, backend: Backend, name: str) -> SecretError:
    seconds = f"{deadline.seconds:g} s"
    if deadline.phase == CREDENTIALS:
        return NoCredentials(
            f"no credentials for {backend.place} were found within {seconds}",
            backend=backend.name,
            name=name,
            why="the service that should hand them out does not answer",
            fix="sign in, or set SECRETS_BACKEND=env where there is no such store",
        )
    return SecretsUnreachable(
        f"{backend.place} did not answer within {seconds}",
        backend=backend.name,
        name=name,
        identity=backend.identity(),
        why=f"timed out while {deadline.phase} `{name}`" if name else f"timed out while {deadline.phase}",
        fix="check network, proxy and firewall, or raise `timeout` in [secrets]",
    )
