"""Which errors are the same one: a fingerprint of the exception's type and of the application's own frames.

Line numbers and messages are left out, so that a changed line above or another user's id makes no new group;
a message counts only where there is no frame at all, and then without what varies in it.
"""

from __future__ import annotations

import hashlib
import re
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType, TracebackType

from oatie_ops.records import dataclass

# A new way to group gets a new number, so that the old groups stay what they are.
VERSION = "1"
MAX_CHAIN, MAX_MEMBERS, MAX_FRAMES = 8, 3, 50

_VARYING = re.compile(
    r"""0x[0-9a-f]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|'[^']*'|"[^"]*"|[0-9a-f]{16,}|\d+""", re.I
)


@dataclass(frozen=True)
class Fingerprint:
    """``culprit``: "module:function" of the innermost frame that counts, "" where there is none."""

    key: str
    kind: str
    culprit: str


def fingerprint(error: BaseException) -> Fingerprint:
    parts: list[str] = [VERSION]
    culprit = ""
    for place, link in enumerate(_chain(error)):
        frames = _frames(link.__traceback__)
        own = [frame for frame in frames if frame[2]] or frames
        # A recursion gives the same group however deep it was.
        names = list(dict.fromkeys(f"{module}:{function}" for module, function, _ in own[-MAX_FRAMES:]))
        parts += [_name(link), *(names or [parameterised(_text(link))])]
        if place == 0 and names:
            culprit = f"{own[-1][0]}:{own[-1][1]}"
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()
    return Fingerprint(digest[:16], _name(error), culprit)


def of_words(kind: str, *words: str) -> Fingerprint:
    """For what is no exception, such as the end of a process."""
    digest = hashlib.sha256("\0".join([VERSION, kind, *words]).encode()).hexdigest()
    return Fingerprint(digest[:16], kind, "")


def parameterised(message: str) -> str:
    """Without numbers, ids and quoted words."""
    return _VARYING.sub("?", message[:2000])


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen and len(seen) < MAX_CHAIN:
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            yield from link.exceptions[:MAX_MEMBERS]
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _frames(trace: TracebackType | None) -> list[tuple[str, str, bool]]:
    """Module, function, and whether it is the application's own; outermost first."""
    found = []
    while trace is not None:
        frame: FrameType = trace.tb_frame
        code = frame.f_code
        module = str(frame.f_globals.get("__name__") or Path(code.co_filename).stem)
        found.append((module, code.co_qualname, in_app(code.co_filename)))
        trace = trace.tb_next
    return found


@cache
def in_app(filename: str) -> bool:
    """Not of the standard library, of an installed package, or of oatie itself."""
    if filename.startswith("<") or "site-packages" in filename or "dist-packages" in filename:
        return False
    return not filename.startswith(_foreign())


@cache
def _foreign() -> tuple[str, ...]:
    places = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    own = str(Path(__file__).parents[1])
    return tuple({own, *(place for place in places if place and place != sys.prefix)})


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception that cannot say what it is
        return ""


message_of = _text
