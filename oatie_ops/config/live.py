"""What a running supervisor takes over from today's oatie.toml at the end of a deploy, and how that travels.

A release carries its own ``[app]``; what is checked, repaired, told and shed belongs to the supervisor. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from oatie_ops.config.settings import ScaleSettings, ServiceSettings, Settings
from oatie_ops.records import dataclass

_TABLES = ("services", "alerts", "switches", "secrets", "scale")
# What sockets, files and threads were made from at the start.
_FIXED = ("ops", "logs", "history")


@dataclass(frozen=True)
class Difference:
    """Names as in oatie.toml. ``applied`` holds from now on, ``waiting`` from the next start on."""

    applied: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        told = []
        if self.applied:
            told.append(f"the supervisor goes by the new {_tables(self.applied)} of oatie.toml from now on")
        if self.waiting:
            them = "it" if len(self.waiting) == 1 else "them"
            told.append(
                f"{_tables(self.waiting)} of oatie.toml changed, and the supervisor reads {them} "
                "only when it starts: `oatie stop`, then `oatie start`"
            )
        return tuple(told)


def to_dict(settings: Settings) -> dict[str, Any]:
    """As JSON. It holds the values of secrets: for the owner's socket only."""
    return {
        "services": {name: asdict(service) for name, service in settings.services.items()},
        "alerts": _plain(settings.alerts),
        "switches": _plain(settings.switches),
        "secrets": _plain(settings.secrets),
        "scale": asdict(settings.scale),
        "stored": [[list(path), template] for path, template in settings.stored],
        **{table: asdict(getattr(settings, table)) for table in _FIXED},
    }


def with_live(settings: Settings, told: Mapping[str, Any]) -> Settings:
    """``settings`` with what of `to_dict` may change while a supervisor runs."""
    return replace(
        settings,
        services={name: _service(service) for name, service in told["services"].items()},
        alerts=told["alerts"],
        switches=told["switches"],
        secrets=told["secrets"],
        scale=ScaleSettings(**told["scale"]),
        stored=tuple((tuple(path), template) for path, template in told["stored"]),
    )


def difference(settings: Settings, told: Mapping[str, Any]) -> Difference:
    """Between what a supervisor goes by and what `to_dict` says today."""
    now, then = _listed(told), _listed(to_dict(settings))
    names = [*then["services"], *(name for name in now["services"] if name not in then["services"])]
    applied = [
        f"services.{name}" for name in names if then["services"].get(name) != now["services"].get(name)
    ]
    applied += [table for table in _TABLES[1:] if then[table] != now[table]]
    # Which values come from a store of secrets is shown nowhere, but checks read them anew from there.
    if not applied and then["stored"] != now["stored"]:
        applied.append("secrets")
    return Difference(tuple(applied), tuple(table for table in _FIXED if then[table] != now[table]))


def _service(data: Mapping[str, Any]) -> ServiceSettings:
    sequences = {key: tuple(data[key]) for key in ("recover", "routes", "needs")}
    return ServiceSettings(**{**data, **sequences})


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) if isinstance(value, Mapping) else value for key, value in table.items()}


def _listed(value: Any) -> Any:
    """A tuple and a list of the same are the same, because JSON knows lists only."""
    if isinstance(value, Mapping):
        return {str(key): _listed(each) for key, each in value.items()}
    return [_listed(each) for each in value] if isinstance(value, (list, tuple)) else value


def _tables(names: tuple[str, ...]) -> str:
    return ", ".join(f"[{name}]" for name in names)
