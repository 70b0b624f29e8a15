"""What the configuration takes from stores of secrets: looked up when something is about to run, all at once.

Rotation: a value is as old as the start, deploy or reload that looked it up. What talks to a service itself,
and is refused, asks `Resolver.use` of `resolver` for one re-read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from oatie_ops.config.interpolate import references
from oatie_ops.config.issues import ERROR, NOTE, Issue, dotted
from oatie_ops.config.load import Loaded
from oatie_ops.config.spans import KeyPath
from oatie_ops.errors import OatieError
from oatie_ops.secrets import boundary
from oatie_ops.secrets.choice import from_settings
from oatie_ops.secrets.errors import SecretMalformed, SecretMissing
from oatie_ops.secrets.handover import checked_variable
from oatie_ops.secrets.reference import Reference, parse
from oatie_ops.secrets.resolve import Resolver
from oatie_ops.secrets.value import Secret
from oatie_ops.secrets.variants import MIN_CHARACTERS


@dataclass(frozen=True)
class Need:
    """One ``${name}`` without a value. ``optional``: where the stores do not have it, it stays without.

    ``by`` is what needs it, with its place.
    """

    name: str
    optional: bool
    by: str


@dataclass(frozen=True)
class Found:
    """``values`` by the name in ``${…}``; those of ``too_short`` cannot be recognised in output."""

    values: Mapping[str, str]
    too_short: tuple[str, ...]


def resolver(loaded: Loaded) -> Resolver:
    """The stores as ``[secrets]`` declares them. Raises `ReferenceInvalid`; reads nothing yet."""
    return from_settings(loaded.settings.secrets, root=loaded.settings.root, environ=loaded.outside)


def needs(loaded: Loaded, paths: Collection[KeyPath]) -> Iterator[Need]:
    """Of the unresolved values at ``paths``."""
    for path in paths:
        if path[:2] == ("app", "env"):
            checked_variable(str(path[2]))
        by = f"{dotted(path)} ({loaded.origin_at(path).describe()})"
        for reference in references(loaded.templates[dotted(path)]):
            if reference.is_secret:
                yield Need(reference.name, reference.default is not None, by)
            elif reference.default is None and reference.name not in loaded.outside:
                yield Need(reference.name, False, by)


def look_up(stores: Resolver, wanted: Iterable[Need]) -> Found:
    """Raises for the first that cannot be had, and tells of all the others."""
    boundary.install()
    needed: dict[str, list[Need]] = {}
    for need in wanted:
        needed.setdefault(need.name, []).append(need)
    values: dict[str, str] = {}
    failures: dict[str, OatieError] = {}
    for name, secret in zip(needed, _get_many(stores, list(needed)), strict=True):
        found = _text(secret, name) if isinstance(secret, Secret) else secret
        if isinstance(found, str):
            values[name] = found
        elif not (isinstance(found, SecretMissing) and all(need.optional for need in needed[name])):
            failures[name] = found
    if failures:
        raise _explained(failures, needed)
    short = tuple(name for name, value in values.items() if len(value.encode()) < MIN_CHARACTERS)
    return Found(values, short)


def _get_many(stores: Resolver, names: list[str]) -> list[Secret | OatieError]:
    parsed: list[Reference | OatieError] = []
    for name in names:
        try:
            parsed.append(parse(name) if ":" in name else Reference(None, name))
        except OatieError as error:
            parsed.append(error)
    found = iter(stores.get_many([item for item in parsed if isinstance(item, Reference)]))
    return [item if isinstance(item, OatieError) else next(found) for item in parsed]


def _text(secret: Secret, name: str) -> str | OatieError:
    """What ``${name}`` stands for; a binary secret, or one with a NUL, can stand in no text."""
    if not secret.is_binary and "\0" not in (text := secret.reveal()):
        return text
    return SecretMalformed(
        f"the secret `{name}` is binary",
        backend=parse(name).backend or "",
        name=name,
        why="a setting and an environment variable can hold text only",
        fix="store it as text (base64), or let the application read it from the store itself",
    )


def _explained(failures: Mapping[str, OatieError], needed: Mapping[str, list[Need]]) -> OatieError:
    first = next(iter(failures.values()))
    lines: list[str] = []
    for name, error in failures.items():
        users = [need.by for need in needed[name]]
        if error is first:
            lines += [f"needed by {user}" for user in users]
        else:
            why = f": {error.why}" if error.why else ""
            lines.append(f"also missing, for {', '.join(users)}: {error.what}{why}")
    first.details = (*first.details, *lines)
    return first


def places(loaded: Loaded) -> dict[KeyPath, str | OatieError]:
    """Where each unresolved value will come from: ``AWS Secrets Manager (eu-west-1)``. Reads nothing.

    What cannot be a reference has its error instead.
    """
    stores = resolver(loaded)
    found: dict[KeyPath, str | OatieError] = {}
    for path in loaded.unresolved:
        try:
            shown = [
                stores.place(need.name if ":" in need.name else Reference(None, need.name))
                for need in needs(loaded, [path])
            ]
            found[path] = ", ".join(dict.fromkeys(shown))
        except OatieError as error:
            found[path] = error
    return found


def findings(loaded: Loaded) -> list[Issue]:
    """For `oatie config check`: a note for each value that a store will give, an error where none can."""
    issues = []
    for path, place in places(loaded).items():
        key = dotted(path)
        origin = loaded.origin_at(path)
        where = (origin.file, origin.line, origin.column)
        source = "" if origin.file else origin.describe()
        if isinstance(place, OatieError):
            message = f"cannot be looked up: {place.what}: {place.why}"
            issues.append(Issue(ERROR, "bad-reference", key, message, *where, place.fix, source))
        else:
            message = f"is looked up at start in {place}"
            issues.append(Issue(NOTE, "secret", key, message, *where, source=source))
    return issues
