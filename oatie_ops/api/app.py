"""Makes the ops API: one Starlette application, served to the network and on the owner's Unix socket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from oatie_ops.api import (
    degradation,
    description,
    docs,
    errors,
    health,
    history,
    metrics,
    performance,
    problems,
    recovery,
    scaling,
)
from oatie_ops.api.context import OpsContext
from oatie_ops.api.dashboard import act, assets, pages, signin
from oatie_ops.api.dashboard.hub import Hub
from oatie_ops.api.requests import Counted
from oatie_ops.api.routing import APIRouter, served
from oatie_ops.api.shield import Application, Shield

TITLE = "Oatie Ops"
SUMMARY = "Health of one application and of what it needs."
ABOUT = """\
Health, performance and recovery of one application, told and acted on by its supervisor.
Errors are problem documents (RFC 9457) with what went wrong, why, and how to fix it. Whatever changes
something needs a token or a session with the scope `operate`, or the owner's Unix socket, and is written to
the audit; reading needs the scope `read` where others than this machine can reach the API."""
TAGS = [
    {"name": "health", "description": "What works and what does not. The plain words need no token."},
    {"name": "history and maintenance", "description": "What changed when, and when failures are expected."},
    {"name": "metrics", "description": "For Prometheus."},
    {"name": "dashboard", "description": "The dashboard for people, and signing in to it."},
    {"name": "description", "description": "What you are reading."},
]


@dataclass(frozen=True)
class OpsApps:
    """The same API twice: ``trusted`` belongs behind a socket that only the owner can open."""

    public: Application
    trusted: Application


def create_ops_app(context: OpsContext, *, hosts: Iterable[str] = ()) -> OpsApps:
    """``hosts``: names to answer to besides loopback names, plain addresses and that of ``ops.listen``."""
    app = Starlette(routes=[*served(routers()), Route("/", _front, methods=["GET"])])
    app.state.context = context
    app.state.hub = Hub(context)
    problems.install(app)
    ops = context.view.settings.ops
    own_name = ops.listen.rpartition(":")[0].strip("[]")
    counted = Counted(app, context.requests)
    public = Shield(
        counted,
        trusted=False,
        hosts=[own_name, *ops.hosts, *hosts],
        origins=ops.cors_origins,
        refused=context.refusals.add,
    )
    return OpsApps(public, Shield(counted, trusted=True, refused=context.refusals.add))


def routers() -> list[APIRouter]:
    rooms = (
        health,
        history,
        metrics,
        recovery,
        errors,
        degradation,
        performance,
        scaling,
        pages,
        act,
        assets,
        signin,
        docs,
        description,
    )
    return [room.router for room in rooms]


async def _front(_request: Request) -> Response:
    return RedirectResponse("/health/dashboard/html", 307)
