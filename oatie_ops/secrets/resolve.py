"""From a reference to its value: which store, one cache, one deadline, one re-read after a rotation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from oatie_ops.errors import OatieError
from oatie_ops.secrets.backend import Backend, Deadline, Fetched, within
from oatie_ops.secrets.cache import Cache
from oatie_ops.secrets.members import member
from oatie_ops.secrets.reference import Reference, parse
from oatie_ops.secrets.value import Secret

DEADLINE_SECONDS = 5.0
TTL_SECONDS = 300.0

T = TypeVar("T")
Key = tuple[str | None, str, str | None, str | None]


class Resolver:
    """Looks secrets up. Thread-safe; values live in memory only.

    ``default`` is the backend of references without a scheme, and ``container`` the one secret (a JSON
    object) whose members they then are. A look-up takes ``deadline_seconds`` at most, whatever an SDK
    does; the import of the SDK, which happens once, comes on top.
    """

    def __init__(
        self,
        backend_of: Callable[[str], Backend],
        default: str = "env",
        *,
        container: str | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        ttl_seconds: float = TTL_SECONDS,
    ) -> None:
        self.default = default
        self._backend_of = backend_of
        self._container = container
        self._deadline_seconds = deadline_seconds
        self._cache: Cache[Fetched] = Cache(ttl_seconds)

    def get(self, reference: str | Reference) -> Secret:
        """Raises `SecretError`, `ReferenceInvalid` or `SdkMissing`."""
        full = self._full(reference)
        return self._member(self._cache.get(_key(full), lambda: self._fetch(full)), full)

    def describe(self, reference: str | Reference) -> Fetched:
        """The secret as a whole, with its version and time; for reports, which never show the value."""
        full = self._full(reference)
        return self._cache.get(_key(full), lambda: self._fetch(full))

    def get_many(self, references: Sequence[str | Reference]) -> list[Secret | OatieError]:
        """In order, each its value or why there is none; the stores are asked in as few calls as can be."""
        full = [self._full(reference) for reference in references]
        wanted = {_key(r): r for r in full if self._cache.peek(_key(r)) is None}
        failures = self._fill_all(list(wanted.values()))
        return [failures.get(_key(r)) or self._member_or_error(r) for r in full]

    def use(
        self,
        reference: str | Reference,
        attempt: Callable[[Secret], T],
        is_authentication_failure: Callable[[Exception], bool],
    ) -> T:
        """``attempt(secret)``; if that is refused and a fresh look-up gives another value, once more.

        For rotation: what is in memory may have been replaced in the store a moment ago.
        """
        full = self._full(reference)
        fetched = self._cache.get(_key(full), lambda: self._fetch(full))
        secret = self._member(fetched, full)
        try:
            return attempt(secret)
        except Exception as error:
            if not is_authentication_failure(error):
                raise
            fresh = self._member(self._cache.refresh(_key(full), lambda: self._fetch(full), fetched), full)
            if fresh == secret:
                raise
        return attempt(fresh)

    def place(self, reference: str | Reference) -> str:
        """Where a secret would be looked up, for people. Reads nothing."""
        full = self._full(reference)
        return self._backend_of(full.backend or self.default).place

    def _full(self, reference: str | Reference) -> Reference:
        found = parse(reference) if isinstance(reference, str) else reference
        if found.backend is not None:
            return found
        if self._container and found.key is None and not found.version and not found.stage:
            return replace(found, backend=self.default, name=self._container, key=found.name)
        return replace(found, backend=self.default)

    def _fetch(self, reference: Reference) -> Fetched:
        backend = self._prepared(reference.backend or self.default)
        deadline = Deadline(self._deadline_seconds)
        return within(deadline, backend, reference.name, lambda d: backend.fetch(reference, d))

    def _fill_all(self, references: Sequence[Reference]) -> dict[Key, OatieError]:
        """All stores side by side, so that several dead ones cost no more time than one."""
        groups: dict[str, list[Reference]] = {}
        for reference in references:
            groups.setdefault(reference.backend or self.default, []).append(reference)
        if not groups:
            return {}
        pool = ThreadPoolExecutor(len(groups), thread_name_prefix="oatie-secrets")
        try:
            filling = [pool.submit(self._fill, name, group) for name, group in groups.items()]
            return {key: error for filled in filling for key, error in filled.result().items()}
        finally:
            pool.shutdown(wait=False)  # an interrupt does not wait for a store

    def _fill(self, name: str, references: list[Reference]) -> dict[Key, OatieError]:
        try:
            backend = self._prepared(name)
            deadline = Deadline(self._deadline_seconds)
            found = within(deadline, backend, "", lambda d: backend.fetch_many(references, d))
        except OatieError as error:
            return {_key(reference): error for reference in references}
        failures = {}
        for reference, result in zip(references, found, strict=True):
            if isinstance(result, OatieError):
                failures[_key(reference)] = result
            else:
                self._cache.put(_key(reference), result)
        return failures

    def _prepared(self, name: str) -> Backend:
        backend = self._backend_of(name)
        backend.prepare()
        return backend

    def _member(self, fetched: Fetched, reference: Reference) -> Secret:
        if reference.key is None:
            return fetched.value
        place = self._backend_of(reference.backend or self.default).place
        return member(fetched.value, reference, place)

    def _member_or_error(self, reference: Reference) -> Secret | OatieError:
        try:
            return self.get(reference)
        except OatieError as error:
            return error


def _key(reference: Reference) -> Key:
    return (reference.backend, reference.name, reference.version, reference.stage)
