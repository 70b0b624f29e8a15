"""``oatie config``: what is wrong with the configuration, what applies, what a key means."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oatie_ops.cli import github
from oatie_ops.cli.human import table
from oatie_ops.cli.output import emit, emit_json, emit_report, paint, say
from oatie_ops.exit_codes import ExitCode

if TYPE_CHECKING:
    from oatie_ops.config.explain import Explanation
    from oatie_ops.config.issues import Issue
    from oatie_ops.config.load import Loaded
    from oatie_ops.config.show import Entry

CHECK_SCHEMA = "oatie.config.check/v1"
SHOW_SCHEMA = "oatie.config/v1"
EXPLAIN_SCHEMA = "oatie.config.explain/v1"
STYLES = {"error": "error", "warning": "warning", "note": "cyan"}

Environment = Annotated[
    str | None, typer.Option("--environment", "-e", metavar="NAME", help="As if this environment applied.")
]
EnvFile = Annotated[
    Path | None, typer.Option("--env-file", metavar="FILE", help="Read variables from this file too.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object with a stable shape.")]

app = typer.Typer(
    help="Check the configuration, show what applies and where it comes from, explain its keys.",
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("check")
def check(
    environment: Environment = None,
    env_file: EnvFile = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 where there are warnings.")] = False,
    json: Json = False,
) -> int:
    """Report every problem at once, with file:line:column.

    Exits 4 when something is wrong; warnings alone exit 0, or 3 with --strict.
    """
    from oatie_ops.config.issues import ERROR, WARNING, summary
    from oatie_ops.config.load import examine

    loaded = with_findings(examine(environment=environment, env_file=env_file))
    severities = {issue.severity for issue in loaded.issues}
    if json:
        emit_json(check_document(loaded))
    else:
        if loaded.issues:
            emit("\n\n".join(painted(issue) for issue in loaded.issues))
        name = loaded.file.name if loaded.file else "no configuration file; the defaults"
        say(f"{name}: {summary(loaded.issues) or 'nothing to complain about'}")
    if github.wanted():
        github.annotate_issues(issue.as_dict() for issue in loaded.issues)
    if ERROR in severities:
        return ExitCode.CONFIG_INVALID
    return ExitCode.DEGRADED if strict and WARNING in severities else ExitCode.OK


def with_findings(loaded: Loaded) -> Loaded:
    """Also what there is to say about its secrets; none is looked up."""
    if not loaded.unresolved:
        return loaded
    from oatie_ops.config.issues import ordered
    from oatie_ops.secrets.configured import findings

    return replace(loaded, issues=ordered([*loaded.issues, *findings(loaded)]))


def check_document(loaded: Loaded) -> dict[str, Any]:
    counts = [sum(issue.severity == severity for issue in loaded.issues) for severity in ("error", "warning")]
    return {
        "schema": CHECK_SCHEMA,
        "file": str(loaded.file) if loaded.file else None,
        "environment": loaded.settings.environment,
        "valid": counts[0] == 0,
        "errors": counts[0],
        "warnings": counts[1],
        "issues": [issue.as_dict() for issue in loaded.issues],
    }


def painted(issue: Issue) -> str:
    from oatie_ops.config.issues import render

    first, *rest = render(issue).split("\n")
    mark = f"{issue.severity}[{issue.code}]"
    first = first.replace(mark, paint(mark, STYLES[issue.severity], sys.stdout), 1)
    return "\n".join([first, *rest])


@app.command("show")
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Where each value comes from.")] = False,
    environment: Environment = None,
    env_file: EnvFile = None,
    json: Json = False,
) -> int:
    """Show every value that applies here; secrets are masked.

    What is wrong in the file is left out and told on stderr, with exit code 4.
    """
    from oatie_ops.config.issues import errors
    from oatie_ops.config.load import examine
    from oatie_ops.config.show import entries

    loaded = examine(environment=environment, env_file=env_file)
    found = entries(loaded)
    stores = stores_of(loaded, found)
    if json:
        emit_json(show_document(loaded, found, stores))
    else:
        emit("\n".join(show_lines(found, stores, origin=origin)))
        for issue in errors(loaded.issues):
            say(painted(issue))
    return ExitCode.CONFIG_INVALID if errors(loaded.issues) else ExitCode.OK


def stores_of(loaded: Loaded, found: Sequence[Entry]) -> dict[str, str]:
    """By key: the stores of secrets that will be asked for it."""
    if not loaded.unresolved:
        return {}
    from oatie_ops.secrets.configured import places

    asked = [(path, place) for path, place in places(loaded).items() if isinstance(place, str)]
    return {
        entry.key: place for entry in found for path, place in asked if path[: len(entry.path)] == entry.path
    }


def show_document(loaded: Loaded, found: Sequence[Entry], stores: Mapping[str, str]) -> dict[str, Any]:
    return {
        "schema": SHOW_SCHEMA,
        "root": str(loaded.settings.root),
        "file": str(loaded.file) if loaded.file else None,
        "environment": loaded.settings.environment,
        "profile": loaded.profile,
        "values": {
            entry.key: {
                "value": entry.value,
                "masked": entry.masked,
                "origin": entry.origin.as_dict(),
                "store": stores.get(entry.key),
            }
            for entry in found
        },
        "issues": [issue.as_dict() for issue in loaded.issues],
    }


def show_lines(found: Sequence[Entry], stores: Mapping[str, str], *, origin: bool) -> list[str]:
    lines = [(f"{entry.key} = {_toml(entry.value)}", entry) for entry in found]
    if not origin:
        return [text for text, _ in lines]
    width = min(60, max((len(text) for text, _ in lines), default=0))
    return [
        f"{text:<{width}}  {paint(_origin_text(entry, stores), 'dim', sys.stdout)}" for text, entry in lines
    ]


def _origin_text(entry: Entry, stores: Mapping[str, str]) -> str:
    text, below = entry.origin.describe(), entry.origin.overrides
    if entry.key in stores:
        text = f"{text}, at start from {stores[entry.key]}"
    return f"{text} (overrides {below.describe()})" if below else text


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(child)}" for key, child in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(child) for child in value) + "]"
    return jsonlib.dumps(value, ensure_ascii=False)


@app.command("schema")
def schema(
    json: Annotated[bool, typer.Option("--json", help="It is JSON in any case.")] = False,
) -> None:
    """Print the JSON Schema of oatie.toml, for editors."""
    from oatie_ops.config.schema import json_schema

    emit(jsonlib.dumps(json_schema(), indent=2, ensure_ascii=False))


@app.command("explain")
def explain(
    key: Annotated[str, typer.Argument(metavar="[KEY]", help="Such as app.drain, or services.")] = "",
    json: Json = False,
) -> None:
    """Explain a key, a table, or, without KEY, list all keys."""
    from oatie_ops.config import explain as explaining

    if not key:
        keys = explaining.all_keys()
        if json:
            listed = [{"name": name, "description": text} for name, text in keys]
            emit_json({"schema": EXPLAIN_SCHEMA, "keys": listed})
        else:
            emit_report("\n".join(table(("KEY", "MEANING"), keys)))
        return
    found = explaining.explain(key)
    if json:
        emit_json({"schema": EXPLAIN_SCHEMA, **found.as_dict()})
    else:
        emit_report("\n".join(explain_lines(found)))


def explain_lines(found: Explanation) -> list[str]:
    lines = [paint(found.key, "bold", sys.stdout)]
    if found.description:
        lines.append(f"  {found.description}")
    if found.variables:
        lines.append(f"  type      {found.type}")
        if found.default is not None:
            lines.append(f"  default   {_toml(found.default)}")
        lines.append(f"  variable  {', '.join(found.variables)}")
    if found.keys:
        lines += table(("  KEY", "MEANING"), [(f"  {name}", text) for name, text in found.keys])
    return lines
