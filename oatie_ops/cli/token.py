"""``oatie token``: the tokens by which programs and people prove themselves to the ops API."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from oatie_ops.cli.asked import refuse, seconds_of
from oatie_ops.cli.context import Context
from oatie_ops.cli.human import age, table
from oatie_ops.cli.output import emit, emit_json, say
from oatie_ops.errors import OatieError, UsageError

SCHEMA = "oatie.tokens/v1"
COLUMNS = ("NAME", "SCOPES", "AGE", "EXPIRES", "SHA-256")
SCOPES = ("read", "operate")

app = typer.Typer(
    help="Make, list and revoke the tokens that the ops API and the dashboard accept.",
    add_completion=False,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="One JSON object with a stable shape.")]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who it is for; the audit names it so.")],
    scope: Annotated[
        str,
        typer.Option(
            "--scope", metavar="read|operate", help="read: see details. operate: change things too."
        ),
    ] = "read",
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires", metavar="DURATION", help="How long it is valid, such as 90d; else for ever."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make a token, print it once, and keep only its hash.

    It is valid at once, without a restart. Nobody can show it again: whoever loses it gets another one.
    """
    from oatie_ops.api import token_file
    from oatie_ops.api.tokens import Scope

    if scope not in SCOPES:
        raise UsageError(f"there is no scope {scope!r}", fix="there are: read, operate")
    context, now = Context(), time.time()
    path = token_file.token_path(context.loaded.settings, context.paths)
    expires_at = None if expires is None else now + _seconds(expires)
    text = token_file.create(path, name, Scope[scope.upper()], now, expires_at)
    _audit(context, "token create", name, f"scope {scope}")
    if json:
        emit_json({"schema": SCHEMA, "name": name, "scope": scope, "token": text, "expires_at": expires_at})
        return
    emit(text)
    say(f"That is the token {name} (scope {scope}); only its hash was kept, in {path}.")
    say("Send it as `Authorization: Bearer TOKEN`, or sign in to the dashboard with it.")


@app.command("list")
def list_(json: Json = False) -> None:
    """List the tokens: names, scopes and hashes, never themselves."""
    from oatie_ops.api.token_file import token_path
    from oatie_ops.api.tokens import Scope, iso, read_tokens

    context, now = Context(), time.time()
    tokens = read_tokens(token_path(context.loaded.settings, context.paths))
    if json:
        rows = [
            {
                "name": token.label,
                "scopes": ["read"] if token.scope is Scope.READ else ["read", "operate"],
                "created_at": token.created_at,
                "expires_at": token.expires_at,
                "expired": token.expires_at is not None and token.expires_at <= now,
                "sha256": token.digest,
            }
            for token in tokens
        ]
        emit_json({"schema": SCHEMA, "tokens": rows})
        return
    if not tokens:
        say("There is no token; `oatie token create NAME` makes one.")
        return
    cells = [
        [
            token.label,
            "read" if token.scope is Scope.READ else "read, operate",
            age(now - token.created_at) if token.created_at else "",
            "never" if token.expires_at is None else _expiry(token.expires_at, now, iso),
            token.digest[:12],
        ]
        for token in tokens
    ]
    emit("\n".join(table(COLUMNS, cells)))


@app.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `oatie token list` shows it.")],
    json: Json = False,
) -> None:
    """Refuse a token from now on; sessions at the dashboard that it opened end too."""
    from oatie_ops.api import token_file

    context = Context()
    token = token_file.revoke(token_file.token_path(context.loaded.settings, context.paths), name)
    _audit(context, "token revoke", name, "")
    if json:
        emit_json({"schema": SCHEMA, "name": token.label, "revoked": True})
    else:
        emit(f"token {token.label} is revoked")


def _seconds(text: str) -> float:
    seconds = seconds_of("--expires", text, fix="such as 90d")
    refuse((seconds <= 0, "--expires must be more than 0", "such as 90d"))
    return seconds


def _expiry(at: float, now: float, iso: Any) -> str:
    return f"expired {iso(at)}" if at <= now else str(iso(at))


def _audit(context: Context, action: str, name: str, detail: str) -> None:
    """The change has happened; a store that cannot be written must not hide it."""
    from oatie_ops.deployment.who import who
    from oatie_ops.store import Store

    me = who()
    try:
        context.paths.ensure()
        with Store.open(context.paths.database) as store:
            store.audit.add(me.actor, me.origin, action, name, "done", detail)
    except OatieError as error:
        say(f"warning: the audit has no line about it: {error.what}")
