"""What can be wrong with a wish to recover something."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches

from oatie_ops.errors import OatieError, UsageError
from oatie_ops.recovery.ladder import Ladder


class NoLadder(OatieError):
    """Nothing is declared that could repair it."""


def require_service(service: str, known: Collection[str]) -> None:
    """Raises `UsageError`."""
    if service in known:
        return
    near = get_close_matches(service, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"there is no service {service!r}", fix=f"{hint}there are: {', '.join(known)}")


def ladder_of(service: str, ladders: Mapping[str, Ladder]) -> Ladder:
    """Raises `NoLadder`."""
    if service in ladders:
        return ladders[service]
    raise NoLadder(
        f"nothing is declared that repairs {service}",
        why=f"[services.{service}] has no `recover`",
        fix=f'such as recover = [ {{ restart = "systemd:{service}" }} ] in oatie.toml; '
        "`oatie config explain services.NAME.recover` lists the keys",
    )


def require_rung(number: int, rungs: Sequence[object]) -> None:
    """Raises `UsageError`. A service without rungs is told so elsewhere."""
    if rungs and not 1 <= number <= len(rungs):
        raise UsageError(
            f"there is no rung {number}", fix=f"the ladder has rungs 1 to {len(rungs)}; --dry-run shows them"
        )
