"""Options that every command takes, at any place of the line: how much is said, in colour, for which CI.

Read from the bare words before anything is parsed, because errors of the parser obey them too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oatie_ops.errors import UsageError
from oatie_ops.records import dataclass

COLORS = ("auto", "always", "never")
CI_SYSTEMS = ("github",)
CHOICES: Mapping[str, tuple[str, ...]] = {"--color": COLORS, "--ci": CI_SYSTEMS}
FLAGS: Mapping[str, str] = {"--quiet": "quiet", "-q": "quiet", "--verbose": "verbose", "-v": "verbose"}
# What completion and the help say of them.
HELP: Mapping[str, str] = {
    "--quiet": "Results and errors only, no talk.",
    "--verbose": "Say more: what was read, how long it took, where an unexpected error came from.",
    "--color": "auto, always or never.",
    "--ci": "github: annotations for what failed, and a summary of the job.",
}


@dataclass(frozen=True)
class Wishes:
    """``color`` None: nobody said; the environment and the stream decide."""

    quiet: bool = False
    verbose: bool = False
    color: str | None = None
    ci: str | None = None


@dataclass
class Current:
    """What holds for this process. One command line, one process: there is nothing else to hand it to."""

    wishes: Wishes = Wishes()


current = Current()


def take(argv: Sequence[str]) -> tuple[list[str], Wishes]:
    """The words without these options, and what they say. Raises `UsageError` on a wrong value."""
    given, own = _before_separator(argv)
    rest: list[str] = []
    found: dict[str, object] = {}
    words = iter(given)
    for word in words:
        option, equals, value = word.partition("=")
        if word in FLAGS:
            found[FLAGS[word]] = True
        elif option in CHOICES:
            found[option.removeprefix("--")] = _chosen(option, value if equals else next(words, ""))
        else:
            rest.append(word)
    if found.get("quiet") and found.get("verbose"):
        raise UsageError("--quiet and --verbose contradict each other", fix="leave out one of them")
    return [*rest, *own], Wishes(**found)  # type: ignore[arg-type]


def _before_separator(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    words = list(argv)
    cut = words.index("--") if "--" in words else len(words)
    return words[:cut], words[cut:]


def _chosen(option: str, value: str) -> str:
    if value in CHOICES[option]:
        return value
    said = f"{value!r} is not one of its values" if value else "it has no value"
    raise UsageError(f"{option}: {said}", fix=f"write {option}={'|'.join(CHOICES[option])}")
