"""Long lines on a terminal: folded between words, aligned; nothing of it in a pipe."""

from __future__ import annotations

import os
import pty
import re
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.cli.folding import fold, visible
from oatie_ops.cli.human import table
from oatie_ops.cli.output import folded, terminal_columns
from oatie_ops.cli.reading import fitted
from oatie_ops.cli.table import ENTRIES, examples_text, main_help

WORDS = st.lists(st.text("abcdefg.-/", min_size=1, max_size=12), min_size=1, max_size=40)


def test_a_long_line_goes_on_below_its_last_column() -> None:
    line = "  1. prerequisites  check Python, disk, memory for old and new workers together"
    assert fold(line, 50).split("\n") == [
        "  1. prerequisites  check Python, disk, memory for",
        "                    old and new workers together",
    ]


def test_an_item_goes_on_below_its_text_and_other_lines_below_their_indentation() -> None:
    assert fold("  - " + "word " * 10, 40).split("\n")[1].startswith("    word")
    assert fold("  " + "word " * 10, 40).split("\n")[1].startswith("  word")


def test_a_column_far_to_the_right_does_not_squeeze_what_follows_into_a_stripe() -> None:
    line = "a" * 30 + "  " + "word " * 12
    assert all(part.startswith("word") for part in fold(line, 50).split("\n")[1:])


def test_what_cannot_be_broken_stays_whole_and_what_fits_is_not_touched() -> None:
    address = "http://127.0.0.1:8000/" + "x" * 60
    assert address in fold(f"open {address} now", 50).split("\n")
    assert fold("short\n\n  lines", 50) == "short\n\n  lines"


def test_colours_take_no_room_and_stay_where_they_were() -> None:
    painted = "\x1b[32m✓ done\x1b[0m  " + "word " * 12
    first, second, *_ = fold(painted, 50).split("\n")
    assert first.startswith("\x1b[32m✓ done\x1b[0m  word")
    assert visible(first) <= 50
    assert second.startswith("        word")


@given(WORDS, st.integers(40, 90), st.sampled_from(["", "  ", "- ", "key  "]))
def test_no_word_is_lost_or_broken_and_no_line_is_too_wide(words: list[str], columns: int, lead: str) -> None:
    text = fold(lead + " ".join(words), columns)
    assert text.split() == [*lead.split(), *words]
    assert all(len(line) <= columns for line in text.split("\n"))


def test_a_table_gives_its_widest_columns_less_and_keeps_the_first() -> None:
    rows = [["✗ missing", "engine", "/var/run/docker.sock: No such file", "docker, swarm"]]
    lines = table(("STATE", "WHAT", "FOUND", "FOR"), rows, 60, short_first=True)
    assert [line.rstrip() for line in lines] == [
        "STATE      WHAT    FOUND                       FOR",
        "✗ missing  engine  /var/run/docker.sock: No    docker, swarm",
        "                   such file",
    ]
    assert table(("STATE", "WHAT", "FOUND", "FOR"), rows)[1].endswith("No such file  docker, swarm")


def test_a_table_without_room_for_its_columns_has_named_lines_instead() -> None:
    rows = [["✓ ok", "engine", "/a/path/that/is/not/short", "aws_secrets_manager"]]
    assert table(("STATE", "WHAT", "FOUND", "FOR"), rows, 50, short_first=True) == [
        "✓ ok  engine",
        "  found  /a/path/that/is/not/short",
        "  for    aws_secrets_manager",
    ]


PAGE = """\
# A title that is much longer than the screen is wide, and stays

Words that are written
in two lines.
- one item that is so long that
  it has a second line
- two

| code | meaning |
|---|---|
| `a \\| b` | some words that need more room than there is |

```sh
oatie deploy   # a command stays as it is, however long the line may be
```

    oatie deploy   # and so does one that is indented, as it can be copied
"""


def test_a_page_is_fitted_but_not_its_commands() -> None:
    assert (
        fitted(PAGE, 44)
        == """\
# A title that is much longer than the screen is wide, and stays

Words that are written in two lines.
- one item that is so long that it has a
  second line
- two

code     meaning
--------------------------------------------
`a | b`  some words that need more room than
         there is

```sh
oatie deploy   # a command stays as it is, however long the line may be
```

    oatie deploy   # and so does one that is indented, as it can be copied
"""
    )


def test_help_fits_an_ordinary_screen() -> None:
    texts = [main_help(), *(examples_text(entry.examples) for entry in ENTRIES.values())]
    assert [line for text in texts for line in text.split("\n") if len(line) > 80] == []


def test_only_a_terminal_gets_folded_lines() -> None:
    text = "word " * 30
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe, os.fdopen(reader):
        assert terminal_columns(pipe) is None
        assert folded(text, pipe) == text
    main, side = pty.openpty()
    termios.tcsetwinsize(side, (24, 60))
    with os.fdopen(side, "w") as screen, os.fdopen(main):
        assert terminal_columns(screen) == 60
        assert max(map(len, folded(text, screen).split("\n"))) <= 60


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_every_page_of_the_guide_fits(columns: int) -> None:
    from oatie_ops.cli.helping import page, pages

    for name in pages():
        text = fitted(page(name), columns)
        in_fence = False
        for line in text.split("\n"):
            in_fence ^= line.startswith("```")
            if in_fence or line.startswith(("#", "    ", "!", "|", "```", "<")) or " " not in line.strip():
                continue
            # A single word that is too long stays whole.
            if not re.search(r"\S{30,}", line):
                assert len(line) <= columns, (name, line)
