"""The parts of the page that other rooms know of: events, releases, start-up, scaling, workers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oatie_ops.api.dashboard import charts, words
from oatie_ops.api.dashboard.templates import Html, render

Part = Mapping[str, Any]
SERVING = "serves"
UNDECIDED = ("building", "built")
TONES = {"fail": ("✗", "fail"), "warn": ("!", "warn"), "pass": ("✓", "pass"), "info": ("•", "info")}


def events(part: Part) -> Html:
    items = [
        {
            "symbol": TONES[item["tone"]][0],
            "tone": TONES[item["tone"]][1],
            "message": item["message"],
            "kind": item["kind"],
            "at": words.ago(item["at"]),
            "actor": item["actor"] or "",
        }
        for item in part.get("items", ())
    ]
    return _part(part, "events", {"items": items})


def releases(part: Part, serving: str | None) -> Html:
    items = [
        {
            "number": str(item["number"]),
            "serving": str(item["number"]) == str(serving),
            "word": SERVING if str(item["number"]) == str(serving) else item["status"],
            "note": item["note"],
            "actor": item["actor"] or "",
            "source": item["source"],
            "at": words.ago(item["created_at"]),
        }
        for item in part.get("items", ())
    ]
    return _part(part, "releases", {"items": items})


def coming(part: Part, serving: str | None) -> dict[str, Any] | None:
    """The newest release, while it is neither good nor bad yet."""
    item = next(iter(part.get("items", ())), None)
    if item is None or item["status"] not in UNDECIDED:
        return None
    serves = str(item["number"]) == str(serving)
    where = "it serves, and is watched before it counts as good" if serves else "it does not serve yet"
    text = f"Deploy of release {item['number']}: {item['status']}; {where}"
    return {"text": text, "actor": item["actor"] or "", "at": item["created_at"]}


def startup(part: Part) -> Html:
    if not part["known"]:
        return _part(part, "startup", {})
    phases = [
        {**phase, "text": f"{words.latency(phase['seconds'])}{_waited(phase)}"} for phase in part["phases"]
    ]
    total, _, unit = words.latency(part["total_seconds"]).partition(" ")
    shown = {
        "total": total,
        "unit": unit,
        "note": part["note"],
        "waterfall": charts.waterfall(phases),
        "advice": part["advice"],
    }
    return _part(part, "startup", shown)


def scaling(part: Part) -> Html:
    missing = part.get("missing", "")
    return _part(part, "scaling", {"items": part.get("items", ()), "missing": missing})


def workers(found: Sequence[Mapping[str, Any]]) -> Html:
    items = [
        {
            "id": str(worker.get("id", "")),
            "pid": worker.get("pid") or "",
            "state": str(worker.get("state", "")),
            "release": str(worker.get("release") or ""),
            "up": words.ago(worker.get("started_at"), "for"),
            "memory": words.size(worker.get("rss_bytes")),
            **{key: _count(worker.get(key)) for key in ("requests", "errors", "in_flight")},
        }
        for worker in found
    ]
    return render("workers", {"items": items})


def _part(part: Part, name: str, values: Mapping[str, Any]) -> Html:
    html = render(name, values) if part["known"] else Html("")
    return render("part", {"known": part["known"], "why": part["why"], "html": html})


def _waited(phase: Mapping[str, Any]) -> str:
    waiting = phase.get("waiting_seconds")
    return f", waiting {words.latency(waiting)}" if waiting and waiting >= 0.001 else ""


def _count(value: Any) -> str:
    return words.NO_FIGURE if value is None else str(value)
