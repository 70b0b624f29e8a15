"""Man pages: ``oatie(1)`` and one for each command, in the man macros of roff."""

from __future__ import annotations

from collections.abc import Mapping

from oatie_ops._version import __version__
from oatie_ops.cli import table
from oatie_ops.cli.completing.tree import Node, Option, shared
from oatie_ops.exit_codes import MEANINGS


def pages(root: Node) -> Mapping[str, str]:
    """File name -> page, for the root and each command, subcommands included in their group's page."""
    found = {"oatie.1": _main(root)}
    for node in root.children:
        if node.path != ("help",):
            found[f"oatie-{node.path[0]}.1"] = _command(node)
    return found


def _main(root: Node) -> str:
    lines = [*_head("oatie", root.summary), ".SH SYNOPSIS", r"\fBoatie\fR \fICOMMAND\fR [\fIOPTIONS\fR]"]
    for title, entries in table.SECTIONS:
        lines.append(f".SH {_text(title.upper())}")
        for entry in entries:
            lines += [".TP", rf"\fBoatie-{_text(entry.name)}\fR(1)", _text(entry.summary)]
    lines += [".SH OPTIONS", *_options((*root.options, *shared())), *_exit_codes()]
    return "\n".join(lines) + "\n"


def _command(node: Node) -> str:
    name = f"oatie-{node.path[0]}"
    lines = [*_head(name, node.summary), ".SH SYNOPSIS", _synopsis(node)]
    if node.examples:
        lines.append(".SH EXAMPLES")
        for line, note in node.examples:
            lines += [".TP", rf"\fB{_text(line)}\fR", _text(note)]
    lines += [".SH DESCRIPTION", *_paragraphs(node.help)]
    lines += [".SH OPTIONS", *_options(node.options)]
    for child in node.children:
        lines += [f".SH {_text(' '.join(child.path).upper())}", _synopsis(child), *_paragraphs(child.help)]
        lines += _options(child.options)
    lines += [".SH COMMON OPTIONS", *_options(shared()), *_exit_codes(), ".SH SEE ALSO", r"\fBoatie\fR(1)"]
    return "\n".join(lines) + "\n"


def _head(name: str, summary: str) -> list[str]:
    title = f'.TH "{name.upper()}" "1" "" "oatie {__version__}" "Oatie Ops"'
    return [title, ".SH NAME", rf"{_text(name)} \- {_text(summary.rstrip('.'))}"]


def _synopsis(node: Node) -> str:
    words = [rf"\fBoatie {_text(' '.join(node.path))}\fR", r"[\fIOPTIONS\fR]"]
    if node.children:
        words.append(r"\fICOMMAND\fR")
    for argument in node.arguments:
        label = rf"\fI{_text(argument.value.label or 'VALUE')}\fR" + ("..." if argument.many else "")
        words.append(label if argument.required else f"[{label}]")
    return " ".join(words)


def _options(options: tuple[Option, ...]) -> list[str]:
    lines = []
    for option in options:
        names = ", ".join(rf"\fB{_text(name)}\fR" for name in option.names)
        value = ""
        if option.value is not None:
            value = rf" \fI{_text('|'.join(option.value.choices) or option.value.label or 'VALUE')}\fR"
        lines += [".TP", names + value, _text(option.help) or r"\&"]
    return lines


def _exit_codes() -> list[str]:
    lines = [".SH EXIT STATUS"]
    for code, meaning in MEANINGS.items():
        lines += [".TP", rf"\fB{int(code)}\fR", _text(meaning)]
    return lines


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        lines += [".PP", _text(" ".join(paragraph.split()))]
    return lines if text else []


def _text(text: str) -> str:
    """A line that roff takes as text: no control character at its start, real hyphens."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped[:1] in (".", "'") else escaped
