"""What is answered without the import of the parser, which is a third of the time of such a command.

The help, the version, the questions that scripts and people ask most, as they are asked most; and `start`.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping, Sequence

from oatie_ops._version import __version__

VERSION = {"--version", "-V"}


def answer(argv: Sequence[str]) -> int | None:
    """The exit code of ``oatie ARGV``; None where it takes a parser, and nothing was done."""
    if not VERSION.isdisjoint(argv) and VERSION | {"--json"} >= set(argv):
        return _version(as_json="--json" in argv)
    if argv[:1] == ["help"]:
        return _help(argv[1:])
    if argv[:1] == ["start"]:
        return _start(argv[1:])
    if list(argv) == ["health", "--format", "nagios"]:
        return _nagios()
    if not argv or argv[0] not in ANSWERS or list(argv[1:]) not in ([], ["--json"]):
        return None
    return ANSWERS[argv[0]](len(argv) == 2)


def _version(*, as_json: bool) -> int:
    from oatie_ops.cli import about
    from oatie_ops.cli.output import emit

    emit(about.text() if as_json else f"oatie {__version__}")
    return 0


def _help(words: Sequence[str]) -> int | None:
    from oatie_ops.cli import helping
    from oatie_ops.cli.output import emit, terminal_columns

    asked = [word for word in words if word != "--json"]
    text = helping.answer(asked)
    if text is None:
        return None
    if len(asked) < len(words):
        from oatie_ops.cli.output import emit_json

        emit_json({"schema": "oatie.help/v1", "topic": " ".join(asked), "text": text})
        return 0
    columns = terminal_columns(sys.stdout)
    if columns is not None:
        from oatie_ops.cli.reading import fitted

        text = fitted(text, columns)
    emit(text)
    return 0


def _start(words: Sequence[str]) -> int | None:
    """Users wait for its first answer; a parser would be a sixth of that."""
    gc.disable()  # until the supervisor runs: imports make no garbage
    from oatie_ops.cli.start_words import options_of

    options = options_of(words)
    if options is None:
        return None
    from oatie_ops.cli.start_run import start

    return start(options) or 0


def _status(as_json: bool) -> int:
    from oatie_ops.cli.status_answer import show

    return show(as_json=as_json)


def _health(as_json: bool) -> int:
    from oatie_ops.cli.context import Context
    from oatie_ops.cli.health_report import DEFAULT_TIMEOUT_SECONDS, exit_code, show
    from oatie_ops.cli.health_source import fetch

    health = fetch(Context(), [], DEFAULT_TIMEOUT_SECONDS)
    show(health, as_json=as_json)
    return exit_code(health["status"])


def _nagios() -> int:
    """Schedulers ask it of every host, every minute."""
    from oatie_ops.cli.health_nagios import answer
    from oatie_ops.cli.health_report import DEFAULT_TIMEOUT_SECONDS

    return answer([], None, DEFAULT_TIMEOUT_SECONDS)


ANSWERS: Mapping[str, Callable[[bool], int]] = {"status": _status, "health": _health}
