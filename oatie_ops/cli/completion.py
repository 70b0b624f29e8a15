"""``oatie completion``: scripts that complete oatie's command line, shown or put where the shell looks."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from oatie_ops.cli.output import emit, emit_json, say
from oatie_ops.errors import PrerequisiteMissing, UsageError

SCHEMA = "oatie.completion/v1"
SCRIPT_SCHEMA = "oatie.completion.script/v1"


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


app = typer.Typer(
    help="Complete oatie's words at a TAB. The scripts are static: no Python is started at a TAB.",
    add_completion=False,
    rich_markup_mode=None,
)
ShellArgument = Annotated[
    Shell | None, typer.Argument(metavar="[SHELL]", help="Without it: of $SHELL, or of your account.")
]


@app.command("show")
def show(
    shell: ShellArgument = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object: shell, script.")] = False,
) -> None:
    """Print the script for a shell: bash, zsh, fish or powershell."""
    chosen = shell or current_shell()
    if json:
        emit_json({"schema": SCRIPT_SCHEMA, "shell": chosen.value, "script": script(chosen)})
    else:
        emit(script(chosen).rstrip("\n"))


@app.command("install")
def install(
    shell: ShellArgument = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object: shell, file, next.")] = False,
) -> None:
    """Write the script to the directory in which the shell looks for the user's completions.

    No start-up file of a shell is changed; where one has to be, the line to add is printed.
    """
    chosen = shell or current_shell()
    file = place(chosen, os.environ, Path.home())
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(script(chosen), encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise PrerequisiteMissing(
            f"cannot write {file}",
            why=error.strerror or str(error),
            fix=f"`oatie completion show {chosen.value} > FILE`, in a place that is yours",
        ) from error
    after = next_step(chosen, file)
    if json:
        emit_json({"schema": SCHEMA, "shell": chosen.value, "file": str(file), "next": after})
    else:
        emit(str(file))
        say(after)


def script(shell: Shell) -> str:
    """Written anew from the command tree, so it fits the version that is installed."""
    from oatie_ops.cli.completing import bash, fish, powershell, zsh
    from oatie_ops.cli.completing.tree import Node, tree

    writers: Mapping[Shell, Callable[[Node], str]] = {
        Shell.BASH: bash.script,
        Shell.ZSH: zsh.script,
        Shell.FISH: fish.script,
        Shell.POWERSHELL: powershell.script,
    }
    return writers[shell](tree())


def current_shell() -> Shell:
    """The one that $SHELL names; where a service or a CI set none, that of the account.

    Raises `UsageError` where that is none of them.
    """
    told = os.environ.get("SHELL", "")
    name = Path(told or login_shell()).name
    try:
        return Shell(name)
    except ValueError as error:
        source = "$SHELL says" if told else "$SHELL is not set, and the account's shell is"
        raise UsageError(
            "which shell?",
            why=f"{source} {name!r}" if name else "$SHELL is not set, and the account has none",
            fix=f"name it: {', '.join(each.value for each in Shell)}",
        ) from error


def login_shell() -> str:
    """Of the account in the user database; "" for a user id that has no account, as in some containers."""
    try:
        return pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:
        return ""


def place(shell: Shell, environ: Mapping[str, str], home: Path) -> Path:
    """The user's own directory: of bash-completion 2, zsh's usual function path, fish, PowerShell."""
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    match shell:
        case Shell.BASH:
            own = environ.get("BASH_COMPLETION_USER_DIR")
            return (Path(own) if own else data / "bash-completion") / "completions" / "oatie"
        case Shell.ZSH:
            return data / "zsh" / "site-functions" / "_oatie"
        case Shell.FISH:
            return config / "fish" / "completions" / "oatie.fish"
        case Shell.POWERSHELL:
            return config / "powershell" / "oatie.ps1"


def next_step(shell: Shell, file: Path) -> str:
    match shell:
        case Shell.BASH:
            return "a new shell has it (where bash-completion is loaded); in this one: `source` that file"
        case Shell.ZSH:
            return f"add before compinit in ~/.zshrc, unless it is there: fpath=({file.parent} $fpath)"
        case Shell.FISH:
            return "every fish has it from now on"
        case Shell.POWERSHELL:
            return f"add to $PROFILE, unless it is there: . {file}"
