"""Canaries: values of twenty shapes go through a real program and all its outputs; none comes out.

The program resolves them from files, installs the boundary, and then does everything a careless program
does: prints, logs at DEBUG into a file, warns, writes bytes, dies of uncaught exceptions.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

CANARIES: dict[str, bytes] = {
    "pin": b"4711",
    "word": b"canaryone",
    "token": b"ghp_c4n4ry0123456789ABCDEFabcdef012345",
    "spaces": b"  canary with   spaces and a tab\t!",
    "quotes": b"can'ary\"quoted'\"'",
    "backslashes": rb"can\ary\n\x41\\end",
    "percent": b"c%anary%%20&a=b?c#d",
    "unicode": "kanarienv\u00f6gel\u2028\U0001f424fliegen".encode(),
    "html": b"<canary attr='1'>&amp;</canary>",
    "base64": base64.b64encode(b"a canary inside of base64 text"),
    "hex": b"deadbeefcafef00dcanary".hex().encode(),
    "url": b"postgres://app:c4n%40ry-pa%2Fss@db.internal:5432/app?sslmode=require",
    "json": b'{"user": "app", "password": "canary-in-json", "nested": {"keys": ["canary-nested-key"]}}',
    "pem": b"-----BEGIN PRIVATE KEY-----\nMIICanaryKeyLineOne0123456789abcdef\n"
    b"MIICanaryKeyLineTwo0123456789abcdef\n-----END PRIVATE KEY-----\n",
    "env": b"KEY_ONE=canary-line-one\nKEY_TWO=canary-line-two\n",
    "binary": bytes(range(200, 240)) + b"canary",
    "long": b"".join(b"canary%06d" % number for number in range(600)),
    "repeated": b"canacanacanacana",
    "format": b"%s{canary}%(x)d{0!r}",
    "dollar": b"$canary${HOME}`id`",
}

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


def fragments(raw: bytes) -> set[bytes]:
    """What must be found nowhere: the value, its lines, and its usual encodings."""
    text = raw.decode("utf-8", "replace")
    found = {raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")[:-2]}
    for part in {text, *text.splitlines()}:
        forms = (
            part,
            json.dumps(part)[1:-1],
            json.dumps(part, ensure_ascii=False)[1:-1],
            quote(part),
            repr(part)[1:-1],
        )
        found |= {form.encode() for form in forms}
    return {fragment for fragment in found if len(fragment) >= 7 and b"PRIVATE KEY" not in fragment}


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
    leaks = [
        (name, sink, fragment[:60])
        for name, raw in CANARIES.items()
        for fragment in fragments(raw)
        for sink, content in output.items()
        if fragment in content
    ]
    assert leaks == []
    assert b"4711" not in output["stdout"].replace(b"34373131", b"")
    # It did run to its end, and it did say what is harmless.
    assert b"died of ***" in output["stderr"]
    assert b"login failed for word" in output["app.log"]
    assert b"weak: ***" in output["stderr"]
    for member in (
        b"c4n%40ry-pa%2Fss",
        b"c4n@ry-pa/ss",
        b"canary-in-json",
        b"canary-nested-key",
        b"canary-line-one",
    ):
        assert not any(member in content for content in output.values()), member
