"""What a command says and where: results on stdout, talk on stderr, colour decided for each stream.

The one place that renders an `OatieError` for people (what / why / details / fix, the last line is the
action) and for programs (``{"error": …}`` on stdout with ``--json``).
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from oatie_ops.cli.wishes import current
from oatie_ops.errors import OatieError
from oatie_ops.redaction import redact, redact_value

STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "cyan": "36",
    "error": "1;31",
    "warning": "1;33",
}
# Control characters but tab, line feed and the colours of `paint`; marks that turn the writing around.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\x1b(?!\[[0-9;]*m)")


def is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def use_color(stream: TextIO | None, environ: Mapping[str, str] | None = None) -> bool:
    """--color, NO_COLOR, FORCE_COLOR or CLICOLOR_FORCE, TERM=dumb, then whether it is a terminal.

    Protocol: https://no-color.org and https://force-color.org. A CI system's variables force nothing: a
    pipe stays free of escape sequences there too.
    """
    env = os.environ if environ is None else environ
    if current.wishes.color in ("always", "never"):
        return current.wishes.color == "always"
    if env.get("NO_COLOR"):
        return False
    force = env.get("FORCE_COLOR") or env.get("CLICOLOR_FORCE")
    if force:
        return force.lower() not in {"0", "false"}
    return env.get("TERM") != "dumb" and is_terminal(stream)


def use_animation(stream: TextIO | None, environ: Mapping[str, str] | None = None) -> bool:
    """May lines be redrawn? Only on a real terminal, never in CI, whatever FORCE_COLOR says."""
    env = os.environ if environ is None else environ
    return (
        is_terminal(stream) and env.get("TERM") != "dumb" and not env.get("CI") and not current.wishes.quiet
    )


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """``text`` in one of `STYLES` where ``stream`` (default stderr) takes colour, else unchanged."""
    if not use_color(sys.stderr if stream is None else stream):
        return text
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m"


class UnwritableOutput(OSError):
    """Stdout takes nothing: a full disk behind it. That its reader left is told as `BrokenPipeError`."""


def emit(text: str) -> None:
    """One result, on stdout, at once (a reader at the other end of a pipe does not wait)."""
    with _results():
        print(tame(text), flush=True)


def tame(text: str) -> str:
    """Without what could steer a terminal or turn a line around: much of what is shown was said by others."""
    return text if text.isprintable() else _STEERING.sub(" ", text)


def emit_report(text: str) -> None:
    """One result for people to read: on a terminal its long lines are folded between words, in a pipe not.

    Not for what is copied or executed: values, scripts, addresses.
    """
    emit(folded(text, sys.stdout))


def folded(text: str, stream: TextIO) -> str:
    columns = terminal_columns(stream)
    if columns is None or max(map(len, text.split("\n"))) <= columns:
        return text
    from oatie_ops.cli.folding import fold

    return fold(text, columns)


def terminal_columns(stream: TextIO) -> int | None:
    """How wide the terminal is; None where it is none, or does not say."""
    if not is_terminal(stream):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


@contextmanager
def _results() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnwritableOutput(*error.args) from error


def emit_json(document: Any) -> None:
    """One JSON document on stdout: one line in a pipe, indented on a terminal."""
    _emit_clean(_dump(document, indent=2 if is_terminal(sys.stdout) else None))


def emit_json_line(event: Any) -> None:
    """One event of a stream on stdout: always exactly one line."""
    _emit_clean(_dump(event, indent=None))


def _emit_clean(text: str) -> None:
    pass_on = getattr(sys.stdout, "write_redacted", None)  # of `oatie_ops.secrets.boundary`, where installed
    if pass_on is None:
        emit(text)
        return
    with _results():
        pass_on(f"{text}\n")
        sys.stdout.flush()


def _dump(value: Any, indent: int | None) -> str:
    # Escaped to ASCII: valid in whatever encoding stdout has, lone surrogates of file names included.
    return json.dumps(redact_value(value), indent=indent, default=lambda other: redact(str(other)))


def say(text: str) -> None:
    """Talk, on stderr, unless --quiet. A stderr that is gone or full is no reason to fail."""
    if not current.wishes.quiet:
        _to_stderr(folded(text, sys.stderr))


def say_more(text: str) -> None:
    """Talk for --verbose only."""
    if current.wishes.verbose:
        _to_stderr(paint(redact(text), "dim"))


def _to_stderr(text: str) -> None:
    try:
        print(tame(text), file=sys.stderr, flush=True)
    except OSError:
        return


def warn(text: str) -> None:
    """Said with --quiet too."""
    _to_stderr(folded(f"{paint('warning:', 'warning')} {text}", sys.stderr))


def render_error(error: OatieError, stream: TextIO | None = None) -> str:
    """what / why / details / fix; the last line is what to do next."""
    lines = [f"{paint('error:', 'error', stream)} {error.what}"]
    if error.why:
        lines.append(_labelled("why", "yellow", error.why, stream))
    lines += [f"    {line}" for detail in error.details for line in detail.splitlines() or [""]]
    if error.fix:
        lines.append(_labelled("fix", "green", error.fix, stream))
    return "\n".join(lines)


def _labelled(label: str, style: str, text: str, stream: TextIO | None) -> str:
    first, *rest = text.splitlines()
    return "\n".join([f"  {paint(label + ':', style, stream)} {first}", *(f"       {line}" for line in rest)])


def report_error(error: OatieError, *, as_json: bool = False) -> None:
    """Shows an error in the one form that was asked for: a document on stdout, or lines on stderr."""
    if as_json:
        emit_json({"schema": "oatie.error/v1", "error": error.as_dict()})
    else:
        _to_stderr(folded(render_error(error, sys.stderr), sys.stderr))
