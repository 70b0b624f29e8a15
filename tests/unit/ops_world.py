"""An ops API over ASGI, in front of a supervisor and a snapshot made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from oatie_ops.api.app import OpsApps, create_ops_app
from oatie_ops.api.context import Deed, OpsContext
from oatie_ops.api.tokens import token_hash
from oatie_ops.config.settings import OpsSettings, ServiceSettings, Settings
from oatie_ops.errors import OatieError
from oatie_ops.health.board import Board
from oatie_ops.health.model import CheckSpec, Instant, Result, Status
from oatie_ops.health.plan import plan
from oatie_ops.identity import ProcessIdentity
from oatie_ops.paths import StatePaths
from oatie_ops.performance.measured import Measured
from oatie_ops.recovery.ladder_supervised import supervised
from oatie_ops.traffic.totals import Totals

TOKEN = "a-long-and-random-token"
NOW = Instant(100.0, 1_700_000_000.0)
PROBES = ("/health", "/health/live", "/health/ready", "/health/startup")
DETAILS = (
    "/health/detailed",
    "/health/services",
    "/health/services/app",
    "/health/dashboard",
    "/health/dashboard/html",
)
RESTART = "/health/services/app/restart"
Use = Callable[[httpx.AsyncClient], Awaitable[None]]


@dataclass
class View:
    """A supervisor as the API sees it."""

    settings: Settings
    paths: StatePaths
    reloads: list[str] = field(default_factory=list)
    scalings: list[int | None] = field(default_factory=list)
    refusal: OatieError | None = None
    finish: asyncio.Event = field(default_factory=asyncio.Event)
    result: Mapping[str, Any] = field(default_factory=lambda: {"status": "reloaded"})

    def status(self) -> dict[str, Any]:
        return {
            "state": "running",
            "detail": "",
            "release": "7",
            "workers": [{"id": 1, "state": "serving", "pid": 42}],
            "app": {"name": "<b>shop</b>", "url": "http://localhost:8080"},
            "ops": {"url": "http://localhost:8000"},
        }

    def look_at_switches(self) -> dict[int, int]:
        return {}

    def measured(self) -> Measured | None:
        return None

    def traffic(self) -> Totals | None:
        return Totals(requests=7, errors=1, busy_seconds=0.5, buckets=(6, *[0] * 12, 1))

    def keep(self, processes: Iterable[ProcessIdentity]) -> None:
        """No command of a ladder runs in these tests."""

    async def restart_hard(self, actor: str) -> int:
        return 0

    async def scale(
        self, workers: int | None, actor: str, emit: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        self.scalings.append(workers)
        return {"event": "result", "status": "scaled", "workers": workers}

    async def reload(self, actor: str) -> dict[str, Any]:
        self.reloads.append(actor)
        if self.refusal is not None:
            raise self.refusal
        await self.finish.wait()
        return dict(self.result)


class Ops:
    """An ops API with its parts. ``db`` is a service that can be given any result."""

    def __init__(
        self,
        root: Path,
        listen: str = "127.0.0.1:8000",
        recover: tuple[Mapping[str, Any], ...] = (),
        *,
        public_details: bool = False,
    ) -> None:
        check = {"type": "tcp", "port": 1, "fall": 1, "rise": 1}
        services = {"db": ServiceSettings("db", check=check, recover=recover)}
        declared = OpsSettings(listen=listen, public_details=public_details)
        settings = Settings(root=root, services=services, ops=declared)
        self.view = View(settings, StatePaths(root / ".oatie"))
        self.view.paths.ensure()
        self.board = Board(plan(settings, root, supervised=True), NOW)
        self.deeds: list[Deed] = []
        self.context = OpsContext(
            self.view,
            lambda: self.board.snapshot,
            self.deeds.append,
            clock=lambda: NOW,
            recovery=supervised(self.view, lambda: self.board.snapshot, self.look, self.page),
        )
        self.context.meter.expect(self.board.snapshot)
        self.apps: OpsApps = create_ops_app(self.context)

    async def look(self, service: str) -> list[tuple[CheckSpec, Result]]:
        entries = self.board.snapshot.services[service].checks
        return [(entry.spec, entry.state.last or Result(Status.UNKNOWN, "")) for entry in entries]

    def page(self, channels: Collection[str], service: str, text: str) -> None:
        raise AssertionError("nobody is paged in these tests")

    def find(self, service: str, status: Status, output: str = "as measured") -> None:
        for entry in self.board.snapshot.services[service].checks:
            self.board.record(entry.spec, Result(status, output, 1.0, "percent", 0.1), NOW)

    def all_are(self, status: Status) -> None:
        for service in self.board.snapshot.services:
            self.find(service, status)

    @property
    def token_file(self) -> Path:
        return self.view.paths.run / "ops-tokens"

    def set_token(self, text: str = f"sha256:{token_hash(TOKEN)}", mode: int = 0o600) -> None:
        self.token_file.write_text(text + "\n")
        self.token_file.chmod(mode)

    def ask(self, use: Use, *, trusted: bool = False, host: str = "localhost:8000") -> None:
        async def main() -> None:
            app: Any = self.apps.trusted if trusted else self.apps.public
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
                await use(client)

        asyncio.run(main())

    def get(self, path: str, **options: Any) -> httpx.Response:
        answers: list[httpx.Response] = []
        headers = options.pop("headers", {})
        method = options.pop("method", "GET")
        body = options.pop("json", None)

        async def use(client: httpx.AsyncClient) -> None:
            answers.append(await client.request(method, path, headers=headers, json=body))

        self.ask(use, **options)
        return answers[0]
