"""What the store knows, as parts of a frame. All of it reads from the disk, so it belongs into a thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from oatie_ops.api.dashboard.frame import Part, known, unknown
from oatie_ops.health.words import WORDS
from oatie_ops.recovery import ladder_report
from oatie_ops.recovery.ladder import Ladder
from oatie_ops.store import Store
from oatie_ops.store.audit import AuditEntry
from oatie_ops.store.events import Event

EVENTS_SHOWN, EVENTS_READ = 25, 60
# Whoever tries many things must not push what was really done off the page.
REFUSALS_SHOWN, REFUSALS_READ = 5, 500
RELEASES_SHOWN = 8
STARTS_READ = 200
BUSY_TIMEOUT_SECONDS = 2.0
# A deploy is an event of its own, and who looks at this page is of interest to the audit alone.
NOT_TOLD = frozenset({"deploy", "rollback", "sign in", "sign out", "sign-in link"})


def events(database: Path) -> Part:
    """The newest events and deeds, newest first."""
    if not database.exists():
        return known({"items": []})
    with _open(database) as store:
        deeds = store.audit.recent(EVENTS_READ, refused=False)
        refusals = _folded(store.audit.recent(REFUSALS_READ, refused=True))
        items = [*map(_event, store.events.recent(EVENTS_READ)), *_deeds((*deeds, *refusals))]
    items.sort(key=lambda item: -float(item["at"]))
    return known({"items": items[:EVENTS_SHOWN]})


def releases(database: Path) -> Part:
    if not database.exists():
        return known({"items": []})
    with _open(database) as store:
        rows = store.releases.list()[:RELEASES_SHOWN]
    return known(
        {
            "items": [
                {
                    "number": row.number,
                    "status": row.status,
                    "created_at": row.created_at,
                    "good_at": row.good_at,
                    "actor": row.actor,
                    "source": _source(row.source),
                    "note": row.note,
                }
                for row in rows
            ]
        }
    )


def recovery(database: Path, ladders: Mapping[str, Ladder]) -> Part:
    return known({"ladders": ladder_report.overview(database, ladders)["ladders"]})


def startup(home: Path, release: str | None) -> Part:
    """How the workers of the release that serves were started: the start in the middle of all, as it was."""
    from oatie_ops.performance.phases import from_json
    from oatie_ops.performance.samples import samples_path
    from oatie_ops.performance.startstats import summarise
    from oatie_ops.store.samplefile import SampleFile
    from oatie_ops.store.starts import Starts

    try:
        file = SampleFile(samples_path(home), read_only=True)
    except FileNotFoundError:
        return unknown("no start has been measured yet")
    try:
        rows = Starts(file).latest(kind="worker", limit=STARTS_READ)
    finally:
        file.close()
    of_release = [row for row in rows if row.release == release]
    if not of_release:
        return unknown("no start of this release has been measured yet")
    middle = sorted(of_release, key=lambda row: row.seconds)[len(of_release) // 2]
    stats = summarise(rows)
    start = from_json(middle.data)
    note = f"the median of {len(of_release)} starts" if len(of_release) > 1 else "one start"
    if stats.regression is not None and "slower" in str(stats.regression.verdict) and stats.compared:
        note += f"; suspected slower than release {stats.compared[0]}"
    return known(
        {
            "release": release,
            "total_seconds": middle.seconds,
            "starts": len(of_release),
            "note": note,
            "phases": [
                {
                    "name": phase.name,
                    "start_seconds": round(phase.start, 6),
                    "seconds": round(phase.seconds, 6),
                    "waiting_seconds": phase.waiting_seconds,
                }
                for phase in start.phases
            ],
            "advice": [
                {"title": one.title, "text": one.action, "saves_seconds": one.saves_seconds}
                for one in stats.advice[:3]
            ],
        }
    )


def _open(database: Path) -> Store:
    return Store.open(database, busy_timeout_seconds=BUSY_TIMEOUT_SECONDS)


def _event(event: Event) -> dict[str, Any]:
    after, message = str(event.data.get("after")), event.message
    if after in WORDS:
        message = f"{event.subject} is {WORDS[after]}{message.partition(':')[1]}{message.partition(':')[2]}"
    return _item(event.at, event.kind, event.subject, message, _tone(event))


def _item(at: float, kind: str, subject: str, message: str, tone: str) -> dict[str, Any]:
    return {
        "at": at,
        "kind": kind,
        "subject": subject,
        "message": message,
        "tone": tone,
        "actor": "",
        "origin": "",
    }


def _deeds(entries: Iterable[AuditEntry]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        if entry.action in NOT_TOLD:
            continue
        refused = entry.result.startswith("refused")
        failed = entry.result == "failed"
        message = f"{entry.action} {entry.subject}: {entry.result}"
        if entry.detail:
            message += f" ({entry.detail})"
        item = _item(
            entry.at,
            "security" if refused else "action",
            entry.subject,
            message,
            "warn" if refused else "fail" if failed else "info",
        )
        yield {**item, "actor": entry.actor, "origin": entry.origin}


def _folded(refusals: Iterable[AuditEntry]) -> list[AuditEntry]:
    """Equal ones as the newest of them, with their number."""
    alike: dict[tuple[str, str, str], list[AuditEntry]] = {}
    for entry in refusals:
        alike.setdefault((entry.origin, entry.subject, entry.result), []).append(entry)
    shown = list(alike.values())[:REFUSALS_SHOWN]
    return [
        first if not others else replace(first, result=f"{first.result}, {len(others) + 1} times")
        for first, *others in shown
    ]


def _tone(event: Event) -> str:
    after = event.data.get("after")
    if after in ("pass", "warn", "fail"):
        return str(after)
    if "exit_code" in event.data:
        return "pass" if event.data["exit_code"] == 0 else "fail"
    outcome = str(event.data.get("outcome", ""))
    if outcome:
        return "pass" if outcome in ("proven", "recovered", "well") else "fail"
    return "info"


def _source(source: Mapping[str, Any]) -> str:
    commit = str(source.get("commit") or "")[:10]
    branch = str(source.get("branch") or "")
    parts = [branch, commit, "with changes" if source.get("dirty") else ""]
    return " ".join(part for part in parts if part)
