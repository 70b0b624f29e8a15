"""From a frame to the parts of the page, by the id of the element that holds them. Pure.

The page is made of them, and the script replaces those that changed: what it shows is never made twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from oatie_ops.api.dashboard import charts, parts, tiles, words
from oatie_ops.api.dashboard.frame import ACTIONS
from oatie_ops.api.dashboard.kept import Kept
from oatie_ops.api.dashboard.templates import Html, render
from oatie_ops.health.latency import UNTIMED
from oatie_ops.health.words import SYMBOLS, WORDS, verdict

LABELS = {"restart": "Restart", "recover": "Recover", "degrade": "Degrade", "restore": "Restore"}
EFFECTS = {
    "restart": "It is started anew; the application gets new workers and loses no request.",
    "recover": "Its recovery ladder is climbed now, rung by rung, until a check proves that it works again.",
    "degrade": "Running workers answer its routes with what is declared for that, at once.",
    "restore": "Running workers serve its routes again, at once; automatic decisions stay overruled.",
}
# Of the worst service, the first of these that is possible is what to press.
REMEDIES = ("recover", "restart", "restore")
CALM = {"pass": "Every check passes.", "unknown": "Nothing has been checked yet.", "warn": "", "fail": ""}

Frame = Mapping[str, Any]


def others(frame: Frame, kept: Kept) -> dict[str, Html]:
    """All sections but the rows of the services, of which there may be very many."""
    release = frame["release"]
    coming = parts.coming(frame["releases"], release)
    return {
        "banner": banner(frame),
        "operations": kept.html(
            "operations", (frame["operations"], coming), lambda: operations(frame, coming)
        ),
        **{f"tile-{tile.id}": tile.html for tile in tiles.tiles(frame)},
        "events": kept.html("events", frame["events"], lambda: parts.events(frame["events"])),
        "releases": kept.html(
            "releases", (frame["releases"], release), lambda: parts.releases(frame["releases"], release)
        ),
        "startup": kept.html("startup", frame["startup"], lambda: parts.startup(frame["startup"])),
        "scaling": kept.html("scaling", frame["scaling"], lambda: parts.scaling(frame["scaling"])),
        "workers": kept.html("workers", frame["workers"], lambda: parts.workers(frame["workers"])),
        "release": Html(f"release {escape(str(release))}") if release else Html(""),
    }


def row_id(frame: Frame, name: str) -> str:
    """Stable for as long as the supervisor runs, and free of whatever a name may hold."""
    return f"svc-{list(frame['services']).index(name)}"


def title(frame: Frame) -> str:
    status, name = frame["status"], str(frame["app"].get("name") or "application")
    return f"{SYMBOLS[status]} {verdict(status, frame['services'])} · {name}"


def banner(frame: Frame) -> Html:
    worst, status, ready = frame["worst"], frame["status"], frame["groups"]["ready"]
    unwell = [
        name
        for name in frame["order"]
        if frame["services"][name]["status"] in ("fail", "warn") and (not worst or name != worst["service"])
    ]
    return render(
        "banner",
        {
            "status": status,
            "symbol": SYMBOLS[status],
            "word": verdict(status, frame["services"]).capitalize(),
            "since": words.ago(_at(worst["since"]), "for") if worst and worst["since"] else "",
            "worst": worst or False,
            "calm": CALM[status],
            "ready": words.state(ready["status"], "ready" if ready["status"] == "pass" else ""),
            "ready_output": ready["output"],
            "state": frame["state"] or "unknown",
            "detail": f" ({frame['detail']})" if frame["detail"] else "",
            "others": ", ".join(unwell[:6]) + (f" and {len(unwell) - 6} more" if len(unwell) > 6 else ""),
            "press": (press := _press(frame, worst)),
            "hint": "" if press else words.marked(_hint(worst)),
        },
    )


def _press(frame: Frame, worst: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if worst is None or worst["status"] == "unknown":
        return []
    possible = [action for action in REMEDIES if not frame["actions"][worst["service"]][action]]
    buttons = [
        {"action": action, "label": LABELS[action], "class": "plain" if number else "primary"}
        for number, action in enumerate(possible)
    ]
    return [{"service": worst["service"], "buttons": buttons}] if buttons else []


def _hint(worst: Mapping[str, Any] | None) -> str:
    """What to do where there is nothing to press."""
    if worst is None or worst["status"] in ("pass", "unknown"):
        return ""
    name = worst["service"]
    if name == "system":
        return "Nothing to press: the machine itself is short of something; Resources below tell of what."
    return f"Nothing to press: no `recover` is declared for [services.{name}]; repair it where it runs."


def operations(frame: Frame, coming: Mapping[str, Any] | None = None) -> Html:
    """What was asked for lately, and the release that is ``coming`` (`parts.coming`)."""
    tones = {"running": ("…", "warn"), "succeeded": ("✓", "pass"), "failed": ("✗", "fail")}
    items = []
    if coming is not None:
        items.append({"symbol": "…", "tone": "warn", **coming, "at": words.ago(coming["at"])})
    for operation in frame["operations"]:
        symbol, tone = tones[operation["state"]]
        error = operation.get("error") or {}
        why = f": {error.get('what', '')} {error.get('why', '')}".rstrip() if error else ""
        items.append(
            {
                "symbol": symbol,
                "tone": tone,
                "text": f"{LABELS.get(operation['kind'], operation['kind'])} of {operation['service']}: "
                f"{operation['state']}{why}",
                "actor": operation["actor"],
                "at": words.ago(operation["ended_at"] or operation["started_at"]),
            }
        )
    return render("operations", {"items": items})


def service_row(frame: Frame, name: str, kept: Kept) -> Html:
    values = _of_row(frame, name)
    return kept.html(f"service {name}", values, lambda: _row(frame, name, values))


def _of_row(frame: Frame, name: str) -> dict[str, Any]:
    """What a row shows, but for its pictures, which follow from it."""
    service = frame["services"][name]
    latency = service["latency"]
    return {
        "name": name,
        "needs": ", ".join(service["needs"]),
        "status": service["status"],
        "since": service["since"],
        "flapping": service["flapping"],
        "output": service["output"],
        "notes": _notes(frame, name, service),
        "transitions": service["transitions"],
        "timed": latency["samples"] > 0,
        "untimed": "none yet" if _is_timed(service) else "not timed",
        "p50": words.latency(latency["p50_seconds"]),
        "p95": words.latency(latency["p95_seconds"]),
        "recent": latency["recent_seconds"],
        "bar": frame["uptime_bars"].get(name),
        "uptime": words.uptimes(service["uptime"]),
        "refused": frame["actions"][name],
    }


def _row(frame: Frame, name: str, values: Mapping[str, Any]) -> Html:
    actions = [{"action": a, "label": LABELS[a]} for a in ACTIONS if not values["refused"][a]]
    transitions, recent = values["transitions"], values["recent"]
    return render(
        "service",
        {
            **values,
            "state": words.state(values["status"]),
            "for": words.ago(_at(values["since"]), "for") if values["since"] else "",
            "has_history": bool(transitions),
            "history_summary": f"{len(transitions)} changes" if len(transitions) != 1 else "1 change",
            "history": [
                {
                    "at": words.ago(_at(change["at"])),
                    "before": WORDS[change["before"]],
                    "after": WORDS[change["after"]],
                    "output": change["output"],
                }
                for change in transitions[:5]
            ],
            "spark": charts.sparkline(recent, label=f"latest {len(recent)} answers of {name}"),
            "bar": _bar(frame, name),
            "has_actions": bool(actions),
            "actions": actions,
            "no_actions": "nothing declared",
        },
    )


def _is_timed(service: Mapping[str, Any]) -> bool:
    return any(check["type"] not in UNTIMED for check in service["checks"].values())


def _notes(frame: Frame, name: str, service: Mapping[str, Any]) -> list[str]:
    notes = []
    if service["consequence_of"]:
        notes.append(f"follows from {service['consequence_of']}")
    if window := service["maintenance"]:
        until = f" until {window['until'][11:16]} UTC" if window["until"] else ""
        notes.append(f"maintenance{until} by {window['actor']}: {window['reason'] or 'no reason given'}")
    if degraded := service.get("degraded"):
        level = f" ({degraded['level']} % of requests)" if degraded["level"] < 100 else ""
        notes.append(
            f"degraded by {degraded.get('actor') or degraded['owner']}{level}: "
            f"{degraded['reason'] or 'no reason given'}"
        )
    ladder = frame["recovery"].get("ladders", {}).get(name) if frame["recovery"]["known"] else None
    if ladder and ladder["state"] != "well":
        tries = f", {ladder['attempts']} tries so far" if ladder["attempts"] else ""
        notes.append(f"recovery: {ladder['state'].replace('_', ' ')}{tries}")
    return notes


def _bar(frame: Frame, name: str) -> Html:
    bar = frame["uptime_bars"].get(name)
    if bar is None:
        return Html("")
    step = bar["step_seconds"]
    labels = [
        f"{_clock(bar['start'] + index * step)} UTC, {_span(step)}: {_cell(share)}"
        for index, share in enumerate(bar["cells"])
    ]
    known = [share for share in bar["cells"] if share is not None]
    whole = words.percent(sum(known) / len(known)) if known else "unknown"
    span = _span(bar["span_seconds"])
    summary = f"{name}, up {whole} of the last {span}; read it with the arrow keys"
    return charts.uptime_bar(bar["cells"], labels, summary)


def _cell(share: float | None) -> str:
    if share is None:
        return "unknown"
    return "up" if share >= 1 else f"up {words.percent(share)}"


def _clock(at: float) -> str:
    return words.clock(at, at)[:5]


def _span(seconds: int) -> str:
    return "hour" if seconds == words.HOUR else "24 hours" if seconds == words.DAY else "5 minutes"


def _at(iso: str | None) -> float | None:
    return words.epoch(iso) if iso else None
