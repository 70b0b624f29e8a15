"""Which release a rollback goes to. Pure: what the store remembers in, a choice or a refusal out."""

from __future__ import annotations

import time
from collections.abc import Sequence

from oatie_ops.errors import OatieError
from oatie_ops.store import Release

MAX_LISTED = 15


def choose(releases: Sequence[Release], serving: int | None, wanted: str | None) -> int:
    """``wanted`` as typed, None for the last good release before the serving one.

    "Before" is meant by number, so that a second rollback goes further back instead of returning to what
    was just left; among those, the one that proved itself last wins, so that a release from which somebody
    rolled back is not the first choice. Raises `OatieError` with the list of releases.
    """
    if wanted is None:
        return _last_good_before(releases, serving).number
    chosen = next((release for release in releases if str(release.number) == wanted.removeprefix("v")), None)
    if chosen is None:
        raise _refusal(f"there is no release {wanted}", "it was never made here", releases, serving)
    if chosen.status != "good":
        raise _refusal(f"release {wanted} cannot be rolled back to", _why_not(chosen), releases, serving)
    return chosen.number


def _last_good_before(releases: Sequence[Release], serving: int | None) -> Release:
    good = [
        release
        for release in releases
        if release.status == "good" and (serving is None or release.number < serving)
    ]
    if not good:
        before = f"before release {serving}" if serving is not None else "here"
        raise _refusal(
            "there is nothing to roll back to", f"no good release is kept {before}", releases, serving
        )
    return max(good, key=lambda release: (release.good_at or 0.0, release.number))


def _why_not(release: Release) -> str:
    if release.status == "pruned":
        return "its files were pruned; [deploy] keep says how many releases are kept"
    if release.status == "bad":
        return f"it never became good{f': {release.note}' if release.note else ''}"
    return "its deploy has not ended"


def _refusal(what: str, why: str, releases: Sequence[Release], serving: int | None) -> OatieError:
    good = [release.number for release in releases if release.status == "good" and release.number != serving]
    fix = (
        f"choose one of them: `oatie rollback {good[0]}`"
        if good
        else "deploy a mended version: `oatie deploy`"
    )
    return OatieError(
        what,
        why=why,
        fix=fix,
        details=[line(release, serving) for release in releases[:MAX_LISTED]],
        data={"releases": [as_dict(release, serving) for release in releases]},
    )


def line(release: Release, serving: int | None) -> str:
    """``* 7  good  2025-08-01 12:00:03  3f2a1bc (dirty)  ada``; the star serves."""
    mark = "*" if release.number == serving else " "
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(release.created_at))
    note = f"  {release.note}" if release.note else ""
    return (
        f"{mark} {release.number:<4} {release.status:<8} {when}  {source(release):<18} {release.actor}{note}"
    )


def source(release: Release) -> str:
    commit = str(release.source.get("commit") or "")[:10]
    if not commit:
        return "unknown source"
    return f"{commit} (dirty)" if release.source.get("dirty") else commit


def as_dict(release: Release, serving: int | None) -> dict[str, object]:
    return {
        "number": release.number,
        "status": release.status,
        "serving": release.number == serving,
        "created_at": release.created_at,
        "good_at": release.good_at,
        "actor": release.actor,
        "source": release.source,
        "note": release.note,
    }
