"""``oatie detect``: where this is, layer by layer, with the evidence, and which applications are here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oatie_ops.cli.human import table
from oatie_ops.cli.output import emit_json, emit_report, paint, warn
from oatie_ops.errors import UsageError

if TYPE_CHECKING:
    from oatie_ops.config.candidates import Candidate, Discovery
    from oatie_ops.environment import Detection, Explanation
    from oatie_ops.environment.endpoints import ProbeResult
    from oatie_ops.environment.layers import SignalReport

SCHEMA = "oatie.detect/v1"


def command(
    json: Annotated[bool, typer.Option("--json", help="One JSON object with a stable shape.")] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Every signal, matched or not, and what it decided."),
    ] = False,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Also ask the clouds' metadata services, for 0.3 s at most."),
    ] = False,
    environment: Annotated[
        str | None,
        typer.Option("--environment", "-e", metavar="NAME", help="Say which environment applies."),
    ] = None,
) -> None:
    """Tell which environment this is, with the evidence.

    Nothing is asked over the network without --probe. $OATIE_ENVIRONMENT and --environment override what
    applies; what was detected is still shown. Exits 4 for a name that a deploy would refuse, too.
    """
    from oatie_ops.environment import EnvironmentDetector

    _check_name(environment)
    unknown = _unknown_environment(environment)
    explanation = EnvironmentDetector(environment=environment, probe=probe).explain()
    seen = _applications(Path.cwd())
    if json:
        emit_json(document(explanation, seen, explain=explain, probe=probe))
        return
    for warning in (*explanation.detection.warnings, *unknown):
        warn(warning)
    emit_report("\n".join(render(explanation, seen, explain=explain)))


def _check_name(environment: str | None) -> None:
    from oatie_ops.environment.profile import is_name

    if environment is not None and not is_name(environment):
        raise UsageError(
            f"--environment {environment!r} is not a name",
            why="a name starts with a letter or a digit and holds letters, digits, '.', '_' and '-'",
            fix="use production, staging, development, or the NAME of an [environments.NAME] table",
        )


def _unknown_environment(asked: str | None) -> list[str]:
    """What `oatie config check` says about the name; a likely typo of a flag raises `UsageError`.

    A name that is like none there is only gets a warning here: nothing is done by it, and whoever detects
    may ask before it is declared.
    """
    if asked is None and not os.environ.get("OATIE_ENVIRONMENT"):
        return []
    from oatie_ops.config.issues import UNKNOWN_ENVIRONMENT, headline
    from oatie_ops.config.load import examine, refuse

    found = [issue for issue in examine(environment=asked).issues if issue.code == UNKNOWN_ENVIRONMENT]
    if asked is not None:
        refuse(issue for issue in found if issue.hint.startswith("did you mean"))
    return [f"{issue.source} {headline(issue)}; {issue.hint}" for issue in found]


def _applications(root: Path) -> Discovery:
    from oatie_ops.config.discover import look

    return look(root)


def document(explanation: Explanation, seen: Discovery, *, explain: bool, probe: bool) -> dict[str, Any]:
    """The `--json` form: `signals` and the files only with `--explain`, `probes` only with `--probe`."""
    from oatie_ops.config.found import as_dict

    found: dict[str, Any] = {"schema": SCHEMA, **explanation.detection.to_dict()}
    found["applications"] = [candidate.as_dict() for candidate in seen.candidates]
    found["obstacles"] = [as_dict(obstacle) for obstacle in seen.obstacles]
    if probe:
        found["probes"] = [_probe(result) for result in explanation.probes]
    if explain:
        found["signals"] = [_signal(report) for report in explanation.signals]
        found["files_read"] = list(explanation.files_read)
        found["unreadable"] = list(explanation.unreadable)
    return found


def _probe(result: ProbeResult) -> dict[str, Any]:
    return {
        "provider": result.provider,
        "verified": result.verified,
        "outcome": result.outcome,
        "seconds": round(result.seconds, 4),
        "identity": dict(result.identity),
    }


def _signal(report: SignalReport) -> dict[str, Any]:
    return {
        "signal": report.signal,
        "weight": report.weight,
        "read": report.read,
        "claims": dict(report.claims),
        "matched": report.matched,
        "outcome": report.outcome,
    }


def render(explanation: Explanation, seen: Discovery, *, explain: bool) -> list[str]:
    """Lines for people: the answer first, then why."""
    found = explanation.detection
    lines = [f"{_bold('environment')}  {_environment(found)}", f"  {found.environment_why}", ""]
    lines += table(("LAYER", "VALUE", "CONFIDENCE", "EVIDENCE"), _layer_rows(found))
    lines += _block("identity", _pairs(found.identity))
    lines += _block("hints", [f"{name}: {', '.join(signals)}" for name, signals in found.hints.items()])
    lines += _block("metadata services", [_probe_line(result) for result in explanation.probes])
    lines += _block("applications in this directory", [_candidate_line(c) for c in seen.candidates])
    lines += _block("files that may hold an application", [obstacle.text for obstacle in seen.obstacles])
    if explain:
        lines += _explain_lines(explanation)
    return lines


def _environment(found: Detection) -> str:
    name = paint(found.environment, "green", sys.stdout)
    return f"{name} (overridden)" if found.override else name


def _layer_rows(found: Detection) -> list[tuple[str, str, str, str]]:
    from oatie_ops.environment.layers import LAYERS

    rows = [("os", found.os, "", "")]
    for layer in LAYERS:
        value = getattr(found, layer)
        evidence = found.evidence.get(layer, ())
        weights = {e.weight for e in evidence}
        confidence = "" if not evidence else ("high" if "proof" in weights else "low")
        rows.append((layer, value or "", confidence, "; ".join(e.read for e in evidence)))
    return rows


def _pairs(values: Mapping[str, str]) -> list[str]:
    width = max((len(key) for key in values), default=0)
    return [f"{key:<{width}}  {value}" for key, value in values.items()]


def _probe_line(result: ProbeResult) -> str:
    return f"{result.provider:<5}  {result.outcome} ({result.seconds * 1000:.0f} ms)"


def _candidate_line(candidate: Candidate) -> str:
    what = candidate.run or " ".join(candidate.command or ())
    return f"{what}  ({candidate.kind}; {candidate.evidence})"


def _block(title: str, lines: Iterable[str]) -> list[str]:
    indented = [f"  {line}" for line in lines]
    return ["", _bold(title), *indented] if indented else []


def _explain_lines(explanation: Explanation) -> list[str]:
    matched = [report for report in explanation.signals if report.matched]
    silent = [report for report in explanation.signals if not report.matched]
    lines = ["", _bold(f"signals that matched ({len(matched)} of {len(explanation.signals)})")]
    for report in matched:
        claims = ", ".join(f"{layer}={value}" for layer, value in report.claims.items())
        lines.append(f"  {report.weight:<7}  {report.signal}" + (f"  ({claims})" if claims else ""))
        lines += [f"           {report.read}", f"           -> {report.outcome}"]
    lines += ["", _bold("signals that did not match")]
    lines += [f"  {report.weight:<7}  {report.signal}: {report.read}" for report in silent]
    lines += _block("files looked at", explanation.files_read)
    lines += _block("files that may not be read", explanation.unreadable)
    return lines


def _bold(text: str) -> str:
    return paint(text, "bold", sys.stdout)
