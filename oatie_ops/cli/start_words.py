"""The usual command lines of `oatie start`, read without the parser, whose import costs more than all else
that happens before the first worker is asked for.

Whatever is not plainly one of them (abbreviated, repeated, wrong, a question for the help) is left to the
parser, so that there is one place that complains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from oatie_ops.cli.start_run import StartOptions


def _number(least: int, most: int | None = None) -> Callable[[str], int | None]:
    def read(text: str) -> int | None:
        if not (text.isascii() and text.isdigit()) or len(text) > 9:
            return None
        number = int(text)
        return number if number >= least and (most is None or number <= most) else None

    return read


VALUES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "--port": ("port", _number(0, 65535)),
    "-p": ("port", _number(0, 65535)),
    "--workers": ("workers", _number(1)),
    "-w": ("workers", _number(1)),
    "--host": ("host", str),
    "--log-level": ("log_level", str),
    "--environment": ("environment", str),
    "-e": ("environment", str),
    "--pid-file": ("pid_file", Path),
    "--env-file": ("env_file", Path),
}
FLAGS: Mapping[str, str] = {
    "--dev": "dev",
    "--daemon": "daemon",
    "-d": "daemon",
    "--health-check": "health_check",
    "--json": "json",
}


def options_of(words: Sequence[str]) -> StartOptions | None:
    """None: ask the parser."""
    given: dict[str, Any] = {}
    rest = iter(words)
    found: Any
    for word in rest:
        option, equals, value = word.partition("=")
        if word in FLAGS:
            name, found = FLAGS[word], True
        elif option in VALUES and (not equals or option.startswith("--")):
            name, read = VALUES[option]
            text = value if equals else next(rest, "")
            found = None if not text or text.startswith("-") else read(text)
        else:
            return None
        if found is None or name in given:
            return None
        given[name] = found
    return StartOptions(**given)
