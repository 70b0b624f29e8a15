"""The words of a notification, for each kind of receiver. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from oatie_ops.health.alerts.policy import Tell, Told
from oatie_ops.health.report import iso_epoch
from oatie_ops.health.words import WORDS

SCHEMA_VERSION = 1
ALERT_NAME = "OatieServiceDown"


def notification(number: str, tells: Iterable[Tell], source: Mapping[str, str], now: float) -> dict[str, Any]:
    """What is queued and what the generic webhook and the command get. ``source``: app, host, url."""
    alerts = [
        {
            "service": tell.service,
            "status": "resolved" if tell.told is Told.RESOLVED else "firing",
            "reminder": tell.told is Told.REMINDER,
            "health": tell.status,
            "output": tell.output,
            "since": iso_epoch(tell.since),
            "until": None if tell.until is None else iso_epoch(tell.until),
            "flapping": tell.flapping,
        }
        for tell in tells
    ]
    firing = any(alert["status"] == "firing" for alert in alerts)
    return {
        "schema_version": SCHEMA_VERSION,
        "id": number,
        "status": "firing" if firing else "resolved",
        "at": iso_epoch(now),
        **source,
        "alerts": alerts,
    }


def subject(note: Mapping[str, Any]) -> str:
    """One line: what is worst, how much more there is."""
    shown = [a for a in note["alerts"] if a["status"] == note["status"]] or note["alerts"]
    first = shown[0]
    word = "resolved" if first["status"] == "resolved" else "failing"
    more = f" and {len(note['alerts']) - 1} more" if len(note["alerts"]) > 1 else ""
    still = "still " if first["reminder"] else ""
    return f"[{note['app']}] {first['service']}{more}: {still}{word}"


def lines(note: Mapping[str, Any]) -> list[str]:
    return [_line(alert) for alert in note["alerts"]]


def _line(alert: Mapping[str, Any]) -> str:
    if alert["status"] == "resolved":
        lasted = _between(alert["since"], alert["until"])
        return f"✓ {alert['service']} is {WORDS[alert['health']]} again after {lasted}: {alert['output']}"
    still = "is still" if alert["reminder"] else "is"
    flapping = " (flapping)" if alert["flapping"] else ""
    since = alert["since"]
    return f"✗ {alert['service']} {still} {WORDS[alert['health']]}{flapping} since {since}: {alert['output']}"


def _between(begun: str, ended: str | None) -> str:
    from oatie_ops.config.durations import format_duration

    if ended is None:
        return "some time"
    seconds = (_moment(ended) - _moment(begun)).total_seconds()
    return format_duration(float(max(0, round(seconds))))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def text(note: Mapping[str, Any]) -> str:
    """For a mail: what happened, then where to look."""
    where = f"{note['app']} on {note['host']}"
    look = [f"Now: {note['url']}/health/dashboard/html"] if note.get("url") else []
    return "\n".join([*lines(note), "", f"Application: {where}", *look, "On the host: oatie health", ""])


def slack(note: Mapping[str, Any]) -> dict[str, Any]:
    """Slack's incoming webhook, which Mattermost, Rocket.Chat and Discord (``/slack``) take as well."""
    escaped = [
        line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        for line in [f"*{subject(note)}*", *lines(note)]
    ]
    return {"text": "\n".join(escaped)}


def alertmanager(note: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The body of ``POST /api/v2/alerts``."""
    found = []
    for alert in note["alerts"]:
        entry: dict[str, Any] = {
            "labels": {
                "alertname": ALERT_NAME,
                "service": alert["service"],
                "app": note["app"],
                "instance": note["host"],
                "severity": "critical",
            },
            "annotations": {"summary": _line(alert), "description": alert["output"]},
            "startsAt": alert["since"],
        }
        if alert["status"] == "resolved":
            entry["endsAt"] = note["at"]
        if note.get("url"):
            entry["generatorURL"] = f"{note['url']}/health/dashboard/html"
        found.append(entry)
    return found
