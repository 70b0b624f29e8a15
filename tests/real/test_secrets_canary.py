"""Canaries: values of twenty shapes go through a real program and all its outputs; none comes out.

The program resolves them from files, installs the boundary, and then does everything a careless program
does: prints, logs at DEBUG into a file, warns, writes bytes, dies of uncaught exceptions.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real.canaries import CANARIES as TEXTS
from tests.real.canaries import leaks

BINARY = bytes(range(200, 240)) + b"canary"
CANARIES = {**{name: text.encode() for name, text in TEXTS.items()}, "binary": BINARY}

PROGRAM = """
import base64, json, logging, sys, threading, warnings
from pathlib import Path
from urllib.parse import quote

from oatie_ops.environment import EnvironmentDetector
from oatie_ops.secrets import boundary, redactor
from oatie_ops.secrets.choice import from_settings

boundary.install()
logging.basicConfig(level=logging.DEBUG, filename="app.log", format="%(name)s %(message)s")
console = logging.StreamHandler()
logging.getLogger("console").addHandler(console)
resolver = from_settings({"backend": "file", "path": "secrets"}, root=Path.cwd())

def shout(name, raw):
    text = raw.decode("utf-8", "replace")
    print(name, text, repr(text), repr(raw), [text], {"k": raw})
    print(json.dumps({"v": text}), json.dumps(json.dumps(text)), json.dumps(text, ensure_ascii=False))
    print(quote(text), quote(text, safe=""), raw.hex())
    print(base64.b64encode(raw).decode(), base64.b64encode(b"u:" + raw))
    for line in text.splitlines():
        print("line:", line)
    sys.stdout.buffer.write(b"bytes: " + raw + b"\\n")
    for character in text:
        sys.stdout.write(character)
    sys.stdout.write("\\n")
    logging.getLogger("app").debug("connecting with %s and %r", text, raw)
    logging.getLogger("console").warning("still %s", text)
    warnings.warn(f"weak: {text}")
    try:
        raise ValueError(f"cannot log in with {text}")
    except ValueError:
        logging.getLogger("app").exception("login failed for %s", name)
    document = {"detail": text, "list": [raw.hex()]}
    Path(f"{name}.json").write_text(json.dumps(redactor().redact_value(document)))

def die(text):
    raise RuntimeError(f"thread died of {text}")

for path in sorted(Path("secrets").iterdir()):
    secret = resolver.get(path.name)
    shout(path.name, secret.reveal_bytes())
    shown = f"{secret} {secret!r} {[secret]}"
    print(shown)
    thread = threading.Thread(target=die, args=(secret.reveal_bytes().decode("utf-8", "replace"),))
    thread.start()
    thread.join()
raise SystemExit(1) if "quiet" in sys.argv else RuntimeError(f"died of {resolver.get('token').reveal()}")
"""


@pytest.fixture
def output(tmp_path: Path) -> dict[str, bytes]:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name, raw in CANARIES.items():
        # The newline at the end is what the file store takes off again.
        (secrets / name).write_bytes(raw + b"\n")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONIOENCODING": "utf-8"}
    run = subprocess.run(
        [sys.executable, program], cwd=tmp_path, env=environ, capture_output=True, check=False
    )
    assert run.returncode == 1, run.stderr[-2000:]
    files = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.suffix in {".log", ".json"}}
    return {"stdout": run.stdout, "stderr": run.stderr, **files}


def test_no_canary_comes_out_of_any_output(output: dict[str, bytes]) -> None:
    assert len(output) == 3 + len(CANARIES)
    found = leaks(output)
    assert not found, "\n".join(map(str, found))
    for form in (BINARY, BINARY.hex().encode(), base64.b64encode(BINARY)[:-2], repr(BINARY)[2:-1].encode()):
        assert not any(form in content for content in output.values()), form
    # It did run to its end, and it did say what is harmless.
    assert b"died of ***" in output["stderr"]
    assert b"login failed for word" in output["app.log"]
    assert b"weak: ***" in output["stderr"]
