"""At a start, before the first worker: today's rules, and nothing that belongs to another boot."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from oatie_ops.degradation import bulletin as bulletins
from oatie_ops.degradation.page import Page, locked
from oatie_ops.paths import StatePaths


def install(paths: StatePaths, rules: Mapping[str, Mapping[str, Any]]) -> None:
    """``rules`` as `oatie_ops.degradation.rules.source_of` makes them.

    The store is opened only where the file cannot know what is in force: after a boot, or when it is gone.
    Raises `SwitchesUnusable`.
    """
    told_in = bulletins.path_of(paths.switches)
    page = Page.open(paths.switches)
    try:
        knows = page.of_this_boot and told_in.exists()
        with locked(paths.switches):
            told = bulletins.read(told_in)
            if dict(told.rules) != dict(rules):
                bulletins.write(told_in, told.with_(rules=dict(rules)))
                page.beat()
    finally:
        page.close()
    if knows:
        return
    if paths.database.exists():
        from oatie_ops.degradation.desk import Desk

        Desk(paths).refresh()
    # So that the next start knows, also where there is nothing to tell. A full disk costs it the short cut.
    with contextlib.suppress(OSError), locked(paths.switches):
        if not told_in.exists():
            bulletins.write(told_in, bulletins.Bulletin())
