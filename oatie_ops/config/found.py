"""What is said, and what is refused, about an application that was found instead of configured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from oatie_ops.config.candidates import Candidate, Discovery, Obstacle
from oatie_ops.config.issues import ERROR, Issue
from oatie_ops.errors import ConfigInvalid

_MANY = 5
NAME_IT = 'name what runs in oatie.toml: [app] run = "MODULE:ATTRIBUTE"'


class Undecided(ConfigInvalid):
    """Nothing says what runs here, and what the files say cannot be told."""


class DemoInPlace(ConfigInvalid):
    """Nothing was found to run, and what serves is no demo that another may replace."""


def require_decided(discovery: Discovery | None) -> None:
    """Raises `Undecided` (exit 4) where to run anything would be a guess."""
    if discovery is None or discovery.chosen is not None:
        return
    raise undecided(discovery)


def undecided(discovery: Discovery) -> Undecided:
    first, *more = _by_weight(discovery.obstacles)
    return Undecided(
        "it cannot be told which application runs here",
        why=first.text,
        details=[obstacle.text for obstacle in more[:_MANY]],
        fix=f"{first.fix}, or {NAME_IT}",
        data={"obstacles": [as_dict(obstacle) for obstacle in (first, *more)]},
    )


def refuse_demo_in_place(of: str) -> DemoInPlace:
    """``of`` is what serves, such as ``release 3``."""
    return DemoInPlace(
        f"no application was found here, and the demo is not put in place of {of}",
        why=f"{of} is not the demo, and nothing in this directory looks like an application",
        fix=f'{NAME_IT}, or command = [...]; the demo itself is run = "oatie_ops.demo.app:app"',
    )


def undecided_issues(discovery: Discovery | None) -> Iterator[Issue]:
    """For ``config check``: what `require_decided` would refuse."""
    if discovery is None or discovery.chosen is not None:
        return
    for obstacle in _by_weight(discovery.obstacles)[:_MANY]:
        yield Issue(
            ERROR,
            "app-undecided",
            "app.run",
            f"is not set, and {obstacle.path} is in the way: {obstacle.what}",
            obstacle.path,
            obstacle.line,
            hint=f"{obstacle.fix}, or {NAME_IT}",
        )


def found_note(discovery: Discovery | None) -> list[str]:
    """What runs because it was found."""
    chosen = discovery.chosen if discovery else None
    if chosen is None:
        return []
    if chosen.kind == "demo":
        return ["no application was found here: the built-in demo runs"]
    return [f"found {chosen.what} ({chosen.evidence}); {_target(chosen)} in [app] of oatie.toml keeps it"]


def choice_notes(discovery: Discovery | None) -> list[str]:
    """That there was a choice: the other applications, and the files that could not be judged."""
    chosen = discovery.chosen if discovery else None
    if discovery is None or chosen is None:
        return []
    others = discovery.others
    if not others:
        return overlooked(discovery)
    picked = (
        f"{len(others) + 1} applications were found here and {chosen.what} was picked; "
        f"the {'other is' if len(others) == 1 else 'others are'} {_listed(others)}. "
        f"To choose: {_target(others[0])}, for example, in [app] of oatie.toml"
    )
    return [picked, *overlooked(discovery)]


def overlooked(discovery: Discovery) -> list[str]:
    return [f"not looked into: {obstacle.text}" for obstacle in _by_weight(discovery.obstacles)[:_MANY]]


def as_dict(obstacle: Obstacle) -> dict[str, str | int]:
    return {"file": obstacle.path, "line": obstacle.line, "what": obstacle.what, "fix": obstacle.fix}


def _listed(others: Iterable[Candidate]) -> str:
    shown = [f"{other.what} ({other.evidence})" for other in others]
    more = f", and {len(shown) - _MANY} more" if len(shown) > _MANY else ""
    return ", ".join(shown[:_MANY]) + more


def _target(candidate: Candidate) -> str:
    if candidate.run:
        return f'run = "{candidate.run}"'
    words = ", ".join(json.dumps(word, ensure_ascii=False) for word in candidate.command or ())
    return f"command = [{words}]"


def _by_weight(obstacles: Iterable[Obstacle]) -> list[Obstacle]:
    return sorted(obstacles, key=lambda obstacle: -obstacle.potential)
