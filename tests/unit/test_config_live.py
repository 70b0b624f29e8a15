"""What a running supervisor takes over from oatie.toml: the way there and back, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from oatie_ops.config import live
from oatie_ops.config.load import load
from oatie_ops.config.settings import HistorySettings, ScaleSettings, ServiceSettings, Settings

FILE = """
[services.database]
check = { type = "postgres", url = "postgres://u:p@127.0.0.1/db", interval = "2s" }
breaker = { failure_threshold = 2 }
recover = [ { run = ["true", "x"], settle = "1s" }, { degrade = "reports" } ]

[services.reports]
routes = ["/api/reports*"]
needs = ["database"]
degrade = { auto = ["database"], responses = [ { match = "GET /api/reports", body = { reports = [] } } ] }

[alerts.ops]
webhook = "http://127.0.0.1:9/hook"

[scale]
max = 7
"""


def told_by(settings: Settings) -> dict[str, object]:
    """As it arrives at the other end of the socket."""
    found: dict[str, object] = json.loads(json.dumps(live.to_dict(settings)))
    return found


def declared(root: Path, text: str = FILE) -> Settings:
    (root / "oatie.toml").write_text(text)
    return load(root, environ={}, use_cache=False).settings


def test_what_travels_arrives_equal(tmp_path: Path) -> None:
    today = replace(declared(tmp_path), stored=((("services", "database", "check", "url"), "${DB}"),))
    arrived = live.with_live(Settings(tmp_path), told_by(today))
    assert arrived.services == today.services
    assert arrived.stored == today.stored
    assert arrived.alerts == today.alerts
    assert arrived.scale == ScaleSettings(max=7)
    assert live.difference(arrived, told_by(today)).sentences() == ()


def test_only_what_differs_is_named_and_what_needs_a_start_is_told_apart(tmp_path: Path) -> None:
    old = declared(tmp_path)
    new = replace(
        old,
        services={
            "database": old.services["database"],
            "reports": replace(old.services["reports"], routes=("/r*",)),
            "mail": ServiceSettings("mail"),
        },
        scale=ScaleSettings(max=8),
        history=HistorySettings(measure=False),
    )
    found = live.difference(old, told_by(new))
    assert found.applied == ("services.reports", "services.mail", "scale")
    assert found.waiting == ("history",)
    applied, waiting = found.sentences()
    assert "[services.reports], [services.mail], [scale]" in applied
    assert "[history]" in waiting
    assert "`oatie stop`, then `oatie start`" in waiting


def test_a_service_that_is_gone_is_a_difference(tmp_path: Path) -> None:
    old = declared(tmp_path)
    new = replace(old, services={"reports": old.services["reports"]})
    assert live.difference(old, told_by(new)).applied == ("services.database",)
    assert list(live.with_live(old, told_by(new)).services) == ["reports"]


def test_the_application_stays_that_of_the_release(tmp_path: Path) -> None:
    old = declared(tmp_path)
    new = replace(old, app=replace(old.app, port=9999))
    assert live.difference(old, told_by(new)).sentences() == ()
    assert live.with_live(old, told_by(new)).app is old.app
