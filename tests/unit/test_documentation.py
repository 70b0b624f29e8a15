"""What README and guide show exists: every command parses, every message is one of the program's."""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import oatie_ops
from oatie_ops import error_recovery
from oatie_ops.cli import helping, table
from oatie_ops.cli.app import load
from oatie_ops.cli.wishes import take
from tests.documented import ROOT, Shown, in_blocks, in_text

ALL = [*in_blocks(), *in_text()]


@cache
def command(name: str) -> Any:
    return load(table.ENTRIES[name])


def parse(argv: list[str]) -> None:
    """As the program would, without doing anything. Raises what the parser raises."""
    words, _ = take(argv)
    if not words or words[0] in ("--version", "-V", "--help", "-h"):
        return
    if words[0] == "help":
        helping.answer(words[1:])
        return
    found = command(words[0])
    rest = words[1:]
    if {"-h", "--help"} & set(rest):
        return
    if hasattr(found, "commands"):
        found, rest = found.commands[rest[0]], rest[1:]
    found.make_context(found.name, list(rest))


@pytest.mark.parametrize("shown", ALL, ids=lambda shown: f"{shown.page}:{shown.line}")
def test_a_command_that_is_shown_is_one_that_there_is(shown: Shown) -> None:
    parse(shown.argv)


def test_there_are_commands_to_look_at() -> None:
    assert len(ALL) > 100


def test_every_subcommand_has_a_page_or_shares_one() -> None:
    pages = helping.pages()
    titles = " ".join(page.read_text(encoding="utf-8").partition("\n")[0] for page in pages.values())
    for name in set(table.ENTRIES) - {"schema", "completion", "doctor", "init", "token"}:
        assert name in pages or re.search(rf"\b{name}\b", titles), f"no page of the guide is about {name}"


def test_the_messages_of_troubleshooting_are_real() -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "oatie_ops").rglob("*.py"))
    rows = re.findall(r"^\| ([^|]+) \|", helping.page("troubleshooting"), re.MULTILINE)[2:]
    assert len(rows) >= 8
    for message in rows:
        parts = [part.strip() for part in re.split(r"\bN\b|…|`|\d+", message)]
        for part in filter(lambda part: len(part) > 5, parts):
            assert part in source, f"no message says {part!r}"


def test_pages_have_no_line_that_a_terminal_breaks() -> None:
    for page in helping.pages().values():
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            assert len(line) <= 130 or line.startswith("|"), f"{Path(page).name}:{number} is {len(line)} wide"


@pytest.mark.parametrize("module", [oatie_ops, error_recovery], ids=lambda module: str(module.__name__))
def test_every_public_name_of_the_library_says_what_it_is(module: ModuleType) -> None:
    """Its class, and of that every method and property of ours."""
    silent = []
    for name in module.__all__:
        public = getattr(module, name)
        kind = public if isinstance(public, type) else type(public)
        members = {} if kind.__module__ == "builtins" else dict(inspect.getmembers(kind))
        ours = {
            f"{name}.{member}": getattr(value, "fget", value)
            for member, value in members.items()
            if not member.startswith("_")
        }
        silent += [
            where
            for where, value in {name: kind, **ours}.items()
            if inspect.isfunction(value) or inspect.isclass(value)
            if value.__module__.startswith("oatie_ops") and not inspect.getdoc(value)
        ]
    assert silent == []
