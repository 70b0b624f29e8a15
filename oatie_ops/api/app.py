"""Makes the ops API: one FastAPI application, served to the network and on the owner's Unix socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from oatie_ops._version import __version__
from oatie_ops.api import health, problems
from oatie_ops.api.context import Deed, OpsContext
from oatie_ops.api.shield import Application, Shield
from oatie_ops.health.model import Clock, Snapshot, system_clock
from oatie_ops.supervisor.view import SupervisorView


@dataclass(frozen=True)
class OpsApps:
    """The same API twice: ``trusted`` belongs behind a socket that only the owner can open."""

    public: Application
    trusted: Application


def create_ops_app(
    view: SupervisorView,
    snapshot: Callable[[], Snapshot],
    *,
    audit: Callable[[Deed], None],
    hosts: Iterable[str] = (),
    clock: Clock = system_clock,
) -> OpsApps:
    """``hosts``: names to answer to besides loopback names, plain addresses and that of ``ops.listen``."""
    # The interactive documentation of FastAPI loads scripts from elsewhere; the description is enough.
    app = FastAPI(
        title="Oatie Ops",
        version=__version__,
        summary="Health of one application and of what it needs.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = OpsContext(view, snapshot, audit, clock)
    problems.install(app)
    app.include_router(health.router)
    app.add_api_route("/", _front, include_in_schema=False)
    own_name = view.settings.ops.listen.rpartition(":")[0].strip("[]")
    return OpsApps(
        public=Shield(app, trusted=False, hosts=[own_name, *hosts]), trusted=Shield(app, trusted=True)
    )


async def _front(_request: Request) -> Response:
    return RedirectResponse("/health/dashboard/html", 307)
