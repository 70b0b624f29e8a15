"""``${NAME}`` and ``${NAME:-default}`` in the strings of the file; ``$${`` stands for ``${``.

``${aws:NAME#key}`` and its like (`SECRET_SCHEMES`) name a secret, which is looked up when it is needed.
Kept apart from validation so that a value that came from outside (often a secret) never has to be
written anywhere: the cache and the manifest of a release hold the template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from oatie_ops.records import dataclass

Lookup = Callable[[str], str | None]

SECRET_SCHEMES = ("env", "file", "aws", "gcp", "azure")

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_INSIDE = re.compile(
    rf"([A-Za-z_][A-Za-z0-9_]*|(?:{'|'.join(SECRET_SCHEMES)}):[^-].*?)(?::-(.*))?", re.DOTALL
)


@dataclass(frozen=True)
class Reference:
    name: str
    default: str | None
    start: int  # offset in the text
    malformed: bool = False

    @property
    def is_secret(self) -> bool:
        return ":" in self.name


def references(text: str) -> Iterator[Reference]:
    for match in _REFERENCE.finditer(text):
        if match[0] == "$${":
            continue
        inside = _INSIDE.fullmatch(match[1])
        if inside is None or not match[2]:
            yield Reference("", None, match.start(), malformed=True)
        else:
            yield Reference(inside[1], inside[2], match.start())


def has_reference(value: object) -> bool:
    return isinstance(value, str) and "${" in value


def expand(text: str, lookup: Lookup) -> str:
    """What cannot be resolved stays as it is written, so that a later source (a vault) can resolve it."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        inside = _INSIDE.fullmatch(match[1]) if match[2] else None
        if inside is None:
            return match[0]
        value = lookup(inside[1])
        if inside[2] is not None and not value:  # as in a shell: an empty value takes the default too
            return inside[2]
        return match[0] if value is None else value

    return _REFERENCE.sub(replace, text)


def missing(text: str, lookup: Lookup) -> tuple[str, ...]:
    """Names without a value and without a default, in order, each once."""
    names = (r.name for r in references(text) if not r.malformed and r.default is None)
    return tuple(dict.fromkeys(name for name in names if lookup(name) is None))


def is_unresolved(text: str, lookup: Lookup) -> bool:
    """Is there a reference in it that only a store of secrets can resolve?"""
    return bool(missing(text, lookup)) or any(reference.is_secret for reference in references(text))


def masked(text: str, mask: str) -> str:
    """The references alone: text around them and defaults may be secrets."""
    parts, end = [], 0
    for match in _REFERENCE.finditer(text):
        parts.append(mask if text[end : match.start()] else "")
        inside = _INSIDE.fullmatch(match[1]) if match[0] != "$${" else None
        default = f":-{mask}" if inside and inside[2] else ""
        parts.append(f"${{{inside[1]}{default}}}" if inside else mask)
        end = match.end()
    return "".join([*parts, mask if text[end:] else ""])
