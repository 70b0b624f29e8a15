"""Who is signed in to the dashboard, in memory. Pure but for the randomness; times are monotonic seconds.

A session is a random id in a cookie, of which only the hash is kept here, and a second secret (the CSRF
token) which the page sends back with whatever changes something: another site can make a browser send the
cookie, but cannot read the page.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from oatie_ops.api.tokens import Scope, token_hash

IDLE_SECONDS = 2 * 3600.0
LIFE_SECONDS = 12 * 3600.0
CODE_SECONDS = 120.0
MAX_SESSIONS = 200
MAX_CODES = 20


@dataclass(frozen=True)
class Session:
    """``digest``: the token it was opened with, which must stay valid; empty for a one-time link's."""

    actor: str
    scope: Scope
    csrf: str
    began: float
    seen: float
    digest: str = ""


@dataclass(frozen=True)
class _Code:
    actor: str
    scope: Scope
    made: float


@dataclass
class Sessions:
    clock: Callable[[], float]
    _open: dict[str, Session] = field(default_factory=dict)
    _codes: dict[str, _Code] = field(default_factory=dict)

    def begin(self, actor: str, scope: Scope, digest: str = "") -> tuple[str, Session]:
        """The id for the cookie, and the session. The one that was not seen for longest makes room."""
        now = self.clock()
        self._forget(now)
        while len(self._open) >= MAX_SESSIONS:
            del self._open[min(self._open, key=lambda key: self._open[key].seen)]
        session_id = secrets.token_urlsafe(32)
        session = Session(actor, scope, secrets.token_urlsafe(32), now, now, digest)
        self._open[token_hash(session_id)] = session
        return session_id, session

    def find(self, session_id: str) -> Session | None:
        now = self.clock()
        key = token_hash(session_id)
        session = self._open.get(key)
        if session is None:
            return None
        if now - session.began > LIFE_SECONDS or now - session.seen > IDLE_SECONDS:
            del self._open[key]
            return None
        self._open[key] = session = replace(session, seen=now)
        return session

    def end(self, session_id: str) -> None:
        self._open.pop(token_hash(session_id), None)

    def make_code(self, actor: str, scope: Scope) -> str:
        """For a link that signs in once, within `CODE_SECONDS`."""
        self._forget(self.clock())
        while len(self._codes) >= MAX_CODES:
            del self._codes[next(iter(self._codes))]
        code = secrets.token_urlsafe(32)
        self._codes[token_hash(code)] = _Code(actor, scope, self.clock())
        return code

    def redeem(self, code: str) -> tuple[str, Session] | None:
        """Opens the session that the link was made for; None for one that is used, old or made up."""
        self._forget(self.clock())
        found = self._codes.pop(token_hash(code), None)
        return None if found is None else self.begin(found.actor, found.scope)

    def _forget(self, now: float) -> None:
        self._codes = {key: code for key, code in self._codes.items() if now - code.made <= CODE_SECONDS}
        self._open = {
            key: session
            for key, session in self._open.items()
            if now - session.began <= LIFE_SECONDS and now - session.seen <= IDLE_SECONDS
        }


def same_secret(given: str, known: str) -> bool:
    """In a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), known.encode())
