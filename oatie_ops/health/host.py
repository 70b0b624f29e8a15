"""Figures of the host and of this process for the metrics. They may block: a thread is the place to ask."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from oatie_ops.health.exposition import Page, labels


def figures(paths: Iterable[Path]) -> dict[str, Any]:
    """Of the host, and of the file systems that hold ``paths``. What cannot be read is left out."""
    import psutil

    memory = psutil.virtual_memory()
    return {
        "oatie_host_memory_available_bytes": memory.available,
        "oatie_host_memory_total_bytes": memory.total,
        "oatie_host_load1": os.getloadavg()[0],
        "filesystems": {mount: sizes for path in paths for mount, sizes in _file_system(path)},
        "network": {
            device: {"receive": counts.bytes_recv, "transmit": counts.bytes_sent}
            for device, counts in psutil.net_io_counters(pernic=True).items()
        },
    }


def _file_system(path: Path) -> Iterator[tuple[str, dict[str, int]]]:
    try:
        mount = path.resolve()
        while not mount.is_mount():
            mount = mount.parent
        info = os.statvfs(path)
    except OSError:
        return
    yield str(mount), {"avail": info.f_bavail * info.f_frsize, "size": info.f_blocks * info.f_frsize}


def process_families(page: Page) -> Iterator[str]:
    """``process_*`` and ``python_*`` of this process, as every Python exporter names them."""
    from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
    from prometheus_client.registry import CollectorRegistry

    unused = CollectorRegistry()
    for collector in (ProcessCollector(registry=unused), PlatformCollector(unused), GCCollector(unused)):
        for metric in collector.collect():
            samples = [(labels(**s.labels) if s.labels else "", s.value) for s in metric.samples]
            if metric.type == "counter":
                yield from page.counter(f"{metric.name}_total", metric.documentation, samples)
            elif metric.name.endswith("_info"):
                yield from page.info(metric.name, metric.documentation, samples[0][0])
            else:
                yield from page.gauge(metric.name, metric.documentation, samples)
