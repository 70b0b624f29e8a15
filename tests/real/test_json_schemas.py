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

from oatie_ops.cli import schema, table
from oatie_ops.cli.completing.tree import Node, tree
from oatie_ops.config.explain import all_keys, explain
from tests.real.harness import Project
from tests.real.waiting import free_port

# Where nothing is declared, deployed or running: most is null then.
NOWHERE = """
config check
config show
config explain
config explain app.run
config explain deploy.keep
config explain ops.public_details
config explain services
detect
status
health
health --watch --count 1
rollback
rollback --list
degrade --list
recover --list
recover --history
recover --errors
profile --overview
profile --resources
scale
scale workers=2
token list
token revoke nobody
doctor
schema
help exit-codes
completion show bash
--version
reload
stop
""".strip().splitlines()
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
recover up
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
rollback 77 --yes
degrade down --reason test --permanent
degrade --list
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


EXPLANATION = loaded("config.explain")


@pytest.mark.parametrize("name", schema.names())
def test_a_schema_is_one(name: str) -> None:
    found = loaded(name)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["title"] != name and found["$id"] == f"urn:oatie.{name}:v1"


def test_every_shape_that_the_program_names_has_a_schema() -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in SOURCES.rglob("*.py"))
    named = set(re.findall(r'"oatie\.([a-z.-]+)/v1"', source))
    assert named <= set(schema.names())


@pytest.mark.parametrize("key", [name for name, _ in all_keys()])
def test_the_explanation_of_every_key_is_what_its_schema_says(key: str) -> None:
    document = {"schema": "oatie.config.explain/v1", **explain(key).as_dict()}
    jsonschema.Draft202012Validator(EXPLANATION).validate(document)


LEAVES = [each for each in tree().walk() if each.path and not each.children and each.path[0] != "help"]


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: " ".join(leaf.path))
def test_every_command_takes_json_and_names_its_shape_and_has_examples(leaf: Node) -> None:
    assert "--json" in {name for option in leaf.options for name in option.names}
    if leaf.path not in {("config", "schema")}:  # prints a schema: that of JSON Schema itself
        assert schema.SHAPES.get(".".join(leaf.path), ".".join(leaf.path)) in schema.names()
    entry = table.ENTRIES[leaf.path[0]]
    assert entry.examples_of(leaf.path[1]) if len(leaf.path) > 1 else entry.examples


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
            },
            "services.up": {
                "check": {"type": "command", "run": [sys.executable, "-c", ""], "interval": "1s"},
                "recover": [{"run": [sys.executable, "-c", ""], "settle": "100ms"}],
            },
        },
    )
    project.deployed("1")
    project.deployed("2")
    assert len(shapes_seen(project, COMMANDS)) >= 25


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_so_they_do_where_there_is_nothing(project: Project) -> None:
    (project.root / "oatie.toml").unlink(missing_ok=True)
    assert len(shapes_seen(project, NOWHERE)) >= 20


def shapes_seen(project: Project, lines: list[str]) -> set[str]:
    """The shapes that were seen; fails at the first document that is not what its schema says."""
    seen = set()
    for line in lines:
        done = project.oatie(*line.split(), "--json")
        for document in documents(done.stdout):
            name = document.get("schema", "oatie.logs/v1").removeprefix("oatie.").removesuffix("/v1")
            seen.add(name)
            problems = sorted(jsonschema.Draft202012Validator(loaded(name)).iter_errors(document), key=str)
            assert not problems, f"{line}: {problems[0].message} at {list(problems[0].path)}\n{done}"
    return seen
