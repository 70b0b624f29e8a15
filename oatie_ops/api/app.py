"""Makes the ops API: one FastAPI application, served to the network and on the owner's Unix socket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from oatie_ops._version import __version__
from oatie_ops.api import degradation, health, history, metrics, problems, recovery
from oatie_ops.api.context import OpsContext
from oatie_ops.api.requests import Counted
from oatie_ops.api.shield import Application, Shield


@dataclass(frozen=True)
class OpsApps:
    """The same API twice: ``trusted`` belongs behind a socket that only the owner can open."""

    public: Application
    trusted: Application


def create_ops_app(context: OpsContext, *, hosts: Iterable[str] = ()) -> OpsApps:
    """``hosts``: names to answer to besides loopback names, plain addresses and that of ``ops.listen``."""
    # The interactive documentation of FastAPI loads scripts from elsewhere; the description is enough.
    app = FastAPI(
        title="Oatie Ops",
        version=__version__,
        summary="Health of one application and of what it needs.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    problems.install(app)
    rooms = (health, history, metrics, recovery, degradation)
    for room in rooms:
        app.include_router(room.router)
    app.state.routes = [route for room in rooms for route in room.router.routes]
    app.add_api_route("/", _front, include_in_schema=False)
    own_name = context.view.settings.ops.listen.rpartition(":")[0].strip("[]")
    counted = Counted(app, context.requests)
    return OpsApps(
        public=Shield(counted, trusted=False, hosts=[own_name, *hosts]), trusted=Shield(counted, trusted=True)
    )


async def _front(_request: Request) -> Response:
    return RedirectResponse("/health/dashboard/html", 307)
