"""The page of ``/health/metrics``: what the snapshot, the meter and the workers tell, family by family.

No label holds an address, an error text or a process id: those would make series without end. What is made
for each service or check is made lazily, so that no piece of a large page holds up the event loop.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from oatie_ops._version import __version__
from oatie_ops.health.exposition import Page, labels
from oatie_ops.health.meter import BOUNDS_SECONDS, Meter
from oatie_ops.health.model import ServiceState, Snapshot, Status
from oatie_ops.health.plan import APP, NEEDS
from oatie_ops.traffic.totals import LATENCY_BOUNDS_SECONDS, Totals

Labelled = Iterable[tuple[str, float]]
# Of a thousand services with some checks each.
KNOWN_LABELS = 8192


@dataclass(frozen=True)
class Sources:
    """All that a page is made of. ``status`` is the object of ``GET /control/status``, ``traffic`` what the
    workers of the application counted.

    ``restarts`` are those that were asked for, by (service, result); ``notifications`` the alerts that were
    sent, by (channel, result); ``in_flight`` the checks that run now; ``events`` the lines written down, by
    type; ``host`` the figures of `oatie_ops.health.host`; ``streams`` the dashboards that stay connected.
    """

    snapshot: Snapshot
    meter: Meter
    status: Mapping[str, Any] = field(default_factory=dict)
    traffic: Totals | None = None
    restarts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    notifications: Mapping[tuple[str, str], int] = field(default_factory=dict)
    in_flight: int = 0
    events: Mapping[str, int] = field(default_factory=dict)
    host: Mapping[str, Any] = field(default_factory=dict)
    streams: int = 0


def families(page: Page, sources: Sources) -> Iterator[str]:
    """The text of one family after the other, in pieces; the caller may let others run in between."""
    yield from _build(page, sources)
    yield from _services(page, sources)
    yield from _checks(page, sources)
    yield from _application(page, sources)
    yield from _host(page, sources)
    yield from page.gauge(
        "oatie_event_loop_lag_seconds",
        "By how much the latest check began after its time.",
        [("", sources.meter.late_seconds)],
    )
    yield from page.gauge(
        "oatie_sse_clients", "Dashboards that are kept fresh by a stream of events.", [("", sources.streams)]
    )
    yield from page.counter(
        "oatie_alert_notifications_total",
        "Notifications by channel and result of the delivery.",
        [(labels(channel=c, result=r), n) for (c, r), n in sources.notifications.items()],
    )
    yield from page.counter(
        "oatie_events_total",
        "What was written down: health: changes of a status; audit: acts and their results.",
        [(labels(type=kind), n) for kind, n in sources.events.items()],
    )


def _build(page: Page, sources: Sources) -> Iterator[str]:
    facts = labels(
        version=__version__,
        revision=str(sources.status.get("release") or ""),
        python=platform.python_version(),
    )
    return page.info("oatie_build_info", "Version of oatie, and the release that serves.", facts)


# --- services -----------------------------------------------------------------------------------------

_GAUGES: tuple[tuple[str, str, Callable[[ServiceState], float]], ...] = (
    ("oatie_service_up", "1 while it works (degraded included), else 0.", lambda s: int(_up(s))),
    ("oatie_service_maintenance", "1 while failures of it are expected.", lambda s: int(bool(s.maintenance))),
    (
        "oatie_service_dependency_suppressed",
        "1 while its failure follows from another service's.",
        lambda s: int(bool(s.consequence_of)),
    ),
    ("oatie_service_degraded", "1 while a switch degrades it.", lambda s: int(bool(s.degraded))),
    ("oatie_service_flapping", "1 while it changes its status too often.", lambda s: int(s.flapping)),
)


def _up(service: ServiceState) -> bool:
    return service.status in (Status.PASS, Status.WARN)


def _services(page: Page, sources: Sources) -> Iterator[str]:
    services = sources.snapshot.services.values()
    for name, told, value in _GAUGES:
        yield from page.gauge(name, told, ((_labels(s.name), value(s)) for s in services))
    yield from page.gauge(
        "oatie_service_status",
        "1 for the status that the service has, 0 for the others.",
        (
            (f'{_labels(service.name)[:-1]},status="{status}"}}', int(service.status is status))
            for service in services
            for status in Status
        ),
    )
    yield from page.gauge(
        "oatie_service_last_transition_timestamp_seconds",
        "When its status changed last.",
        ((_labels(s.name), at) for s in services if (at := _changed_at(s)) is not None),
    )
    yield from page.counter(
        "oatie_service_transitions_total",
        "Changes of its status.",
        ((_labels(s.name), sources.meter.transitions[s.name]) for s in services),
    )
    yield from page.gauge(
        "oatie_service_uptime_ratio", "Share of the known time that it worked.", _uptimes(services)
    )
    yield from _restarts(page, sources)


@lru_cache(maxsize=KNOWN_LABELS)
def _labels(service: str, check: str | None = None) -> str:
    """Kept from page to page, because most of a page is these."""
    return labels(service=service) if check is None else labels(service=service, check=check)


def _changed_at(service: ServiceState) -> float | None:
    if service.standing.transitions:
        return service.standing.transitions[0].at
    return service.cause.state.since.epoch_seconds if service.cause else None


def _uptimes(services: Iterable[ServiceState]) -> Labelled:
    return (
        (f'{_labels(service.name)[:-1]},window="{window}"}}', share)
        for service in services
        for window, share in (
            ("1h", service.uptime.hour),
            ("24h", service.uptime.day),
            ("7d", service.uptime.week),
        )
        if share is not None
    )


def _restarts(page: Page, sources: Sources) -> Iterator[str]:
    asked = {(service, "api", result): n for (service, result), n in sources.restarts.items()}
    for result in ("succeeded", "failed"):
        asked.setdefault((APP, "api", result), 0)
    asked[APP, "auto", "succeeded"] = int(sources.status.get("restarts") or 0)
    yield from page.counter(
        "oatie_service_restarts_total",
        "Restarts by who wanted them; auto: workers of the application that ended by themselves.",
        [(labels(service=s, trigger=t, result=r), n) for (s, t, r), n in sorted(asked.items())],
    )
    started = sources.snapshot.started_at
    yield from page.gauge(
        "oatie_service_start_timestamp_seconds",
        "When the application first served under this supervisor.",
        [(labels(service=APP), started.epoch_seconds)] if started else [],
    )


# --- checks -------------------------------------------------------------------------------------------


def _checks(page: Page, sources: Sources) -> Iterator[str]:
    tallies = [*sources.meter.tallies.items()]
    yield from page.counter(
        "oatie_check_runs_total",
        "Runs of a check by what came of them.",
        (
            (f'{_labels(*key)[:-1]},result="{result}"}}', n)
            for key, tally in tallies
            for result, n in tally.results.items()
        ),
    )
    yield from page.histogram(
        "oatie_check_duration_seconds",
        "How long a check took.",
        BOUNDS_SECONDS,
        ((_labels(*key), tally.buckets, tally.seconds) for key, tally in tallies),
    )
    yield from page.gauge(
        "oatie_check_schedule_lag_seconds",
        "By how much its latest run began after its time.",
        ((_labels(*key), tally.late_seconds) for key, tally in tallies),
    )
    services = sources.snapshot.services.values()
    entries = [e for s in services for e in s.checks if e.spec.type != NEEDS]
    yield from page.gauge(
        "oatie_check_last_run_timestamp_seconds",
        "When its latest run ended.",
        ((_labels(*e.spec.key), at.epoch_seconds) for e in entries if (at := e.state.checked_at) is not None),
    )
    yield from page.gauge(
        "oatie_check_interval_seconds",
        "How often it is meant to run.",
        ((_labels(*entry.spec.key), entry.spec.interval_seconds) for entry in entries),
    )
    yield from page.gauge(
        "oatie_check_in_flight", "Checks that run at this moment.", [("", sources.in_flight)]
    )


# --- the application ----------------------------------------------------------------------------------


def _application(page: Page, sources: Sources) -> Iterator[str]:
    workers: Sequence[Mapping[str, Any]] = sources.status.get("workers") or ()
    states: dict[str, int] = dict.fromkeys(("starting", "serving", "draining"), 0)
    for worker in workers:
        states[str(worker.get("state"))] = states.get(str(worker.get("state")), 0) + 1
    yield from page.gauge(
        "oatie_app_workers",
        "Worker processes by state.",
        [(labels(state=state), count) for state, count in states.items()],
    )
    wanted = sources.status.get("wanted_workers")
    yield from page.gauge(
        "oatie_app_workers_wanted", "How many should serve.", [] if wanted is None else [("", wanted)]
    )
    for name, key, told in (
        ("oatie_app_resident_memory_bytes", "rss_bytes", "Resident memory of all workers together."),
        ("oatie_app_requests_in_flight", "in_flight", "Requests that are being answered."),
        ("oatie_app_connections", "connections", "Open connections of clients."),
    ):
        # None: of a program nobody knows it, so there is no sample; a 0 would be untrue.
        known = [int(value) for worker in workers if (value := worker.get(key, 0)) is not None]
        yield from page.gauge(name, told, [("", sum(known))] if known or not workers else [])
    yield from _reloads(page, sources.status.get("last_reload"))
    if sources.traffic is not None:
        yield from _traffic(page, sources.traffic)


def _reloads(page: Page, last: Mapping[str, Any] | None) -> Iterator[str]:
    """Names of Prometheus' own habit; a deploy that is committed counts as a reload that worked."""
    told = (
        ("successful", "1 while the latest reload of the application worked, else 0.", "successful"),
        ("success_timestamp_seconds", "When a reload or a deploy worked last.", "success_at"),
    )
    for name, help_text, key in told:
        samples = [] if last is None else [("", float(last[key]))]
        yield from page.gauge(f"oatie_config_last_reload_{name}", help_text, samples)


