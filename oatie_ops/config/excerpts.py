"""A line of the file to show beside a problem, with everything masked that might be a secret.

Whatever the operator put into the wrong place must not end up in a build log: only what is a valid or
nearly valid value of a key that holds no secret is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from oatie_ops.config.interpolate import masked
from oatie_ops.config.issues import Excerpt
from oatie_ops.config.masking import CLOSED_KINDS, MASK, is_plain, is_sensitive_name, is_sensitive_path
from oatie_ops.config.spans import KeyPath, Span

# Of a path in the document: is it a table or list (None), or may its value be shown?
Showable = Callable[[KeyPath], bool | None]

_QUANTITY = re.compile(r"-?\d[\d.]{0,6}\s?[A-Za-z]{0,7}", re.ASCII)
_IMPORT_STRING = re.compile(r"[a-z_][\w.]{0,60}:[A-Za-z_]\w{0,40}", re.ASCII)
_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_NAMING = {"needs", "auto", "degrade", "verify", "page", "restart"}
_BUILT_IN_NAMES = {"app", "system", "worker"}
_ARGUMENTS = {"command", "run", "release", "build"}
_SWITCH = {"true", "false", "yes", "no", "on", "off"}
_MAX_COLUMNS = 160


def value_excerpt(
    text: str, marked: tuple[int, int], spans: Mapping[KeyPath, Span], showable: Showable
) -> Excerpt:
    """The line that holds the offset ``marked[0]``."""
    start = text.rfind("\n", 0, marked[0]) + 1
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    hidden = []
    last = start
    for path, span in spans.items():
        if span.value_end <= start or span.value_start >= end:
            continue
        last = max(last, min(span.value_end, end))
        if showable(path) is False:
            hidden.append((max(span.value_start, start), min(span.value_end, end)))
    comment = text.find("#", last, end)  # it may hold yesterday's password
    return _masked(text, (start, end if comment < 0 else comment), hidden, marked)


def is_showable(path: KeyPath, value: Any, names: Iterable[str]) -> bool:
    """``names`` are those that the file itself gives to its services and alerts."""
    from oatie_ops.config.catalogue import catalogue

    known = catalogue()
    settings_path = path[2:] if path[:1] == ("environments",) else path
    if isinstance(value, str) and _REFERENCE.fullmatch(value):
        return True
    node = known.node(settings_path)
    kind = known.kind(node) if node is not None else ""
    if node is not None and known.is_sensitive(node):
        return False
    if is_sensitive_path(settings_path[1:]) and kind not in CLOSED_KINDS:
        return False
    if isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return abs(value) < 10**6
    if not isinstance(value, str) or node is None:
        return False
    if is_plain(value) and not _ARGUMENTS.intersection(settings_path):
        return True
    if kind == "choice":
        from oatie_ops.config.validate import MEANT

        return value.lower() in MEANT or bool(
            get_close_matches(value.lower(), known.choices(node), n=1, cutoff=0.6)
        )
    if kind in ("duration", "size", "integer", "number", "boolean"):
        return value.lower() in _SWITCH or bool(_QUANTITY.fullmatch(value))
    if _NAMING.intersection(part for part in settings_path[2:] if isinstance(part, str)):
        return value in _BUILT_IN_NAMES or bool(get_close_matches(value, list(names), n=1, cutoff=0.6))
    return settings_path == ("app", "run") and bool(_IMPORT_STRING.fullmatch(value))


def syntax_excerpt(text: str, offset: int) -> Excerpt:
    """Nothing is known about this line but how it looks, so a value must look harmless to be shown."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    key, equals, value = text[start:end].partition("=")
    bare = value.strip()
    harmless = bare.lower() in _SWITCH or _QUANTITY.fullmatch(bare) or _IMPORT_STRING.fullmatch(bare)
    hidden = []
    if (
        equals
        and bare
        and (not harmless or is_sensitive_name(key.strip()) or _in_sensitive_table(text[:start]))
    ):
        hidden.append((end - len(value.lstrip()), end))
    elif not equals and not key.lstrip().startswith("["):
        hidden.append((start, end))  # the middle of a string, perhaps
    return _masked(text, (start, end), hidden, (offset, offset + 1))


def _in_sensitive_table(before: str) -> bool:
    headers = re.findall(r"^\s*\[+([^\]\n]*)\]", before, re.MULTILINE)
    return bool(headers) and re.search(r"\benv\b|headers|secrets|alerts", headers[-1]) is not None


def _masked(
    text: str, line: tuple[int, int], hidden: list[tuple[int, int]], marked: tuple[int, int]
) -> Excerpt:
    start, end = line
    shown, at = "", start
    columns: list[tuple[int, int, int]] = []  # (offset, column there, 1 where columns follow offsets)
    for first, last in [*sorted(hidden), (end, end)]:
        low, high = max(first, at), min(max(last, at), end)
        columns.append((at, len(shown), 1))
        shown += text[at:low]
        columns.append((low, len(shown), 0))
        if high > low:
            shown += _mask(text[low:high])
        at = high

    def column(offset: int) -> int:
        base, where, follows = [entry for entry in columns if entry[0] <= offset][-1]
        return where + (offset - base) * follows

    caret = column(marked[0])
    after = column(marked[1]) if marked[1] <= end else len(shown)
    return _cut(shown.rstrip(), caret + 1, max(1, after - caret))


def _mask(written: str) -> str:
    quote = written[0] if written[0] in "\"'" else ""
    inside = written.strip(quote) if quote else written
    return f"{quote}{masked(inside, MASK)}{quote}"


def _cut(shown: str, caret: int, length: int) -> Excerpt:
    """A window around the caret of a line that is too long for any terminal."""
    if len(shown) <= _MAX_COLUMNS:
        return Excerpt(shown, caret, length)
    first = max(0, caret - 1 - _MAX_COLUMNS // 2)
    lead = "…" if first else ""
    window = shown[first : first + _MAX_COLUMNS]
    return Excerpt(f"{lead}{window}…", caret - first + len(lead), length)
