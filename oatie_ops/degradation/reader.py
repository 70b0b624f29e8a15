"""The reading end in a process that serves: one per process, shared by the middleware and the library.

While nothing is degraded, a request costs one comparison of two integers (`pulse` against `calm`). Nothing
here waits on a store, a supervisor or a network; the bulletin is a local file, read once per change.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import time
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from oatie_ops.degradation import bulletin as bulletins
from oatie_ops.degradation.page import PULSE, Page, SwitchesUnusable, locked
from oatie_ops.degradation.rules import Headers, Rule, compile_rule, refusal
from oatie_ops.degradation.word import level_now, unpack
from oatie_ops.records import dataclass

VARIABLE = "OATIE_SWITCHES"
NOT_CALM = -1
# Set in a scope that was let through although its service is degraded: another layer does not decide anew.
JUDGED = "oatie.judged"

Answer = tuple[int, Headers, bytes]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Local:
    """A decision of this process that no file carries. ``deadline``: monotonic seconds."""

    level: int
    reason: str
    since: float
    deadline: float | None


class Reader:
    """Methods may be called from any thread; at worst two of them read the same bulletin."""

    def __init__(self, path: Path | None = None, worker: int | None = None) -> None:
        self.pulse: Any = memoryview(bytearray(8)).cast("Q")
        self.calm = 0
        self.local: dict[str, Local] = {}
        self._page: Page | None = None
        self._worker = worker
        self._seen = NOT_CALM
        self._own: dict[str, Rule] = {}
        self._told: dict[str, Rule] = {}
        self._reasons: Mapping[str, str] = {}
        self._public: Mapping[str, str] = {}
        self._raised: tuple[Rule, ...] = ()
        if path is not None:
            self._attach(path)

    @property
    def path(self) -> Path | None:
        return None if self._page is None else self._page.path

    @property
    def page(self) -> Page | None:
        return self._page

    def _attach(self, path: Path) -> None:
        try:
            self._page = Page.open(path)
        except SwitchesUnusable as error:
            log.warning("%s: %s; switches from outside this process are not obeyed", error.what, error.why)
            return
        self.pulse = self._page.words[PULSE : PULSE + 1]
        self.calm = NOT_CALM

    # --- the path of a request ----------------------------------------------------------------------------

    def answer(self, scope: MutableMapping[str, Any]) -> Answer | None:
        """What to answer instead of the application; None: the request goes on."""
        self.look()
        if not self._raised:
            return None
        if JUDGED in scope:
            return None
        return self.answer_to(str(scope.get("method", "GET")), str(scope["path"]), scope)

    def answer_to(
        self, method: str, path: str, scope: MutableMapping[str, Any] | None = None
    ) -> Answer | None:
        now = time.monotonic()
        for rule in self._raised:
            if not rule.concerns(path):
                continue
            level = self.level(rule.service, now)
            if level and (level >= 100 or random.random() * 100 < level):
                return self._compose(rule, method, path, now)
            if level and scope is not None:
                scope[JUDGED] = True
        return None

    def look(self) -> None:
        """Takes notice of a change, and tells that it did."""
        pulse = self.pulse[0]
        if pulse != self._seen:
            self._refresh(pulse)
            self._acknowledge(pulse)
            self._seen = pulse
        if not self._raised:
            # If the pulse moved meanwhile, it differs from this, and the next request looks again.
            self.calm = pulse

    def _compose(self, rule: Rule, method: str, path: str, now: float) -> Answer:
        canned = rule.answer(method, path)
        if canned is not None:
            return canned.status, canned.headers, canned.body
        return refusal(
            rule,
            reason=self._public_reason(rule.service),
            retry_after_seconds=rule.retry_after_seconds,
            left_seconds=self._left(rule.service, now),
        )

    # --- what is known ------------------------------------------------------------------------------------

    def level(self, service: str, now_seconds: float | None = None) -> int:
        """Percent of its requests that are degraded at this moment, 0 to 100."""
        now = time.monotonic() if now_seconds is None else now_seconds
        level = 0 if self._page is None else level_now(self._page.of(service), now)
        local = self.local.get(service)
        if local is not None and (local.deadline is None or now < local.deadline):
            level = max(level, local.level)
        return level

    def reason(self, service: str) -> str:
        local = self.local.get(service)
        return local.reason if local is not None else self._reasons.get(service, "")

    def _public_reason(self, service: str) -> str:
        local = self.local.get(service)
        return local.reason if local is not None else self._public.get(service, "")

    def raised(self) -> dict[str, int]:
        """Levels above 0 by service."""
        self.look()
        names = {*self.local, *(self._page.names() if self._page else ())}
        levels = {name: self.level(name) for name in sorted(names)}
        return {name: level for name, level in levels.items() if level}

    def rule(self, service: str) -> Rule | None:
        own, told = self._own.get(service), self._told.get(service)
        if own is None or (told is not None and not own.routes):
            return told
        return own

    def set_rule(self, service: str, source: Mapping[str, Any]) -> None:
        self._own[service] = compile_rule(service, source)
        self.forget()

    def forget(self) -> None:
        """Something changed in this process: look at everything anew."""
        self._seen = NOT_CALM
        self.calm = NOT_CALM

    def _left(self, service: str, now: float) -> float | None:
        local = self.local.get(service)
        deadline = local.deadline if local else None
        if local is None and self._page is not None:
            deadline = unpack(self._page.of(service)).deadline_seconds
        return None if deadline is None else max(0.0, deadline - now)

    # --- taking notice ------------------------------------------------------------------------------------

    def _refresh(self, pulse: int) -> None:
        names = dict.fromkeys(self.local)
        if self._page is not None and (pulse >> 32 or not self._told):
            names |= dict.fromkeys(self._page.names())
            self._read_bulletin(self._page.path)
        raised = [name for name in names if self.level(name)]
        rules = (self.rule(name) for name in raised)
        self._raised = tuple(rule for rule in rules if rule is not None)

    def _read_bulletin(self, path: Path) -> None:
        told = bulletins.read(bulletins.path_of(path))
        if not told.rules and self._told:
            return  # unreadable: what was known before is better than nothing
        for service, source in told.rules.items():
            known = self._told.get(service)
            if known is None or known.source != source:
                self._told[service] = compile_rule(service, source)
        for gone in self._told.keys() - told.rules.keys():
            del self._told[gone]
        in_force = [each for each in reversed(told.decisions) if not each.overruled_by]
        self._reasons = {each.service: each.reason for each in in_force}
        self._public = {each.service: each.public_reason for each in in_force}

    def _acknowledge(self, pulse: int) -> None:
        page = self._page
        if page is None:
            return
        if self._worker is None:
            # Nobody is waited for: without a place, or while somebody writes, it is told next time.
            with contextlib.suppress(SwitchesUnusable), locked(page.path, 0.0):
                self._worker = page.free_reader()
                if self._worker is not None:
                    page.acknowledge(self._worker, pulse)
        else:
            page.acknowledge(self._worker, pulse)

    def forked(self) -> None:
        """In a child: its parent's place among the readers is not its own."""
        self._worker = None
        self.forget()


_readers: list[Reader] = []


def current() -> Reader:
    """The reader of this process; made at the first call from `VARIABLE` or the project's own file."""
    if not _readers:
        adopt(Reader(_usual_path()))
    return _readers[0]


def adopt(reader: Reader) -> Reader:
    """This one is the reader of this process from now on."""
    if not _readers:
        os.register_at_fork(after_in_child=_forked)
    _readers[:] = [reader]
    return reader


def _forked() -> None:
    _readers[0].forked()


def shared_path(environ: Mapping[str, str] | None = None) -> Path | None:
    """The file that this process may also write: only where it was told so."""
    named = (os.environ if environ is None else environ).get(VARIABLE)
    return Path(named).absolute() if named else None


def _usual_path() -> Path | None:
    """A server that was started by hand in a project of oatie obeys its operator, too."""
    told = shared_path()
    if told is not None:
        return told
    home = os.environ.get("OATIE_HOME")
    run = (Path(home).expanduser() if home else Path(".oatie")).absolute() / "run"
    with contextlib.suppress(OSError):
        if run.is_dir() and run.stat().st_uid == os.getuid():
            return run / "switches"
    return None
