"""The short cut of `oatie start` reads a command line as the parser does, or leaves it to the parser."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from oatie_ops.cli import table
from oatie_ops.cli.app import load
from oatie_ops.cli.start_words import FLAGS, VALUES, options_of

SHORT_CUTS = [
    "",
    "--port 9000 --workers 4",
    "-p 0 -w 1",
    "--port=65535 --host=::1",
    "--host 0.0.0.0 --log-level debug -e staging",
    "--environment production --env-file .env --pid-file /run/x.pid",
    "--dev",
    "--daemon --health-check --json",
    "-d --log-level=info",
    "--env-file=a=b",
]
FOR_THE_PARSER = [
    "--help",
    "-h",
    "--port",
    "--port 65536",
    "--port -1",
    "--port=",
    "--port ١",
    "--port 1_000",
    "--workers 0",
    "--workers two",
    "-p9000",
    "-p=9000",
    "--wor 2",
    "--port 1 --port 2",
    "--host --dev",
    "extra",
    "--no-such-option",
    "-- --dev",
    "--dev=yes",
]


def parsed(line: str) -> dict[str, object]:
    command = load(table.ENTRIES["start"])
    with command.make_context("start", line.split()) as context:
        return dict(context.params)


@pytest.mark.parametrize("line", SHORT_CUTS)
def test_it_reads_what_the_parser_reads(line: str) -> None:
    options = options_of(line.split())
    assert options is not None
    read = {name: str(each) if isinstance(each, Path) else each for name, each in asdict(options).items()}
    assert read == parsed(line)


@pytest.mark.parametrize("line", FOR_THE_PARSER)
def test_the_rest_is_left_to_the_parser(line: str) -> None:
    assert options_of(line.split()) is None


def test_it_knows_every_option_of_the_command() -> None:
    command = load(table.ENTRIES["start"])
    options = {name for parameter in command.params for name in parameter.opts} - {"--help", "-h"}
    assert options == {*FLAGS, *VALUES}
