"""Values that are secrets by their names or their looks, although no store gave them out: for the redactor.

A guess, so it errs both ways; what must stay hidden for certain comes from a store.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from oatie_ops.config.interpolate import references
from oatie_ops.config.layers import Source, leaves
from oatie_ops.config.masking import holds_credentials, is_sensitive_name, is_sensitive_path
from oatie_ops.config.spans import KeyPath

if TYPE_CHECKING:
    from oatie_ops.config.load import Loaded

_SWITCHES = frozenset(
    {"true", "false", "none", "null", "enabled", "disabled", "required", "optional", "auto"}
)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
# Of a number it is the end of the name that tells a PIN from a limit (TOKEN_COUNT).
_SECRET_END = re.compile(r"(passw(or)?d|passphrase|secret|token|key|pwd|pass|pin|salt)$", re.IGNORECASE)
_ALERT_ADDRESSES = ("webhook", "smtp")
# The fingerprint of a public key, which every image of Python carries.
_PUBLIC = frozenset({"GPG_KEY"})
# In the environment of a shell much has a sensitive name; a secret there is long and no plain word.
_MIN_INHERITED = 8


def sensitive_values(loaded: Loaded) -> list[str]:
    """From the configuration, from the variables that it names, and from all that the workers inherit."""
    found = [*_declared(loaded), *_referred(loaded), *_inherited(loaded.outside)]
    return list(dict.fromkeys(found))


def looks_secret(name: str, value: str) -> bool:
    if holds_credentials(value):
        return True
    return is_sensitive_name(name) and not _is_harmless(name, value)


def _declared(loaded: Loaded) -> Iterator[str]:
    settings = loaded.settings
    tables = {
        "app": {"env": settings.app.env},
        "services": {n: {"check": s.check, "recover": list(s.recover)} for n, s in settings.services.items()},
        "alerts": settings.alerts,
        "accessories": {n: {"env": a.env} for n, a in settings.accessories.items()},
        "switches": settings.switches,
    }
    for path, value in leaves(tables):
        if isinstance(value, str) and path not in loaded.unresolved and _is_secret(loaded, path, value):
            yield value


def _is_secret(loaded: Loaded, path: KeyPath, value: str) -> bool:
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    looks = (
        (path[0] == "alerts" and path[-1] in _ALERT_ADDRESSES)
        or holds_credentials(value)
        or (is_sensitive_path(path[1:]) and not _is_harmless(name, value))
    )
    return looks and loaded.origin_at(path).source is not Source.PROFILE


def _referred(loaded: Loaded) -> Iterator[str]:
    for key, template in loaded.templates.items():
        for reference in references(template):
            value = loaded.outside.get(reference.name)
            if value and any(looks_secret(name, value) for name in (reference.name, key)):
                yield value


def _inherited(outside: Mapping[str, str]) -> Iterator[str]:
    for name, value in outside.items():
        word = value.isascii() and value.isalpha() and value.islower()
        if len(value) >= _MIN_INHERITED and not word and name not in _PUBLIC and looks_secret(name, value):
            yield value


def _is_harmless(name: str, value: str) -> bool:
    text = value.strip()
    if text.lower() in _SWITCHES or text.startswith(("/", "./", "~/")) or "://" in text:
        return True
    return bool(_NUMBER.fullmatch(text)) and not _SECRET_END.search(name)
