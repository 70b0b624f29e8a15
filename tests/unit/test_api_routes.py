"""The ops API's answers, over ASGI, from snapshots made by hand."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from oatie_ops.api import models
from oatie_ops.api.app import OpsApps, create_ops_app
from oatie_ops.api.context import Deed, OpsContext
from oatie_ops.api.examples import EXAMPLES
from oatie_ops.api.tokens import token_hash
from oatie_ops.config.settings import OpsSettings, ServiceSettings, Settings
from oatie_ops.errors import Locked, OatieError
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


@pytest.fixture
def ops(tmp_path: Path) -> Ops:
    return Ops(tmp_path)


# --- reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "health", "ready"),
    [(Status.PASS, 200, 200), (Status.WARN, 200, 200), (Status.FAIL, 503, 503)],
)
def test_status_codes_follow_the_health(ops: Ops, word: Status, health: int, ready: int) -> None:
    ops.all_are(word)
    for path in ("/health", "/health/detailed", "/health/services", "/health/services/app"):
        answer = ops.get(path)
        assert (answer.status_code, answer.json()["status"]) == (health, word.value)
    assert ops.get("/health/ready").status_code == ready
    assert ops.get("/health/dashboard").status_code == 200
    assert ops.get("/health/dashboard/html").status_code == 200


def test_unknown_is_no_failure_but_gets_no_traffic(ops: Ops) -> None:
    assert ops.get("/health").json() == {"status": "unknown"}
    assert ops.get("/health").status_code == 200
    assert ops.get("/health/ready").status_code == 503
    assert ops.get("/health/startup").status_code == 503


def test_liveness_does_not_care_about_anything_that_fails(ops: Ops) -> None:
    ops.all_are(Status.FAIL)
    assert (ops.get("/health/live").status_code, ops.get("/health/live").json()) == (200, {"status": "pass"})


def test_service_that_the_application_does_not_need_leaves_it_ready(ops: Ops) -> None:
    ops.all_are(Status.PASS)
    ops.find("db", Status.FAIL)
    assert ops.get("/health").status_code == 503
    assert ops.get("/health/ready").status_code == 200


def test_public_words_hold_no_detail(ops: Ops) -> None:
    ops.all_are(Status.PASS)
    ops.find("db", Status.FAIL, "10.1.2.3 refuses user app")
    for path in PROBES:
        assert set(ops.get(path).json()) == {"status"}


def test_answers_have_the_shapes_that_the_description_promises(ops: Ops) -> None:
    ops.all_are(Status.WARN)
    models.Detailed.model_validate(ops.get("/health/detailed").json())
    models.Services.model_validate(ops.get("/health/services").json())
    models.Service.model_validate(ops.get("/health/services/db").json())
    models.Dashboard.model_validate(ops.get("/health/dashboard").json())
    models.Problem.model_validate(ops.get("/health/services/nobody").json())


def test_draft_shape_is_given_to_whom_asks_for_it(ops: Ops) -> None:
    ops.all_are(Status.PASS)
    ops.find("db", Status.WARN, "slow")
    answer = ops.get("/health/detailed", headers={"Accept": "application/health+json"})
    assert answer.headers["content-type"] == "application/health+json"
    body = answer.json()
    assert (body["status"], body["releaseId"], body["output"]) == ("warn", "7", "db: slow")
    assert body["checks"]["db:tcp"] == [
        {
            "componentId": "db",
            "componentType": "component",
            "status": "warn",
            "time": "2023-11-14T22:13:20.000Z",
            "observedValue": 1.0,
            "observedUnit": "percent",
            "output": "slow",
        }
    ]
    assert "output" not in body["checks"]["app:workers"][0]
    brief = ops.get("/health", headers={"Accept": "application/health+json"})
    assert brief.headers["content-type"] == "application/health+json"


def test_worst_cause_comes_first(ops: Ops) -> None:
    ops.all_are(Status.WARN)
    ops.find("db", Status.FAIL, "refused")
    assert ops.get("/health/detailed").json()["cause"] == "db: refused"


def test_head_is_answered_like_get_without_a_body(ops: Ops) -> None:
    ops.all_are(Status.FAIL)
    answer = ops.get("/health", method="HEAD")
    assert (answer.status_code, answer.content) == (503, b"")


def test_nothing_is_cached_or_framed_or_sniffed(ops: Ops) -> None:
    for path in (*PROBES, *DETAILS, "/nowhere", "/openapi.json"):
        headers = ops.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/health/services/nobody", 404),
        ("GET", "/health/operations/none", 404),
        ("DELETE", "/health", 405),
        ("POST", "/health/detailed", 405),
        ("GET", "/redoc", 404),
    ],
)
def test_every_error_is_a_problem_document(ops: Ops, method: str, path: str, status: int) -> None:
    answer = ops.get(path, method=method)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert models.Problem.model_validate(answer.json()).status == status


def test_defect_is_told_without_its_inside(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> dict[str, Any]:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(ops.view, "status", broken)
    answer = ops.get("/health/dashboard")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_page_escapes_what_comes_from_outside_and_holds_no_script(ops: Ops) -> None:
    ops.all_are(Status.PASS)
    ops.find("db", Status.FAIL, "<script>alert(1)</script>\"'")
    answer = ops.get("/health/dashboard/html")
    scripts = re.findall("<script[^>]*>[^<]*", answer.text)
    assert len(scripts) == 1
    assert re.fullmatch(
        r'<script type="module" src="/health/dashboard/assets/[0-9a-f]{12}/app.js">', scripts[0]
    )
    assert not re.search(r"\son\w+=|\sstyle=|<style", answer.text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "<b>shop" not in answer.text
    assert "failing" in answer.text
    assert 'http-equiv="refresh" content="30"' in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy


def test_page_shows_the_worst_first(ops: Ops) -> None:
    ops.all_are(Status.PASS)
    ops.find("db", Status.FAIL, "refused")
    page = ops.get("/health/dashboard/html").text
    rows = re.findall(r'<tr id="svc-\d" data-name="(\w+)">', page)
    assert rows == ["db", "app", "system"]


def test_front_door_leads_to_the_dashboard(ops: Ops) -> None:
    assert ops.get("/").headers["location"] == "/health/dashboard/html"


# --- who may ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "localhost:8000",
        "LOCALHOST",
        "127.0.0.1:8000",
        "[::1]:8000",
        "app.localhost",
        "10.0.0.5",
        "localhost.",
    ],
)
def test_own_names_and_plain_addresses_are_answered(ops: Ops, host: str) -> None:
    assert ops.get("/health/detailed", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost:80:80",
        "",
        "[::1",
        "a b",
    ],
)
def test_name_of_another_site_is_refused_but_for_the_plain_words(ops: Ops, host: str) -> None:
    for path in DETAILS:
        answer = ops.get(path, headers={"Host": host})
        assert answer.status_code == 421
        assert models.Problem.model_validate(answer.json()).status == 421
    for path in PROBES:
        assert ops.get(path, headers={"Host": host}).status_code != 421


def test_name_in_ops_listen_is_our_own(tmp_path: Path) -> None:
    ops = Ops(tmp_path, listen="ops.example:8000")
    ops.set_token()
    headers = {"Host": "ops.example:8000", "Authorization": f"Bearer {TOKEN}"}
    assert ops.get("/health/detailed", headers=headers).status_code == 200


def test_details_need_a_token_where_others_can_reach_us(tmp_path: Path) -> None:
    ops = Ops(tmp_path, listen="0.0.0.0:8000")
    ops.set_token()
    for path in DETAILS:
        assert ops.get(path).status_code == 401
        assert ops.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert ops.get(path, trusted=True).status_code == 200
    page = ops.get("/health/dashboard/html")
    assert "Sign in to the dashboard" in page.text
    assert "<table" not in page.text
    for path in PROBES:
        assert ops.get(path).status_code != 401


def test_everybody_is_told_why_only_where_that_was_declared(tmp_path: Path) -> None:
    for told in (False, True):
        ops = Ops(tmp_path / str(told), listen="0.0.0.0:8000", public_details=told)
        ops.find("db", Status.FAIL, "no route to 10.0.0.7")
        answers = [ops.get(path) for path in PROBES]
        assert any("10.0.0.7" in answer.text for answer in answers) is told
        assert {answer.json().keys() == {"status"} for answer in answers} == ({True} if not told else {False})
        assert ops.get("/health/services/db").status_code == (503 if told else 401)
        assert ops.get(RESTART, method="POST").status_code == 401


RESTART = "/health/services/app/restart"


@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong-token-of-some-length", "Basic YTpi", "Bearer", f"bearer{TOKEN}"]
)
def test_change_without_the_right_token_is_refused(ops: Ops, authorization: str | None) -> None:
    ops.set_token()
    headers = {"Authorization": authorization} if authorization else {}
    answer = ops.get(RESTART, method="POST", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert ops.view.reloads == []


def test_without_any_token_set_up_the_answer_says_how(ops: Ops) -> None:
    answer = ops.get(RESTART, method="POST", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 401
    assert "ops.token_file" in answer.json()["fix"]
    assert str(ops.token_file.parent) not in answer.text


@pytest.mark.parametrize("text", [f"sha256:{token_hash(TOKEN)}", TOKEN, f"# mine\n\n{TOKEN}"])
def test_token_from_the_file_is_accepted_at_once(ops: Ops, text: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert ops.get(RESTART, method="POST", headers=headers).status_code == 401
    ops.set_token(text)
    ops.view.finish.set()
    assert ops.get(RESTART, method="POST", headers=headers).status_code == 202
    ops.set_token("sha256:" + "0" * 64)
    assert ops.get(RESTART, method="POST", headers=headers).status_code == 401


@pytest.mark.parametrize(("text", "mode"), [(TOKEN, 0o644), (TOKEN, 0o660), ("tiny-token", 0o600)])
def test_unsafe_token_file_is_not_used_and_never_quoted(ops: Ops, text: str, mode: int) -> None:
    ops.set_token(text, mode)
    answer = ops.get(RESTART, method="POST", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 503
    assert text not in answer.text
    assert ops.view.reloads == []


def test_missing_client_address_earns_no_trust(ops: Ops) -> None:
    """A connection that is reset at once has no peer address, exactly as one over a Unix socket."""

    async def main() -> int:
        started: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                started.append(message["status"])

        scope = {
            "type": "http",
            "method": "POST",
            "path": RESTART,
            "raw_path": RESTART.encode(),
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "client": None,
            "oatie.trusted": True,
        }
        await ops.apps.public(scope, receive, send)
        return started[0]

    assert asyncio.run(main()) == 401
    assert ops.view.reloads == []


# --- restart ------------------------------------------------------------------------------------------


def test_what_the_owner_may_not_do_is_audited_too(ops: Ops) -> None:
    assert (
        ops.get("/health/services/nope/restart?reason=oops", method="POST", trusted=True).status_code == 404
    )
    assert ops.get("/health/services/nope", trusted=True).status_code == 404
    told = [(deed.actor, deed.origin, deed.subject, deed.result, deed.detail) for deed in ops.deeds]
    [(actor, origin, subject, result, detail)] = told
    assert (actor, origin, result) == ("owner", "control socket", "refused 404")
    assert (subject, detail) == ("POST /health/services/nope/restart", "there is no such service (oops)")


def test_restart_is_accepted_followed_and_audited(ops: Ops) -> None:
    async def use(client: httpx.AsyncClient) -> None:
        accepted = await client.post(RESTART, params={"reason": "new\nconfig"})
        assert accepted.status_code == 202
        where = accepted.headers["location"]
        assert (await client.get(where)).json()["state"] == "running"
        again = await client.post(RESTART)
        assert again.json()["id"] == accepted.json()["id"]
        ops.view.finish.set()
        while (await client.get(where)).json()["state"] == "running":
            await asyncio.sleep(0)
        assert (await client.get(where)).json()["state"] == "succeeded"

    ops.ask(use, trusted=True)
    assert ops.view.reloads == ["owner (new config)"]
    assert [(deed.actor, deed.action, deed.subject) for deed in ops.deeds] == [
        ("owner", "restart", "app")
    ] * 3
    assert ops.deeds[0].detail == "new\nconfig"
    assert ops.deeds[-1].result == "succeeded"


def test_failed_restart_tells_why(ops: Ops) -> None:
    ops.view.finish.set()
    ops.view.result = {"status": "failed", "error": {"what": "worker 3 is not ready", "why": "503"}}

    async def use(client: httpx.AsyncClient) -> None:
        where = (await client.post(RESTART)).headers["location"]
        while (await client.get(where)).json()["state"] == "running":
            await asyncio.sleep(0)
        ended = (await client.get(where)).json()
        assert (ended["state"], ended["error"]["what"]) == ("failed", "worker 3 is not ready")

    ops.ask(use, trusted=True)
    assert ops.deeds[-1].detail == "worker 3 is not ready"


def test_restart_that_is_refused_at_once_is_a_conflict(ops: Ops) -> None:
    ops.view.refusal = Locked("another switch is under way", why="release 8 is being baked")
    answer = ops.get(RESTART, method="POST", trusted=True)
    assert answer.status_code == 409
    assert (answer.json()["code"], answer.json()["why"]) == ("locked", "release 8 is being baked")


@pytest.mark.parametrize(("service", "status"), [("db", 409), ("nobody", 404)])
def test_what_cannot_be_restarted_says_so(ops: Ops, service: str, status: int) -> None:
    answer = ops.get(f"/health/services/{service}/restart", method="POST", trusted=True)
    assert answer.status_code == status


def test_too_long_a_reason_is_refused_without_repeating_it(ops: Ops) -> None:
    answer = ops.get(f"{RESTART}?reason={'x' * 501}", method="POST", trusted=True)
    assert answer.status_code == 422
    assert "xxx" not in answer.text


def test_description_covers_every_path_and_its_problems(ops: Ops) -> None:
    described = ops.get("/openapi.json").json()
    assert set(described["paths"]) == {
        *PROBES,
        "/health/detailed",
        "/health/services",
        "/health/services/{service}",
        "/health/services/{service}/restart",
        "/health/services/{service}/heartbeat",
        "/api/performance/resources/current",
        "/api/performance/resources/trends",
        "/api/performance/startup/stats",
        "/api/performance/startup/profile",
        "/api/performance/startup/profile/{profile_id}/checkpoint",
        "/api/performance/startup/profile/{profile_id}/finish",
        "/api/performance/overview",
        "/api/performance/scaling/recommendations",
        "/api/performance/scaling/configuration",
        "/api/performance/scaling/apply",
        "/health/operations/{operation}",
        "/health/history",
        "/health/maintenance",
        "/health/metrics",
        "/api/performance/errors/services/{service}/recover",
        "/api/performance/errors/recovery",
        "/api/performance/errors/summary",
        "/api/performance/errors/services",
        "/api/performance/errors/recovery/history",
        "/health/dashboard",
        "/health/dashboard/html",
        "/api/performance/errors/degradation/status",
        "/api/performance/errors/services/{service}/degrade",
        "/api/performance/errors/services/{service}/restore",
        "/health/dashboard/brief",
        "/health/dashboard/frame",
        "/health/dashboard/events",
        "/health/dashboard/act",
        "/health/dashboard/links",
        "/health/dashboard/login",
        "/health/dashboard/logout",
        "/health/dashboard/assets/{digest}/{name}",
        "/docs",
    }
    post = described["paths"]["/health/services/{service}/restart"]["post"]
    assert {"202", "401", "404", "409", "421", "422"} <= set(post["responses"])
    assert post["security"] == [{"HTTPBearer": []}, {"Session": []}]


@pytest.mark.parametrize("model", list(EXAMPLES), ids=lambda model: model.__name__)
def test_every_example_has_the_shape_that_it_illustrates(model: type[BaseModel]) -> None:
    model.model_validate(EXAMPLES[model], strict=True)


def test_every_answer_is_described_with_an_example(ops: Ops) -> None:
    described = ops.get("/openapi.json").json()
    without = [
        f"{method} {path} {code}"
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        for code, answer in operation["responses"].items()
        for media, content in answer.get("content", {}).items()
        if "example" not in content
    ]
    assert without == []


def test_every_parameter_is_described_with_an_example_that_it_takes(ops: Ops) -> None:
    import jsonschema

    document = ops.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                schema = {**parameter["schema"], "components": document["components"]}
                told = [parameter["example"]] if "example" in parameter else schema.get("examples", [])
                told += [each["value"] for each in parameter.get("examples", {}).values()]
                assert told, (method, path, parameter["name"])
                for example in told:
                    jsonschema.Draft202012Validator(schema).validate(example)


def test_wrong_method_is_told_all_the_right_ones(ops: Ops) -> None:
    answer = ops.get("/health/maintenance", method="PUT", trusted=True)
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, POST")


def test_reading_is_described_as_open_on_loopback_and_acting_is_not(ops: Ops) -> None:
    paths = ops.get("/openapi.json").json()["paths"]
    assert paths["/health/maintenance"]["get"]["security"] == [
        {"HTTPBearer": []},
        {"Session": []},
        {},
    ]
    assert paths["/health/maintenance"]["post"]["security"] == [{"HTTPBearer": []}, {"Session": []}]


def test_scaling_tells_what_is_lacking_and_applies_a_number(ops: Ops) -> None:
    told = ops.get("/api/performance/scaling/recommendations").json()
    assert told["recommendations"] == []
    assert {one["type"] for one in told["unknown"]} >= {"workers", "replicas", "pool", "timeout"}
    assert ops.get("/api/performance/scaling/configuration").json()["workers"] is None
    path = "/api/performance/scaling/apply"
    assert ops.get(path, method="POST", json={"workers": 4}).status_code == 401
    refused = ops.get(path, method="POST", trusted=True, json={})
    assert refused.status_code == 409
    assert "60 minutes of load" in refused.json()["fix"]
    assert ops.get(path, method="POST", trusted=True, json={"workers": 0}).status_code == 422
    assert ops.get(path, method="POST", trusted=True, json={"workers": 4}).status_code == 202
    assert ops.view.scalings == [4]
    assert ops.deeds[-1].action == "scale"
