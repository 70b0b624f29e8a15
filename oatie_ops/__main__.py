"""The front door of the program: answers what needs no command without importing the parser."""

from __future__ import annotations

import sys


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    if arguments in (["--version"], ["-V"]):
        from oatie_ops._version import __version__

        return _print(f"oatie {__version__}")
    if arguments in ([], ["--help"], ["-h"]):
        from oatie_ops.cli.table import main_help

        return _print(main_help())
    from oatie_ops.cli.exit import run

    sys.exit(run(arguments))


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        from oatie_ops.cli.exit import leave_quietly

        leave_quietly()


if __name__ == "__main__":
    main()
