"""The front door of the program: answers what needs no command without importing the parser."""

from __future__ import annotations

import sys

# With these, `start` needs no worker from this process.
BACKGROUND_OR_HELP = {"--daemon", "-d", "--help", "-h"}


def main() -> None:
    arguments = sys.argv[1:]
    if None in (sys.stdin, sys.stdout, sys.stderr):
        from oatie_ops.cli.streams import open_missing

        open_missing()
    if arguments in (["--version"], ["-V"]):
        from oatie_ops._version import __version__

        return _print(f"oatie {__version__}")
    if arguments in ([], ["--help"], ["-h"], ["help"]):
        from oatie_ops.cli.table import main_help

        return _print(main_help())
    if arguments[0] == "start" and BACKGROUND_OR_HELP.isdisjoint(arguments):
        from oatie_ops.supervisor.prestart import prestart

        prestart()
    from oatie_ops.cli.exit import leave, run

    leave(run(arguments))


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError as error:
        from oatie_ops.cli.closed_stdout import leave_quietly

        leave_quietly()
        if not isinstance(error, BrokenPipeError):
            sys.exit(f"error: standard output cannot be written to: {error.strerror}")


if __name__ == "__main__":
    main()
