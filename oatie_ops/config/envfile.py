"""Files of ``NAME=value`` lines, read by python-dotenv; references in them are resolved here."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from oatie_ops.config.interpolate import expand
from oatie_ops.records import dataclass


@dataclass(frozen=True)
class EnvFile:
    """``lines`` tells on which line (from 1) each name stands; ``bad_lines`` are not NAME=value."""

    path: Path
    values: Mapping[str, str]
    lines: Mapping[str, int]
    bad_lines: tuple[int, ...] = ()


def parse(path: Path, content: bytes, environ: Mapping[str, str]) -> EnvFile:
    """Raises `UnicodeDecodeError`. A name that was given twice has its last value, as in a shell."""
    from dotenv.parser import parse_stream

    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    bad: list[int] = []
    for binding in parse_stream(io.StringIO(content.decode("utf-8-sig"))):
        leading = len(binding.original.string) - len(binding.original.string.lstrip("\r\n"))
        line = binding.original.line + binding.original.string[:leading].count("\n")
        if binding.error:
            bad.append(line)
        elif binding.key is not None and binding.value is not None:
            raw = binding.original.string.partition("=")[2].lstrip()
            literal = raw.startswith("'")
            known = {**values, **environ}
            values[binding.key] = binding.value if literal else expand(binding.value, known.get)
            lines[binding.key] = line
    return EnvFile(path, values, lines, tuple(bad))
