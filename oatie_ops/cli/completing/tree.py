"""The command tree as plain data: what can stand at which place of a command line.

Read from the real parser, so that a script, a man page and a command cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oatie_ops.cli import table, wishes
from oatie_ops.cli.app import load

# Parameters whose values a project has: name of the parameter -> kind in the file of remembered values.
REMEMBERED: Mapping[str, str] = {
    "service": "services",
    "services": "services",
    "release": "releases",
    "compare": "releases",
    "worker": "workers",
    "environment": "environments",
}
FILE, TEXT = "file", "text"


@dataclass(frozen=True)
class Value:
    """``kind``: ``file``, ``text`` (nothing can be offered), ``choice``, or a kind of remembered values."""

    kind: str
    choices: tuple[str, ...] = ()
    label: str = ""  # as the help names it: FILE, SECONDS


@dataclass(frozen=True)
class Option:
    """``value`` None: a flag."""

    names: tuple[str, ...]
    help: str
    value: Value | None = None


@dataclass(frozen=True)
class Argument:
    value: Value
    many: bool = False
    required: bool = False


@dataclass(frozen=True)
class Node:
    """``path`` is what is typed after the program's name: ``("config", "check")``; empty for the root."""

    path: tuple[str, ...]
    summary: str
    help: str = ""
    examples: tuple[tuple[str, str], ...] = ()
    options: tuple[Option, ...] = ()
    arguments: tuple[Argument, ...] = ()
    children: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def place(self) -> str:
        """``/config/check``; empty for the root."""
        return "".join(f"/{name}" for name in self.path)

    @property
    def subcommands(self) -> list[tuple[str, str]]:
        """Names and summaries."""
        return [(child.path[-1], child.summary) for child in self.children]

    def taking_values(self) -> list[str]:
        """``/deploy --environment``: the options here after which the next word is their value."""
        return [f"{self.place} {name}" for option in self.options if option.value for name in option.names]

    def values(self) -> Iterator[tuple[list[str], Value]]:
        """The names of an option, as in `taking_values`, and what can be offered behind them."""
        for option in self.options:
            if option.value is not None and option.value.kind != TEXT:
                yield [f"{self.place} {name}" for name in option.names], option.value

    def offered(self) -> Iterator[tuple[int, Argument]]:
        """The arguments for which something can be offered, each with its position."""
        for number, argument in enumerate(self.arguments):
            if argument.value.kind != TEXT:
                yield number, argument


HELP = Option(("-h", "--help"), "Show the help and exit.")


def tree() -> Node:
    """The whole program. Imports the module of every subcommand."""
    children = [_node((entry.name,), load(entry), entry) for entry in table.ENTRIES.values()]
    topics = Value("choice", (*table.TOPICS, *table.ENTRIES, "guide"))
    helping = Node(("help",), "Show the help of a command, a topic or a page.", arguments=(Argument(topics),))
    version = Option(("-V", "--version"), "Show the version and exit.")
    return Node((), table.SUMMARY, options=(HELP, version, *shared()), children=(*children, helping))


def shared() -> tuple[Option, ...]:
    """The options that every command takes."""
    short = {long: letter for letter, long in (("-q", "--quiet"), ("-v", "--verbose"))}
    found = []
    for name, text in wishes.HELP.items():
        names = (short[name], name) if name in short else (name,)
        choices = wishes.CHOICES.get(name)
        found.append(Option(names, text, Value("choice", choices) if choices else None))
    return tuple(found)


def _node(path: tuple[str, ...], command: Any, entry: table.Entry | None = None) -> Node:
    options, arguments = [HELP], []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            arguments.append(
                Argument(_value(parameter), parameter.nargs == -1 or parameter.multiple, parameter.required)
            )
        elif not getattr(parameter, "hidden", False) and "--help" not in parameter.opts:
            names = (*parameter.opts, *parameter.secondary_opts)
            value = None if parameter.is_flag else _value(parameter)
            options.append(Option(tuple(sorted(names, key=len)), _one_line(parameter.help), value))
    children = tuple(_node((*path, name), sub) for name, sub in getattr(command, "commands", {}).items())
    text = (command.help or "").strip()
    return Node(
        path,
        entry.summary if entry else _one_line(text.split("\n\n")[0]),
        text,
        entry.examples if entry else (),
        tuple(options),
        tuple(arguments),
        children,
    )


def _value(parameter: Any) -> Value:
    label = (parameter.metavar or parameter.name or "").strip("[].").upper()
    choices = getattr(parameter.type, "choices", None)
    if choices:
        return Value("choice", tuple(str(getattr(choice, "value", choice)) for choice in choices), label)
    if parameter.name in REMEMBERED:
        return Value(REMEMBERED[parameter.name], label=label)
    if (one_of := _listed(parameter)) is not None:
        return Value("choice", one_of, label)
    name = str(getattr(parameter.type, "name", ""))
    if name in ("path", "file", "filename", "directory") or label.endswith("FILE"):
        return Value(FILE, label=label)
    return Value(TEXT, label=label)


def _listed(parameter: Any) -> tuple[str, ...] | None:
    """Values that only the help tells: ``One of process, docker.``"""
    text = str(getattr(parameter, "help", "") or "")
    if not text.startswith("One of "):
        return None
    listed = text.removeprefix("One of ").split(".")[0]
    return tuple(word.strip() for word in listed.replace(" or ", ", ").split(",") if word.strip())


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
