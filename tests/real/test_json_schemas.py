"""What commands print with ``--json`` is what `oatie schema` says, on a real supervisor."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from oatie_ops.cli import schema
from tests.real.harness import Project
from tests.real.waiting import free_port

SOURCES = Path(schema.__file__).parents[1]
COMMANDS = """
config check
config show
config explain
config explain app.drain
detect --explain
status
status --all
health
health --all
health --group ready
health --watch --count 2 --interval 0.2
health down --maintenance 5m --reason test
health --maintenance off
rollback --list
logs -n 5
degrade down --reason test
degrade --list
degrade down --restore
recover down --dry-run
recover down
recover --list
recover --history
recover --errors
profile --runs 1
profile --resources
profile --overview
scale
scale workers=1
token create someone
token list
token revoke someone
dashboard
doctor
reload
rollback --yes
init --force --systemd
deploy --target nowhere
logs --folow
stop
status
status --all
health
""".strip().splitlines()


def loaded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((schema.DIRECTORY / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize("name", schema.names())
def test_a_schema_is_one(name: str) -> None:
    found = loaded(name)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["title"] != name and found["$id"] == f"urn:oatie.{name}:v1"


def test_every_shape_that_the_program_names_has_a_schema() -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in SOURCES.rglob("*.py"))
    named = set(re.findall(r'"oatie\.([a-z.-]+)/v1"', source))
    assert named <= set(schema.names())


def documents(text: str) -> Iterator[dict[str, Any]]:
    try:
        yield json.loads(text)
    except ValueError:
        for line in text.splitlines():
            yield json.loads(line)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_commands_print_what_their_schema_says(project: Project) -> None:
    project.configure(
        app={"workers": 1},
        **{
            "services.down": {
                "check": {
                    "type": "tcp",
                    "host": "127.0.0.1",
                    "port": free_port(),
                    "interval": "1s",
                    "fall": 1,
                },
                "recover": [{"run": [sys.executable, "-c", ""], "settle": "100ms"}],
            }
        },
    )
    project.deployed("1")
    project.deployed("2")
    seen = set()
    for line in COMMANDS:
        done = project.oatie(*line.split(), "--json")
        for document in documents(done.stdout):
            name = document.get("schema", "oatie.logs/v1").removeprefix("oatie.").removesuffix("/v1")
            seen.add(name)
            problems = sorted(jsonschema.Draft202012Validator(loaded(name)).iter_errors(document), key=str)
            assert not problems, f"{line}: {problems[0].message} at {list(problems[0].path)}\n{done}"
    assert len(seen) >= 25
