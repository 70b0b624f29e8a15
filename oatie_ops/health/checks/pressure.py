"""``{ type = "pressure", resource = "memory", warn = 10, fail = 40 }``: pressure stall information.

The share of the last minute, in percent, in which some task waited for the resource (kernel document
accounting/psi.rst). Of our control group where it has one, else of the host. Linux 4.20 or newer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oatie_ops.health.attempt import Attempt
from oatie_ops.health.cgroup import Cgroups
from oatie_ops.health.checks.base import Check, CheckUnusable, Tools
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.thresholds import Thresholds, declared

RESOURCES = ("cpu", "memory", "io")
HOST = Thresholds(warn_enter=20, warn_leave=15, fail_enter=60, fail_leave=50)


@dataclass(frozen=True)
class PressureCheck:
    resource: str
    path: Path
    limits: Thresholds

    async def run(self, attempt: Attempt) -> Result:
        try:
            return judge(self.resource, self.path.read_text(), attempt.previous, self.limits)
        except OSError:
            return Result(Status.UNKNOWN, f"this kernel keeps no pressure stall information ({self.path})")


def judge(resource: str, text: str, previous: Status, limits: Thresholds) -> Result:
    for line in text.splitlines():
        kind, *fields = line.split()
        values = dict(field.partition("=")[::2] for field in fields)
        if kind == "some" and "avg60" in values:
            percent = float(values["avg60"])
            output = f"tasks waited for {resource} in {percent:.1f} % of the last minute"
            return Result(limits.status(previous, percent), output, percent, "percent")
    return Result(Status.UNKNOWN, f"the pressure of {resource} cannot be read")


def build(spec: CheckSpec, tools: Tools) -> Check:
    resource = str(spec.options.get("resource", "memory"))
    if resource not in RESOURCES:
        raise CheckUnusable(f"a pressure check needs a resource of {', '.join(RESOURCES)}")
    path = Cgroups().pressure(resource) or Path("/proc/pressure") / resource
    return PressureCheck(resource, path, declared(spec, HOST))
