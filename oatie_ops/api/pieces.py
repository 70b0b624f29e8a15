"""JSON about many services without holding up the event loop: some at a time, and others in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any

# About a millisecond.
MEMBERS_AT_ONCE = 10


async def json_of(head: Mapping[str, Any], name: str, members: Iterable[tuple[str, Any]]) -> bytes:
    """The object ``head`` with one more key, ``name``: the object of ``members``, which may be lazy."""
    pieces, waiting = [f"{_dumps(head)[:-1]}{',' if head else ''}{_dumps(name)}:{{"], list[str]()
    for key, member in members:
        waiting.append(f"{_dumps(key)}:{_dumps(member)}")
        if len(waiting) >= MEMBERS_AT_ONCE:
            pieces += [",".join(waiting), ","]
            waiting.clear()
            await asyncio.sleep(0)
    if waiting:
        pieces.append(",".join(waiting))
    elif len(pieces) > 1:
        pieces.pop()  # the comma after the last
    return "".join([*pieces, "}}"]).encode()


def _dumps(value: Any) -> str:
    """As Starlette's `JSONResponse`."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
