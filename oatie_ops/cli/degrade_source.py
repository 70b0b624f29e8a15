"""Where ``oatie degrade`` acts: the running supervisor, or where that does not answer, the file itself."""

from __future__ import annotations

import time
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from oatie_ops.cli.context import Context
from oatie_ops.deployment.who import Who, who
from oatie_ops.errors import OatieError, UsageError
from oatie_ops.supervisor.client import ControlClient, NotRunning

if TYPE_CHECKING:
    from oatie_ops.degradation.desk import Desk, Published

PREFIX = "/api/performance/errors"
# A supervisor that hangs must not keep an operator from acting.
PATIENCE_SECONDS = 5.0
OBEY_SECONDS = 2.0
POLL_SECONDS = 0.002


class Switchboard:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = ControlClient(context.paths.control_socket)

    @cached_property
    def _who(self) -> Who:
        return who()

    def status(self) -> dict[str, Any]:
        """As ``GET …/degradation/status``, with ``supervised``."""
        told, _why = self._ask("GET", f"{PREFIX}/degradation/status")
        if told is not None:
            return {**told, "supervised": True}
        from oatie_ops.degradation.status import status

        desk = self._desk()
        return {**status(desk.read(), desk.now()), "supervised": False}

    def require_known(self, service: str) -> None:
        """Raises `UsageError` with the names there are: before anything else is asked about a wrong one."""
        told, _why = self._ask("GET", f"{PREFIX}/degradation/status")
        if told is None:
            self._require_known(self._desk(), service)
        elif service not in told["services"]:
            raise _unknown(service, list(told["services"]))

    def degrade(self, service: str, *, reason: str, seconds: float | None, level: int) -> dict[str, Any]:
        body = {
            "reason": reason,
            "level": level,
            "duration": "permanent" if seconds is None else seconds,
            "actor": self._who.actor,
            "origin": self._who.origin,
        }
        told, why = self._change(service, "degrade", body)
        if told is not None:
            return told
        from oatie_ops.degradation.decision import Decision

        desk = self._desk()
        self._require_known(desk, service)
        now = desk.now()
        published = desk.decide(
            Decision(
                service=service,
                owner="operator",
                level=level,
                reason=reason,
                actor=self._who.actor,
                origin=self._who.origin,
                started_at=now.epoch_seconds,
                until=None if seconds is None else now.epoch_seconds + seconds,
                deadline=None if seconds is None else now.monotonic_seconds + seconds,
                boot_id=now.boot_id,
            )
        )
        return self._done(desk, service, published, why)

    def restore(self, service: str, reason: str) -> dict[str, Any]:
        body = {"reason": reason, "actor": self._who.actor, "origin": self._who.origin}
        told, why = self._change(service, "restore", body)
        if told is not None:
            return told
        desk = self._desk()
        self._require_known(desk, service)
        published = desk.restore(service, self._who.actor, self._who.origin, reason)
        return self._done(desk, service, published, why)

    def _change(self, service: str, verb: str, body: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
        told, why = self._ask("POST", f"{PREFIX}/services/{quote(service, safe='')}/{verb}", body)
        return (None, why) if told is None else ({**told, "supervised": True, "remark": ""}, "")

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[dict[str, Any] | None, str]:
        """None with the reason where no supervisor answers. Raises what one that answers refuses."""
        try:
            return self._client.call(method, path, body, timeout_seconds=PATIENCE_SECONDS), ""
        except NotRunning:
            return None, "no supervisor is running"
        except OatieError as error:
            if "retry_after_seconds" in error.data:
                return None, "the supervisor is still starting"
            if error.what == "the supervisor did not answer":
                return None, f"the supervisor did not answer within {PATIENCE_SECONDS:g} s"
            if error.what.startswith("there is no service"):
                raise UsageError(error.what, why=error.why, fix=error.fix) from error
            raise

    def _desk(self) -> Desk:
        from oatie_ops.degradation.desk import Desk

        self._context.paths.ensure()
        return Desk(self._context.paths)

    def _require_known(self, desk: Desk, service: str) -> None:
        """Today's oatie.toml has the word where no supervisor has read it."""
        from oatie_ops.degradation.install import install
        from oatie_ops.degradation.rules import source_of

        told = desk.read().rules
        if service not in told:
            declared = source_of(self._context.loaded.settings)
            install(self._context.paths, {**told, **declared})
            told = {**told, **declared}
        if service not in told:
            raise _unknown(service, list(told))

    def _done(self, desk: Desk, service: str, published: Published, why: str) -> dict[str, Any]:
        from oatie_ops.degradation.decision import effective
        from oatie_ops.degradation.status import service as state_of

        now = desk.now()
        counts = effective(published.bulletin.decisions, now).get(service)
        obeyed = self._wait_for_readers(desk, published)
        return {
            "service": service,
            **state_of(service, published.bulletin, counts, now),
            **obeyed,
            "problem": published.bulletin.problem or None,
            "stale": published.bulletin.stale or None,
            "supervised": False,
            "remark": why,
        }

    @staticmethod
    def _wait_for_readers(desk: Desk, published: Published) -> dict[str, Any]:
        """Workers of a supervisor that hangs look ten times a second by themselves."""
        deadline = time.monotonic() + OBEY_SECONDS
        while True:
            now = time.monotonic()
            readers = desk.page.readers(workers=True)
            obeying = sum(seen >= published.changes for seen in readers.values())
            if obeying == len(readers) or now >= deadline:
                all_of_them = readers and obeying == len(readers)
                seconds = round(max(0.0, now - published.at), 6) if all_of_them else None
                return {"workers": len(readers), "obeying": obeying, "seconds": seconds}
            time.sleep(POLL_SECONDS)


def _unknown(service: str, known: list[str]) -> UsageError:
    near = get_close_matches(service, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    there = (
        f"there are: {', '.join(known)}" if known else "declare [services.NAME] with `routes` in oatie.toml"
    )
    return UsageError(f"there is no service {service!r} to degrade", fix=hint + there)
