"""What `oatie recover` prints, and what the file's checker says about ladders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oatie_ops.cli import recover_text as text
from oatie_ops.config.load import examine
from oatie_ops.config.settings import ServiceSettings
from oatie_ops.recovery.ladder_report import ladder
from oatie_ops.redaction import learn
from tests.unit.test_recovery_ladder import ladders, settings


def shown(event: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    text.live(quiet=False)(event)
    return capsys.readouterr().err


FACTS = {"service": "db", "rung": 2, "name": "restart docker:db", "attempt": 1}


def test_each_event_is_a_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    acting = {"event": "acting", **FACTS, "max": 3, "before": "refused"}
    assert shown(acting, capsys) == "2  restart docker:db (try 1 of 3)\n   before: refused\n"
    acted = {"event": "acted", **FACTS, "ok": False, "output": "no such container", "settle_seconds": 5.0}
    assert shown(acted, capsys) == "   failed: no such container; settling for 5 s\n"
    proven = {"event": "proven", **FACTS, "verify": "disk", "proof": "41 % used", "seconds": 2.04}
    assert shown(proven, capsys) == "   ✓ proven after 2.0 s: disk: 41 % used\n"
    refuted = {"event": "refuted", **FACTS, "verify": "db", "proof": "refused", "seconds": 9.0}
    assert shown(refuted, capsys) == "   ✗ not proven after 9.0 s: refused\n"
    assert "cache is being recovered" in shown({"event": "waiting", "service": "db", "for": "cache"}, capsys)
    text.live(quiet=True)(acting)
    assert capsys.readouterr().err == ""


def test_a_ladder_is_listed_rung_by_rung() -> None:
    recover = ({"restart": "docker:db", "max": 2}, {"page": "ops"})
    known = ladder(ladders(settings(".", db=ServiceSettings("db", recover=recover)))["db"])
    head, first, second = text.listed({"db": known})
    assert head.split() == ["SERVICE", "STATE", "MTTR", "RUNG", "PROVEN", "TOOK", "ACTION"]
    assert first.split() == ["db", "well", "-", "1", "-", "-", "restart", "docker:db"]
    assert second.split() == ["2", "-", "-", "page", "ops"]
    plan = text.planned(known)
    assert plan[1:3] == [
        "  1  restart docker:db",
        "     up to 2 times, at most 60 s, settle 5 s, proven by the checks of db",
    ]


def test_no_history_is_said() -> None:
    assert text.told([]) == ["nothing was recovered here yet"]


def test_a_secret_among_arguments_is_shown_nowhere() -> None:
    recover = ({"run": ["./start", "--password", "s3cr3t-of-the-db"]},)
    learn(["s3cr3t-of-the-db"])
    known = ladders(settings(".", db=ServiceSettings("db", recover=recover)))["db"]
    assert "s3cr3t" not in known.rungs[0].name
    assert "s3cr3t" not in str(ladder(known))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('recover = [ { restart = "docker" } ]', "names nothing that can be restarted"),
        ('recover = [ { restart = "worker", run = ["x"] } ]', "needs exactly one of"),
        ("recover = [ { max = 2 } ]", "needs exactly one of"),
        ('recover = [ { page = "opps" } ]', "names no alert"),
        ('recover = [ { run = ["x"], verify = "bd" } ]', "names no service"),
        ('recover = [ { run = "x y" } ]', "must be a list"),
        ('recover = [ { run = ["x"] } ]', "nothing checks this service"),
    ],
)
def test_the_checker_names_what_is_wrong_with_a_ladder(tmp_path: Path, line: str, says: str) -> None:
    ops = '[alerts.ops]\nwebhook = "https://hooks.example/"\n'
    (tmp_path / "oatie.toml").write_text(f'[app]\nrun = "main:app"\n[services.db]\n{line}\n{ops}')
    (tmp_path / "main.py").write_text("app = None\n")
    issues = examine(tmp_path, environ={}).issues
    assert any(says in issue.message for issue in issues), issues
