"""What the replicas say of themselves: each oatie inside a container is asked, on the spot, by its own CLI.

The owner's way in is a command in the container: the ops API of a replica listens on its loopback unless told
otherwise, tells strangers one word, and has tokens of its own. Where no oatie runs inside, what the engine
knows of the container has to do; where one runs that cannot be asked, its health is unknown, and why is said.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Literal

from oatie_ops.deployment.apart import apart
from oatie_ops.deployment.targets.engine import Replica
from oatie_ops.deployment.targets.inside import NoProgram, OutOfReach, Said, runs_oatie
from oatie_ops.errors import OatieError
from oatie_ops.health.words import SEVERITY

AT_ONCE = 8
STATUS, HEALTH = ("oatie", "status", "--json"), ("oatie", "health", "--json")
# What the engine's word for a replica means for its health.
BY_STATE: Mapping[str, str] = {"serving": "pass", "starting": "warn", "draining": "warn"}

Run = Callable[[Replica, Sequence[str]], Said]


@dataclass(frozen=True)
class Inside:
    """What the oatie in the container says. ``workers`` serve; ``services``: status and finding by name."""

    state: str
    release: str | None
    version: str | None
    workers: int
    wanted_workers: int | None
    services: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """``source``: its own ops API, the engine, or nobody; then ``reason`` says why it could not be asked."""

    replica: Replica
    source: Literal["ops", "engine", "none"]
    status: str  # pass | warn | fail | unknown
    cause: str
    reason: str = ""
    inside: Inside | None = None

    @property
    def is_running(self) -> bool:
        """As far as anybody knows: serving, and what is inside agrees."""
        within = self.inside is None or self.inside.state == "running"
        return self.source != "none" and self.replica.state == "serving" and within


def ask_all(replicas: Sequence[Replica], run: Run, seconds: float) -> list[Answer]:
    """In the order of the replicas; a few at a time. Each has ``seconds``; who needs more is unreachable."""
    if not replicas:
        return []
    with ThreadPoolExecutor(min(AT_ONCE, len(replicas))) as pool:
        return list(pool.map(lambda each: _in_time(each, run, seconds), replicas))


def _in_time(replica: Replica, run: Run, seconds: float) -> Answer:
    """A call that hangs is left to its thread, which does not outlive the process."""
    thread, done = apart(partial(ask, replica, run), f"ask {replica.name}")
    thread.start()
    try:
        return done.result(seconds)
    except TimeoutError:
        return unreachable(replica, f"it did not answer in {seconds:g} s")


def ask(replica: Replica, run: Run) -> Answer:
    if replica.state in ("stopped", "starting"):
        return of_engine(replica)
    try:
        status = _said(run(replica, STATUS))
        if status.get("state") == "not running":
            return of_engine(replica, "no oatie runs in it")
        return of_ops(replica, status, _said(run(replica, HEALTH)))
    except NoProgram:
        return of_engine(replica, "no oatie in it")
    except OutOfReach as error:
        if error.argv and not runs_oatie(error.argv):
            return of_engine(replica, "no oatie in it")
        return unreachable(replica, _told(error))
    except OatieError as error:
        return unreachable(replica, _told(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # of an oatie that answers otherwise
        return unreachable(replica, _line(f"its oatie cannot be understood: {error!r}"))


def of_ops(replica: Replica, status: Mapping[str, Any], health: Mapping[str, Any]) -> Answer:
    """From the answers of `oatie status --json` and `oatie health --json` in the container."""
    workers = status.get("workers") or ()
    inside = Inside(
        state=str(status["state"]),
        release=status.get("release"),
        version=(status.get("supervisor") or {}).get("version"),
        workers=sum(each.get("state") == "serving" for each in workers),
        wanted_workers=status.get("wanted_workers"),
        services={
            name: {"status": str(each["status"]), "output": str(each.get("output", ""))}
            for name, each in health["services"].items()
        },
    )
    cause = str(health.get("cause") or "")
    if inside.state != "running" and not cause:
        cause = str(status.get("detail") or inside.state)
    word = str(health["status"])
    return Answer(replica, "ops", word if word in SEVERITY else "unknown", _line(cause), inside=inside)


def of_engine(replica: Replica, why: str = "") -> Answer:
    """The health check of the engine, where there is one, else only that the container runs."""
    words = {True: "its health check passes", None: "it runs; it has no health check"}
    known = words.get(replica.healthy, "") if replica.state == "serving" else ""
    finding = replica.detail or known or replica.state
    cause = f"engine: {finding}" + (f" ({why})" if why else "")
    return Answer(replica, "engine", BY_STATE.get(replica.state, "fail"), _line(cause))


def unreachable(replica: Replica, reason: str) -> Answer:
    """Unknown, unless the engine knows already that it is not well."""
    if replica.state == "serving":
        return Answer(replica, "none", "unknown", f"unreachable: {reason}", reason)
    return replace(of_engine(replica, f"unreachable: {reason}"), source="none", reason=reason)


def gathered(status: Mapping[str, Any], answers: Sequence[Answer]) -> dict[str, Any]:
    """The shape ``oatie.replicas/v1`` from the engine's status (`oatie_ops.deployment.targets.status`)."""
    counts = Counter(each.status for each in answers)
    found = _verdict(status, answers)
    return {
        "target": status.get("target", "process"),
        "release": status["release"],
        "wanted": status["wanted_workers"],
        **found,
        "counts": {word: counts[word] for word in SEVERITY},
        "replicas": [_as_dict(each) for each in answers],
    }


def _verdict(status: Mapping[str, Any], answers: Sequence[Answer]) -> dict[str, str]:
    state, detail = str(status["state"]), str(status.get("detail") or "")
    aside = sum(not each.is_running for each in answers)
    if state == "running" and aside:
        state, detail = "degraded", f"{aside} of {len(answers)} replicas are not known to run well"
    engine = {"running": "pass", "degraded": "warn", "starting": "warn"}.get(str(status["state"]), "fail")
    worst = max(answers, key=lambda each: SEVERITY[each.status], default=None)
    if worst is None or SEVERITY[engine] > SEVERITY[worst.status]:
        health, cause = engine, str(status.get("detail") or state)
    else:
        health, cause = worst.status, f"{worst.replica.name}: {worst.cause}"
    return {"state": state, "detail": detail, "status": health, "cause": "" if health == "pass" else cause}


def _as_dict(answer: Answer) -> dict[str, Any]:
    each = answer.replica
    return {
        "replica": each.name,
        "id": each.id,
        "node": each.node or None,
        "address": each.address or None,
        "release": each.release,
        "state": each.state,
        "restarts": each.restarts,
        "source": answer.source,
        "reason": answer.reason,
        "status": answer.status,
        "cause": answer.cause,
        "inside": None if answer.inside is None else asdict(answer.inside),
    }


def _said(said: Said) -> dict[str, Any]:
    """The one JSON object that a command with ``--json`` prints. Raises `OatieError`, with its own words."""
    try:
        found = json.loads(said.out)
        if isinstance(found["schema"], str) and "error" not in found:
            return dict(found)
        error = found["error"]
        raise OatieError(str(error["what"]), why=str(error.get("why", "")))
    except (ValueError, KeyError, TypeError) as error:
        last = (said.err.strip() or said.out.strip() or "it said nothing").splitlines()[-1][:200]
        raise OatieError("its oatie cannot be understood", why=f"exit {said.code}: {last}") from error


def _told(error: OatieError) -> str:
    return _line(f"{error.what}: {error.why}" if error.why else error.what)


def _line(text: str) -> str:
    """What comes from a container is shown on a terminal: one line, and nothing that a terminal obeys."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
