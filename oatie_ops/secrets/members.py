"""One member of a secret that is a JSON object, in exactly the form in which it was stored."""

from __future__ import annotations

import json
from typing import Any

from oatie_ops.secrets.errors import SecretError, SecretMalformed, SecretMissing
from oatie_ops.secrets.reference import Reference
from oatie_ops.secrets.value import Secret

_ABSENT = object()


class _Number(str):
    """A number as it is written: 1.10 stays 1.10."""

    __slots__ = ()


def member(secret: Secret, reference: Reference, place: str) -> Secret:
    """``reference.key`` of the document; text as it is, numbers as written, objects and lists as JSON.

    The whole key is tried first, then a dotted path. Raises `SecretMalformed` or `SecretMissing`.
    """
    document = _parsed(secret)
    if not isinstance(document, dict):
        raise _malformed(reference, place)
    found = _find(document, reference.key or "")
    if found is _ABSENT or found is None:
        raise _missing(document, reference, place)
    if isinstance(found, str):
        return Secret(str(found))
    if isinstance(found, bool):
        return Secret("true" if found else "false")
    return Secret(json.dumps(_plain(found)))


def _parsed(secret: Secret) -> Any:
    """None where it is no JSON. The error of the parser, which holds the text, must not get out."""
    try:
        return json.loads(secret.reveal(), parse_float=_Number, parse_int=_Number, parse_constant=_Number)
    except (ValueError, RecursionError):
        return None


def _find(document: Any, key: str) -> Any:
    if key in document:
        return document[key]
    found = document
    for part in key.split("."):
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return _ABSENT
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, _Number):
        return json.loads(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _malformed(reference: Reference, place: str) -> SecretError:
    return SecretMalformed(
        f"secret `{reference.name}` from {place} is no JSON object",
        backend=reference.backend or "",
        name=reference.name,
        why=f"its member `{reference.key}` was asked for",
        fix=f"store a JSON object in it, or refer to it without `#{reference.key}`",
    )


def _missing(document: dict[str, Any], reference: Reference, place: str) -> SecretError:
    names = ", ".join(sorted(document)[:20])
    return SecretMissing(
        f"secret `{reference.name}` from {place} has no member `{reference.key}`",
        backend=reference.backend or "",
        name=reference.name,
        why=f"its members are: {names}" if names else "it is an empty object",
        fix="correct the key, or add the member",
    )
