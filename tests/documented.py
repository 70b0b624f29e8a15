"""The commands that README and guide show, taken out of their code blocks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "oatie_ops" / "guide").glob("*.md")))
PROGRAM = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\S*/)?oatie( |$)")
INLINE = re.compile(r"`(oatie [^`\n]+)`")
# Words that stand for something, and continuations.
PLACEHOLDER = re.compile(r"…|\.\.\.|<|\[|\||\\$")


@dataclass(frozen=True)
class Shown:
    page: str
    line: int
    text: str

    @property
    def argv(self) -> list[str]:
        """Without variables before the program's name, comments, pipes and redirections."""
        words = shlex.split(re.split(r"\s(?:&&|\|\||[|;>]|2>)", f"{self.text} ")[0], comments=True)
        start = next(i for i, word in enumerate(words) if word == "oatie" or word.endswith("/oatie"))
        return [word for word in words[start + 1 :] if not re.fullmatch(r"\d?[<>].*|&", word)]

    @property
    def variables(self) -> dict[str, str]:
        words = shlex.split(self.text, comments=True)
        pairs = (word.partition("=") for word in words if re.match(r"[A-Z_]+=", word))
        return {name: value for name, _, value in pairs}


def in_blocks() -> Iterator[Shown]:
    """Commands in fenced ``sh`` blocks and in indented ones that begin with a ``$``."""
    for page in PAGES:
        fence = ""
        for number, raw in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            if raw.startswith("```"):
                fence = "" if fence else raw.strip("`").strip() or "text"
                continue
            line = raw.strip()
            indented = raw.startswith("    $ ") or (fence == "text" and line.startswith("$ "))
            if (fence in ("sh", "bash", "console") or indented) and PROGRAM.match(line):
                yield Shown(page.name, number, line.removeprefix("$ "))


def in_text() -> Iterator[Shown]:
    """Commands in backticks, but for those with a placeholder."""
    for page in PAGES:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            for found in INLINE.finditer(line):
                if not PLACEHOLDER.search(found[1]):
                    yield Shown(page.name, number, found[1])