def _traffic(page: Page, traffic: Totals) -> Iterator[str]:
    yield from page.counter(
        "oatie_app_requests_total", "Requests to the application.", [("", traffic.requests)]
    )
    yield from page.counter(
        "oatie_app_request_errors_total",
        "Of these, answered with 500 or above, or by an exception.",
        [("", traffic.errors)],
    )
    yield from page.histogram(
        "oatie_app_request_duration_seconds",
        "Time to the last byte handed over, of the requests that were timed (all, or under load a part).",
        LATENCY_BOUNDS_SECONDS,
        [("", traffic.buckets, traffic.busy_seconds)],
    )


# --- the host -----------------------------------------------------------------------------------------

_HOST = (
    ("oatie_host_memory_available_bytes", "Memory that programs can still get."),
    ("oatie_host_memory_total_bytes", "Memory of the host."),
    ("oatie_host_load1", "Load average of one minute."),
)


def _host(page: Page, sources: Sources) -> Iterator[str]:
    figures = sources.host
    cpu = _observed(sources.snapshot, "system", "cpu")
    yield from page.gauge(
        "oatie_host_cpu_usage_ratio",
        "Share of the processors that was busy, as the check `cpu` found it.",
        [] if cpu is None else [("", cpu / 100)],
    )
    for name, told in _HOST:
        yield from page.gauge(name, told, [("", figures[name])] if name in figures else [])
    for kind, told in (("avail", "Space that is left to this user."), ("size", "Size of the file system.")):
        found: Mapping[str, Mapping[str, int]] = figures.get("filesystems", {})
        yield from page.gauge(
            f"oatie_host_filesystem_{kind}_bytes",
            told,
            [(labels(mountpoint=mount), sizes[kind]) for mount, sizes in found.items()],
        )
    for direction in ("receive", "transmit"):
        devices: Mapping[str, Mapping[str, int]] = figures.get("network", {})
        yield from page.counter(
            f"oatie_host_network_{direction}_bytes_total",
            f"Bytes of the network, {direction}.",
            [(labels(device=device), counts[direction]) for device, counts in devices.items()],
        )


def _observed(snapshot: Snapshot, service: str, check: str) -> float | None:
    state = snapshot.services.get(service)
    entries = [entry for entry in state.checks if entry.spec.name == check] if state else []
    last = entries[0].state.last if entries else None
    return last.observed_value if last else None
