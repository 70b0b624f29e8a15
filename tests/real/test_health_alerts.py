"""Alerts over the wire: webhooks, a command, mail, Alertmanager, and a supervisor that is killed."""

from __future__ import annotations

import email
import email.policy
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.health.alerts import messages, send
from oatie_ops.health.alerts.policy import Tell, Told
from oatie_ops.health.alerts.send import NotDelivered
from oatie_ops.supervisor.reaper import group_lives
from tests.real.harness import Project
from tests.real.receivers import MailServer, Webhook
from tests.real.waiting import free_port, need_program, port_answers, wait_for

SOURCE = {"app": "shop", "host": "web1", "url": "http://127.0.0.1:8000"}


def note(told: Told = Told.FIRING, number: str = "n1") -> dict[str, Any]:
    tell = Tell(told, "db", "fail" if told is Told.FIRING else "pass", "refused", 1_700_000_000.0)
    return messages.notification(number, [tell], SOURCE, 1_700_000_100.0)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    receiver = Webhook()
    yield receiver
    receiver.close()


def test_webhook_gets_json_or_what_slack_reads(webhook: Webhook) -> None:
    send.send({"webhook": webhook.url}, note())
    send.send({"webhook": webhook.url, "format": "slack"}, note())
    assert webhook.bodies == [note(), messages.slack(note())]
    assert webhook.headers[0]["idempotency-key"] == "n1"
    assert webhook.headers[0]["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("answer", "final"), [(500, False), (503, False), (429, False), (400, True), (404, True)]
)
def test_refusal_tells_whether_trying_again_can_help(webhook: Webhook, answer: int, final: bool) -> None:
    webhook.answer = answer
    with pytest.raises(NotDelivered, match=str(answer)) as caught:
        send.send({"webhook": webhook.url}, note())
    assert caught.value.final is final


def test_receiver_that_is_away_or_silent_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "TIMEOUT_SECONDS", 0.2)
    secret = "hunter2hunter2"
    with pytest.raises(NotDelivered, match="refused") as caught:
        send.send({"webhook": f"http://127.0.0.1:{free_port()}/{secret}"}, note())
    assert secret not in str(caught.value)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        port = silent.getsockname()[1]
        with pytest.raises(NotDelivered, match="no answer within"):
            send.send({"webhook": f"http://127.0.0.1:{port}/"}, note())
        with pytest.raises(NotDelivered, match="no answer within"):
            send.send({"email": ["ops@example.org"], "smtp": f"smtp://127.0.0.1:{port}"}, note())


def test_command_gets_the_alert_on_its_stdin(tmp_path: Path) -> None:
    copy = f"import sys, pathlib; pathlib.Path({str(tmp_path / 'got')!r}).write_text(sys.stdin.read())"
    send.send({"command": (sys.executable, "-c", copy)}, note())
    assert json.loads((tmp_path / "got").read_text()) == note()
    with pytest.raises(NotDelivered, match="exited 3: no pager"):
        send.send(
            {"command": (sys.executable, "-c", "import sys; sys.stderr.write('no pager'); sys.exit(3)")},
            note(),
        )
    with pytest.raises(NotDelivered, match="cannot be run"):
        send.send({"command": (str(tmp_path / "absent"),)}, note())


def test_command_runs_where_the_file_is_and_is_not_waited_for_beyond_its_end(tmp_path: Path) -> None:
    script = tmp_path / "page.sh"
    script.write_text("#!/bin/sh\nsleep 300 & echo $! > child\ncat > got\n")
    script.chmod(0o755)
    send.send({"command": ("./page.sh",)}, note(), tmp_path)
    assert json.loads((tmp_path / "got").read_text()) == note()
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)  # it lived on, as whoever began it wanted


@pytest.mark.slow  # the shell must have begun by then on any machine
def test_command_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "COMMAND_TIMEOUT_SECONDS", 10.0)
    script = "echo $$ > group; sleep 300; true"
    with pytest.raises(NotDelivered, match="did not end within 10 s"):
        send.send({"command": ("sh", "-c", script)}, note(), tmp_path)
    group = int((tmp_path / "group").read_text())
    wait_for(lambda: not group_lives(group), "the end of the command's children")


