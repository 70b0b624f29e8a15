"""The Typer application: one lazy group that imports a subcommand only when it is invoked."""

from __future__ import annotations

import gc
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import typer
from typer import _click as click
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from oatie_ops.cli import table
from oatie_ops.errors import UsageError

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class ExamplesFirst(click.Command):
    """Shows its epilog (the examples) before the options: that is what most readers came for."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        if self.epilog:
            formatter.write(f"\n{self.epilog}\n")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Shown above."""


class Command(ExamplesFirst, TyperCommand):
    """A subcommand."""


class Group(ExamplesFirst, TyperGroup):
    """A subcommand that has subcommands."""


class LazyGroup(TyperGroup):
    """Knows its subcommands from `oatie_ops.cli.table`; `get_command` imports the one that is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(table.ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = table.ENTRIES.get(cmd_name)
        return None if entry is None else load(entry)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in table.ENTRIES and not name.startswith("-"):
            raise unknown_command(name)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(table.main_help() + "\n")


def unknown_command(name: str) -> UsageError:
    near = get_close_matches(name, table.ENTRIES, n=1)
    fix = f"did you mean `oatie {near[0]}`?" if near else "`oatie --help` lists the commands"
    return UsageError(f"there is no command {name!r}", fix=fix)


def load(entry: table.Entry) -> click.Command:
    """Imports the module of one subcommand and makes the command (or group) of it."""
    module = import_module(entry.module)
    gc.enable()
    if entry.group:
        return _group(entry, module.app)
    return _command(entry, module.command)


def _command(entry: table.Entry, function: Callable[..., Any]) -> click.Command:
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    epilog = table.examples_text(entry.examples)
    single.command(entry.name, cls=Command, epilog=epilog, context_settings=dict(CONTEXT_SETTINGS))(function)
    return get_command(single)


def _group(entry: table.Entry, app: typer.Typer) -> click.Command:
    # Typer's own default draws boxes that break grep.
    app.rich_markup_mode = None
    app.info.cls = Group
    for registered in app.registered_commands:
        registered.cls = Command
    group = get_group(app)
    group.name = entry.name
    group.epilog = table.examples_text(entry.examples)
    group.context_settings = dict(CONTEXT_SETTINGS)
    group.no_args_is_help = True
    for sub in group.commands.values():
        sub.epilog = table.examples_text(entry.examples_of(str(sub.name)))
        sub.context_settings = {**CONTEXT_SETTINGS, **sub.context_settings}
    return group


def root() -> None:
    """Everything happens in the subcommands."""


def build() -> TyperGroup:
    app = typer.Typer(cls=LazyGroup, add_completion=False, rich_markup_mode=None)
    app.callback(context_settings=dict(CONTEXT_SETTINGS), help=table.SUMMARY)(root)
    return get_group(app)
