"""From the inputs to a validated declaration: layers, references, schema, rules. The slow path; with pydantic
where `oatie_ops.config.plain` does not do.

The declaration holds no value that came from outside: those are left as ``${NAME}`` and resolved by
`oatie_ops.config.finish`, so that it may be written to the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oatie_ops.config import plain, references, rules, sources
from oatie_ops.config.convert import json_ready, settings_to_dict, to_settings
from oatie_ops.config.declared import Declared
from oatie_ops.config.findings import Findings
from oatie_ops.config.inputs import Inputs, lookup
from oatie_ops.config.issues import ERROR, Issue, Problem, dotted, ordered
from oatie_ops.config.layers import Merged, Source, leaves, merge
from oatie_ops.config.references import Resolved
from oatie_ops.config.settings import Settings

# Tables by name, without what is wrong in them, and what is.
Validate = Callable[[Mapping[str, Any]], tuple[Mapping[str, Any], list[Problem]]]


def declare_plainly(inputs: Inputs) -> Declared | None:
    """Without pydantic; None where it takes that, or where there is anything to tell."""
    if not plain.may_be_plain(inputs):
        return None
    try:
        declared = _declare(inputs, lambda data: (plain.tables(data), []))
    except plain.NotPlainError:
        return None
    return None if declared.issues else declared


def declare(inputs: Inputs) -> Declared:
    """Never raises for what is wrong: that is left out and told in the issues."""
    from oatie_ops.config.validate import validate

    return _declare(inputs, validate)


def _declare(inputs: Inputs, validate: Validate) -> Declared:
    document = sources.read_document(inputs)
    findings = Findings(document, inputs.located.root)
    _check_rival(inputs, findings)
    name = sources.environment_name(inputs.environment, document, findings)
    profile = sources.profile_name(name, document, inputs.environment.profile)
    sources.check_overlay_heads(document, findings)
    env_file = sources.read_env_file(inputs, document, name, findings)
    layers = [sources.profile_layer(profile), document.layer(), document.overlay(name)]
    if env_file is not None:
        layers.append(sources.env_file_layer(env_file, document, findings))
    layers += [sources.environment_layer(inputs.environ, document, findings), sources.flag_layer(inputs)]
    merged = merge(layers)

    find = lookup(inputs.environ, env_file.values if env_file else {})
    resolved = references.resolve(
        merged, find, later=references.resolved_later(merged, inputs.environment.provider)
    )
    settings, problems = _validated(validate, resolved, merged, inputs, environment=name, profile=profile)
    for problem in problems:
        findings.at(problem, merged.origin(problem.path))
    for other in document.overlays():
        if other != name:
            _check_inactive_overlay(validate, inputs, findings, other)
    for problem in rules.plaintext_secrets(leaves(document.data)):
        findings.in_document(problem, problem.path)

    data = json_ready(settings_to_dict(settings))
    return Declared(
        data=data,
        templates=references.put_templates(data, resolved.templates),
        variables=references.referred(merged.data),
        env_file=env_file,
        profile=profile,
        origins={
            "environment": inputs.environment.origin,
            **{dotted(path): origin for path, origin in merged.origins.items()},
        },
        issues=ordered(findings.issues),
    )


def _check_rival(inputs: Inputs, findings: Findings) -> None:
    rival, file = inputs.located.rival, inputs.located.file
    if rival is not None and file is not None:
        what = f"[tool.oatie] in {rival.name} configures this directory too"
        findings.issues.append(Issue(ERROR, "two-files", "", what, file.name, hint="keep one of the two"))


def _validated(
    validate: Validate, resolved: Resolved, merged: Merged, inputs: Inputs, *, environment: str, profile: str
) -> tuple[Settings, list[Problem]]:
    tables, found = validate(resolved.data)
    located = inputs.located
    settings = to_settings(tables, root=located.root, path=located.file, environment=environment)
    problems = [*resolved.problems, *(p for p in found if not resolved.concerns_unknown(p.path))]
    return settings, [*problems, *rules.check(settings, merged.exact_origin, profile)]


def _check_inactive_overlay(validate: Validate, inputs: Inputs, findings: Findings, name: str) -> None:
    """What is wrong in the overlay of another environment is found before somebody deploys there."""
    document = findings.document
    profile = sources.profile_name(name, document, "local")  # where it will be, nobody knows
    merged = merge([sources.profile_layer(profile), document.layer(), document.overlay(name)])
    resolved = references.resolve(merged, lambda _: None, later=True)
    references.without(resolved.data, resolved.unknown)
    _, problems = _validated(validate, resolved, merged, inputs, environment=name, profile=profile)
    for problem in problems:
        origin = merged.origin(problem.path)
        if origin.source is Source.OVERLAY:
            findings.at(problem, origin)