def test_mail_says_all_in_its_subject_and_text() -> None:
    server = MailServer(login=("oatie@example.org", "pass word"))
    try:
        url = f"smtp://oatie%40example.org:pass%20word@127.0.0.1:{server.port}"
        send.send({"email": ("ops@example.org", "boss@example.org"), "smtp": url}, note())
        (envelope,) = server.mails
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert envelope.rcpt_tos == ["ops@example.org", "boss@example.org"]
        assert (mail["subject"], mail["from"]) == ("[shop] db: failing", "oatie@example.org")
        assert mail["message-id"].startswith("<n1@")
        assert "✗ db is failing since 2023-11-14" in mail.get_content()
        wrong = url.replace("pass%20word", "guess")
        with pytest.raises(NotDelivered, match="login"):
            send.send({"email": ["ops@example.org"], "smtp": wrong}, note())
    finally:
        server.close()


@pytest.mark.slow
def test_alertmanager_takes_alerts_and_their_end(tmp_path: Path, webhook: Webhook) -> None:
    program, port = need_program("prometheus-alertmanager"), free_port()
    (tmp_path / "am.yml").write_text(
        "route: {receiver: hook, group_wait: 0s, group_interval: 1s}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: '{webhook.url}'}}]}}]\n"
    )
    process = subprocess.Popen(
        [
            program,
            f"--config.file={tmp_path / 'am.yml'}",
            f"--storage.path={tmp_path / 'am'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    alert = {"webhook": f"http://127.0.0.1:{port}", "format": "alertmanager"}
    try:
        wait_for(lambda: port_answers(port), "Alertmanager")
        send.send(alert, note())
        known = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/alerts", timeout=60))
        assert [entry["labels"]["service"] for entry in known] == ["db"]
        wait_for(lambda: webhook.bodies, "the alert through Alertmanager")
        send.send(alert, note(Told.RESOLVED))
        wait_for(lambda: webhook.bodies[-1]["status"] == "resolved", "its end through Alertmanager")
    finally:
        process.terminate()
        process.wait(timeout=30)


def watched(project: Project, url: str, **ports: int) -> None:
    """Services that are looked at five times a second, and a webhook that hears of them."""
    quick = {"type": "tcp", "interval": "200ms", "rise": 1, "fall": 1}
    tables = {f"services.{name}.check": {**quick, "port": port} for name, port in ports.items()}
    project.configure(**tables, **{"alerts.ops": {"webhook": url}})


def metric(project: Project, start: str) -> str:
    """The value of the first sample whose line begins so; 0 where there is none yet."""
    answer = project.ask("/health/metrics", port=project.ops_port)
    lines = answer[2].decode().splitlines() if answer else []
    return next((line.removeprefix(start) for line in lines if line.startswith(start)), "0")


@pytest.mark.slow
def test_alert_survives_a_killed_supervisor_and_a_receiver_that_is_down(project: Project) -> None:
    """The receiver is away, the supervisor is killed; both come back: told once that it failed, then that it
    is well again.
    """
    hook_port, db_port = free_port(), free_port()
    watched(project, f"http://127.0.0.1:{hook_port}/hook", db=db_port)
    project.oatie("deploy", "--yes").expect(0)
    failed = 'oatie_alert_notifications_total{channel="ops",result="failed"} '
    wait_for(lambda: int(metric(project, failed)) > 0, "a delivery that fails")
    os.kill(project.status()["supervisor"]["pid"], signal.SIGKILL)
    wait_for(lambda: not port_answers(project.ops_port), "the end of the supervisor")
    webhook = Webhook(hook_port)
    try:
        project.oatie("start", "--daemon").expect(0)
        wait_for(lambda: webhook.words, "the alert from before the kill")
        with socket.socket() as db:
            db.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            db.bind(("127.0.0.1", db_port))
            db.listen(64)
            wait_for(lambda: "resolved db" in webhook.words, "its end")
        assert webhook.words[:2] == ["firing db", "resolved db"]
    finally:
        webhook.close()


@pytest.mark.slow
def test_no_alert_while_maintenance_is_announced(project: Project) -> None:
    webhook = Webhook()
    try:
        watched(project, webhook.url, db=free_port(), cache=free_port())
        project.oatie("health", "db", "--maintenance", "1h", "--reason", "moving house").expect(0)
        project.oatie("deploy", "--yes").expect(0)
        wait_for(lambda: webhook.words, "the alert about the other service")
        assert webhook.words == ["firing cache"]
        project.oatie("health", "db", "--maintenance", "off").expect(0)
        wait_for(lambda: "firing db" in webhook.words, "the alert after the window")
    finally:
        webhook.close()
