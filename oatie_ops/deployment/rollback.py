"""Which release a rollback goes to. Pure: what the store remembers in, a choice or a refusal out."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence

from oatie_ops.errors import OatieError
from oatie_ops.store import Release

MAX_LISTED = 15
COLUMNS = 80
COMMIT_CHARACTERS = 7
ROW = "{:<1} {:<7}  {:<8}  {:<16}  {:<15}  {}"
NOTE_INDENT = " " * 11


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
        fix = _choose_another(releases, serving)
        raise _refusal(f"there is no release {wanted}", "it was never made here", fix, releases, serving)
    if chosen.status != "good":
        raise _refusal(
            f"release {wanted} cannot be rolled back to",
            _why_not(chosen),
            _choose_another(releases, serving),
            releases,
            serving,
        )
    return chosen.number


def _last_good_before(releases: Sequence[Release], serving: int | None) -> Release:
    good = [
        release
        for release in releases
        if release.status == "good" and (serving is None or release.number < serving)
    ]
    if not good:
        older = f"older than release {serving}, which serves" if serving is not None else "kept here"
        newer = next((release.number for release in releases if release.status == "good"), serving)
        forward = (
            f"; `oatie rollback {newer}` goes forward to release {newer}"
            if newer not in (None, serving)
            else ""
        )
        raise _refusal(
            "there is nothing to roll back to",
            f"no good release is {older}",
            f"deploy a mended version: `oatie deploy`{forward}",
            releases,
            serving,
        )
    return max(good, key=lambda release: (release.good_at or 0.0, release.number))


def _why_not(release: Release) -> str:
    if release.status == "pruned":
        return "its files were pruned; [deploy] keep says how many releases are kept"
    if release.status == "bad":
        return f"it never became good{f': {release.note}' if release.note else ''}"
    return "its deploy has not ended"


def _refusal(what: str, why: str, fix: str, releases: Sequence[Release], serving: int | None) -> OatieError:
    return OatieError(
        what,
        why=why,
        fix=fix,
        details=listing(releases[:MAX_LISTED], serving) if releases else (),
        data={"releases": [as_dict(release, serving) for release in releases]},
    )


def _choose_another(releases: Sequence[Release], serving: int | None) -> str:
    if any(release.status == "good" and release.number != serving for release in releases):
        return "choose a good one of the list: `oatie rollback NUMBER`"
    return "there is no other good one: deploy a mended version with `oatie deploy`"


def listing(releases: Sequence[Release], serving: int | None) -> list[str]:
    """A table of at most 80 columns; the star serves, and below a release that is not good stands why."""
    lines = [ROW.format("", "RELEASE", "STATUS", "CREATED", "SOURCE", "BY")]
    for release in releases:
        lines += _rows(release, serving)
    return lines


def _rows(release: Release, serving: int | None) -> list[str]:
    mark = "*" if release.number == serving else " "
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(release.created_at))
    row = ROW.format(mark, release.number, release.status, when, source(release), release.actor).rstrip()
    row = row if len(row) <= COLUMNS else f"{row[: COLUMNS - 1]}…"
    if not release.note or release.status == "good":
        return [row]
    return [
        row,
        *textwrap.wrap(release.note, COLUMNS, initial_indent=NOTE_INDENT, subsequent_indent=NOTE_INDENT),
    ]


def source(release: Release) -> str:
    commit = str(release.source.get("commit") or "")[:COMMIT_CHARACTERS]
    if not commit:
        return "-"
    return f"{commit} (dirty)" if release.source.get("dirty") else commit


def as_dict(release: Release, serving: int | None) -> dict[str, object]:
    return {
        "release": str(release.number),
        "status": release.status,
        "serving": release.number == serving,
        "created_at": release.created_at,
        "good_at": release.good_at,
        "actor": release.actor,
        "source": release.source,
        "note": release.note,
    }
