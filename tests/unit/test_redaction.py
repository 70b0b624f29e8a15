"""Each way out of the process on its own: a value goes in, the mask comes out."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oatie_ops.api.problems import problem
from oatie_ops.cli import crash, output
from oatie_ops.deployment.commands import CommandFailed, run_command
from oatie_ops.errors import OatieError
from oatie_ops.health.attempt import Attempt
from oatie_ops.health.model import CheckSpec, Result, Status
from oatie_ops.health.runner import run_check
from oatie_ops.redaction import known_values, learn, redact, redact_head, redact_value, stream_redactor
from oatie_ops.secrets.boundary import RedactingStream
from oatie_ops.store import Store
from oatie_ops.supervisor.logs import LogSink, log_file
from oatie_ops.supervisor.probe import probe

VALUE = 'canary"of redaction\\n'
NUMBER = "13371337"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    """Known, with this process's own streams left as they are."""
    monkeypatch.setattr("oatie_ops.secrets.boundary.install", lambda: None)
    learn([VALUE, NUMBER])
    return VALUE


def test_nothing_is_imported_before_there_is_something_to_hide() -> None:
    program = (
        "import sys; from oatie_ops.redaction import *\n"
        "assert (redact('x'), redact_value({'a': 'x'}), known_values()) == ('x', {'a': 'x'}, ())\n"
        "assert stream_redactor() is None and redact_head(b'x') == b'x'\n"
        "learn([])\n"
        "assert not [name for name in sys.modules if name.startswith('oatie_ops.secrets')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_learned_can_be_passed_on(secret: str) -> None:
    assert known_values() == (VALUE.encode(), NUMBER.encode())
    assert redact(f"<{secret}>") == "<***>"
    assert redact_value({"a": [secret, 1]}) == {"a": ["***", 1]}


def test_the_beginning_of_something_does_not_end_in_half_a_value(secret: str) -> None:
    assert redact_head(f"body {secret[:9]}".encode()) == b"body "
    stream = stream_redactor()
    assert stream is not None
    assert stream.feed(secret[:9].encode()) + stream.feed(secret[9:].encode()) + stream.flush() == b"***"


def test_an_error_as_a_document_and_as_a_problem(secret: str) -> None:
    error = OatieError(secret, why=secret, fix=secret, details=[secret], data={"a": {"b": secret}})
    shown = error.as_dict()
    assert [shown["what"], shown["why"], shown["fix"], *shown["details"]] == ["***"] * 4
    assert shown["data"] == {"a": {"b": "***"}}
    assert b"canary" not in bytes(problem(500, error).body)


def test_json_stays_json_whatever_is_secret(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = {"text": f"it is {secret}", "pid": int(NUMBER), "path": Path(secret), "other": NUMBER}
    output.emit_json(document)
    assert json.loads(capsys.readouterr().out) == {
        "text": "it is ***",
        "pid": int(NUMBER),
        "path": "***",
        "other": "***",
    }


def test_json_stays_json_behind_the_boundary(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = io.StringIO()
    monkeypatch.setattr(sys, "stdout", RedactingStream(inner))
    print(f"first {NUMBER[:4]}", end="")
    output.emit_json_line({"pid": int(NUMBER), "text": secret})
    assert inner.getvalue() == f'first 1337{{"pid": {NUMBER}, "text": "***"}}\n'


def test_a_crash_file_and_its_summary(secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    try:
        raise ValueError(f"cannot use {secret}")
    except ValueError as error:
        shown = crash.crash_error(error, ["deploy", secret])
    [file] = tmp_path.glob("**/oatie-crash-*")
    assert "canary" not in file.read_text() + shown.why
    assert "ValueError: cannot use ***" in file.read_text()


def test_everything_that_the_store_is_told(secret: str, tmp_path: Path) -> None:
    with Store.open(tmp_path / "state.db") as store:
        store.events.add("deploy", secret, f"failed: {secret}", {"why": secret, secret: 1})
        store.audit.add("me", "cli", "deploy", secret, "failed", f"because {secret}")
        number = store.releases.create(actor="me", source={"branch": secret}).number
        store.releases.mark(number, "bad", f"it said {secret}")
        run = store.journal.begin("deploy", actor="me", release=number, previous=None, steps=["a"])
        store.journal.finish(run, "undone", f"step a: {secret}")
        for file in tmp_path.iterdir():
            assert b"canary" not in file.read_bytes(), file
        assert store.events.recent()[0].message == "failed: ***"
        assert store.releases.get(number).note == "it said ***"  # type: ignore[union-attr]


def test_the_output_of_a_command_its_log_and_its_failure(secret: str, tmp_path: Path) -> None:
    lines: list[str] = []
    script = tmp_path / "talk.py"
    script.write_text(
        f"import sys\nfor c in {secret!r}:\n    sys.stdout.write(c); sys.stdout.flush()\nsys.exit({NUMBER!r})"
    )
    with pytest.raises(CommandFailed) as caught:
        run_command(
            f"{sys.executable} {script} {NUMBER}",
            role="build command",
            cwd=tmp_path,
            environment=dict(os.environ),
            log=tmp_path / "build.log",
            on_line=lines.append,
            timeout_seconds=30,
            timeout_key="t",
        )
    told = "\n".join([*lines, (tmp_path / "build.log").read_text(), json.dumps(caught.value.as_dict())])
    assert "canary" not in told
    assert NUMBER not in told
    assert any("***" in line for line in lines)


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[LogSink]:
    made = LogSink(tmp_path, 0, 0)
    yield made
    made.close()


def test_what_a_worker_says_in_pieces_and_what_the_supervisor_notes(
    secret: str, sink: LogSink, tmp_path: Path
) -> None:
    async def talk() -> list[str]:
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        sink.attach(loop, reading, 1, "stdout")
        for piece in (f"a {secret[:5]}", f"{secret[5:]} b\nlast {secret[:7]}", secret[7:]):
            os.write(writing, piece.encode())
            sink.tail(1)
        os.close(writing)
        return sink.tail(1)

    assert asyncio.run(talk()) == ["a *** b", "last ***"]
    sink.note(f"noted {secret}")
    assert sink.flush(10)
    assert "canary" not in log_file(tmp_path).read_text()
    assert "supervisor note noted ***" in log_file(tmp_path).read_text()


def test_what_a_worker_answers_to_the_gate(secret: str) -> None:
    async def ask() -> list[str]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 302 Found\r\nLocation: /login?{NUMBER}\r\n\r\n"
            writer.write(head.encode() + f"sorry: {secret} and {secret[:8]}".encode())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            found = await probe(server.sockets[0].getsockname()[1], "/", None, 5.0)
        return [found.location, found.body]

    assert asyncio.run(ask()) == ["/login?***", "sorry: *** and"]


def test_what_a_check_finds(secret: str) -> None:
    class Finding:
        async def run(self, attempt: Attempt) -> Result:
            return Result(Status.FAIL, f"refused {secret}")

    spec = CheckSpec("service", "check", "http")
    assert asyncio.run(run_check(Finding(), spec, Status.UNKNOWN)).output == "refused ***"
