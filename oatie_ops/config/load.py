"""One call from "this directory, this environment, these flags" to validated settings.

Importing this module needs the standard library only; pydantic comes in on a cache miss, where the file
has more than `oatie_ops.config.plain` knows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field, replace
from functools import partial
from pathlib import Path
from typing import Any

from oatie_ops.config import cache
from oatie_ops.config.apart import declare_apart
from oatie_ops.config.candidates import Candidate, Discovery
from oatie_ops.config.declared import Declared
from oatie_ops.config.finish import finish, resolved
from oatie_ops.config.inputs import ENVIRONMENT_FLAG, Inputs, find_environment
from oatie_ops.config.issues import (
    UNKNOWN_ENVIRONMENT,
    Issue,
    dotted,
    errors,
    headline,
    ordered,
    render,
    summary,
)
from oatie_ops.config.layers import DEFAULT, Origin
from oatie_ops.config.locate import Located, find_file, locate
from oatie_ops.config.settings import Settings
from oatie_ops.config.spans import KeyPath
from oatie_ops.errors import ConfigInvalid, UsageError
from oatie_ops.paths import read_regular
from oatie_ops.records import dataclass

__all__ = ["Loaded", "examine", "find_file", "load", "with_secrets"]


@dataclass(frozen=True)
class Loaded:
    """``issues`` are warnings and notes (and errors, from `examine`). ``origins`` goes by dotted key.

    ``discovery`` is what was found where the file names nothing to run, ``discovered`` what of it runs.
    ``templates`` has the ``${NAME}`` form of every value from outside; ``unresolved`` are the paths of
    those whose secret is yet to be looked up (`with_secrets`), and which still hold the template.
    ``outside`` are the variables of the environment and, behind them, those of the env file. ``remember``
    writes the declaration to the cache once there is a state directory, if that has not been done.
    """

    settings: Settings
    origins: Mapping[str, Origin]
    issues: tuple[Issue, ...]
    file: Path | None
    profile: str
    discovery: Discovery | None = None
    unresolved: tuple[KeyPath, ...] = ()
    templates: Mapping[str, str] = field(default_factory=dict)
    outside: Mapping[str, str] = field(default_factory=dict, repr=False)
    remember: Callable[[], object] = field(default=lambda: None, repr=False, compare=False)

    @property
    def discovered(self) -> Candidate | None:
        return self.discovery.chosen if self.discovery else None

    def origin(self, key: str) -> Origin:
        return self.origins.get(key, DEFAULT)

    def origin_at(self, path: KeyPath) -> Origin:
        """Of the value, or of the nearest list or table around it that has one."""
        around = (self.origins.get(dotted(path[:length])) for length in range(len(path), 0, -1))
        return next((origin for origin in around if origin is not None), DEFAULT)


def load(
    root: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    environment: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    env_file: Path | None = None,
    use_cache: bool = True,
    meanwhile: Callable[[], None] | None = None,
) -> Loaded:
    """The configuration of ``root`` (default: the current directory) or of a directory above it.

    ``environment`` is ``--environment``; ``overrides`` maps dotted keys to the values of flags, None for
    a flag that was not given; ``env_file`` is ``--env-file``. ``meanwhile`` is for a process without threads
    that lives long: pydantic then stays out of it, in another one, and this one calls that while it waits.
    Raises `ConfigInvalid` with every problem.
    """
    inputs = _gather(root, environ, environment, overrides, env_file)
    declared = cache.read(inputs) if use_cache else None
    if declared is None:
        declared = _declare_plainly(inputs)
        if declared is None and meanwhile is not None:
            declared = declare_apart(inputs, _declare, meanwhile)
        declared = declared or _declare(inputs)
        refuse(declared.issues)
        if use_cache and not cache.write(inputs, declared):
            return replace(_loaded(declared, inputs), remember=partial(cache.write, inputs, declared))
    return _loaded(declared, inputs)


def examine(
    root: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    environment: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    env_file: Path | None = None,
) -> Loaded:
    """Like `load`, but wrong keys are left out and told in ``issues`` instead of raised."""
    from oatie_ops.config.checkout import run_issues
    from oatie_ops.config.found import undecided_issues

    inputs = _gather(root, environ, environment, overrides, env_file)
    loaded = _loaded(_declare(inputs), inputs)
    more = [*run_issues(loaded.settings, loaded.origins), *undecided_issues(loaded.discovery)]
    return replace(loaded, issues=ordered([*loaded.issues, *more]))


def with_secrets(
    loaded: Loaded, reveal: Callable[[str], str | None], paths: Collection[KeyPath] | None = None
) -> Loaded:
    """The same with what was unresolved, or with the ``paths`` of that.

    ``reveal`` gets a name, or a reference such as ``aws:NAME#key``.
    """
    chosen = loaded.unresolved if paths is None else tuple(p for p in loaded.unresolved if p in paths)
    if not chosen:
        return loaded
    templates = {path: loaded.templates[dotted(path)] for path in chosen}
    left = tuple(path for path in loaded.unresolved if path not in chosen)
    return replace(loaded, settings=resolved(loaded.settings, templates, reveal), unresolved=left)


def _gather(
    root: Path | None,
    environ: Mapping[str, str] | None,
    environment: str | None,
    overrides: Mapping[str, Any] | None,
    env_file: Path | None,
) -> Inputs:
    environ = dict(os.environ if environ is None else environ)
    located = locate(root or Path.cwd())
    return Inputs(
        located=located,
        content=_content(located),
        environ=environ,
        environment=find_environment(environ, environment),
        overrides=dict(overrides or {}),
        env_file=None if env_file is None else env_file.absolute(),
    )


def _content(located: Located) -> bytes | None:
    if located.file is None:
        return None
    try:
        return read_regular(located.file)
    except OSError:
        return None


def _declare_plainly(inputs: Inputs) -> Declared | None:
    from oatie_ops.config.declare import declare_plainly

    return declare_plainly(inputs)


def _declare(inputs: Inputs) -> Declared:
    from oatie_ops.config.declare import declare

    return declare(inputs)


def _loaded(declared: Declared, inputs: Inputs) -> Loaded:
    finished = finish(declared, inputs)
    return Loaded(
        settings=finished.settings,
        origins=finished.origins,
        issues=ordered(finished.issues),
        file=inputs.located.file,
        profile=declared.profile,
        discovery=finished.discovery,
        unresolved=finished.unresolved,
        templates=finished.templates,
        outside={**(declared.env_file.values if declared.env_file else {}), **inputs.environ},
    )


def refuse(issues: Iterable[Issue]) -> None:
    """Raises `ConfigInvalid` with every error among them, or `UsageError` where a flag alone is wrong."""
    wrong = errors(issues)
    if not wrong:
        return
    if all(issue.code == UNKNOWN_ENVIRONMENT and issue.source == ENVIRONMENT_FLAG for issue in wrong):
        issue = wrong[0]
        what = f"{issue.where} {headline(issue)}"
        raise UsageError(what, fix=issue.hint, data={"issues": [issue.as_dict()]})
    raise ConfigInvalid(
        f"the configuration is not valid: {summary(wrong)}",
        details=[render(issue) for issue in wrong],
        fix="correct what is marked; `oatie config check` checks again without doing anything",
        data={"issues": [issue.as_dict() for issue in wrong]},
    )
