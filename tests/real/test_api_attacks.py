"""A table of attacks on the ops API: each is refused, changes nothing, and leaves a line in the audit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import pytest

from oatie_ops.api import token_file
from oatie_ops.api.lockout import FREE_TRIES
from oatie_ops.api.services import ops_services
from oatie_ops.api.tokens import Scope
from oatie_ops.config.settings import OpsSettings
from oatie_ops.store import Store
from oatie_ops.supervisor.embedded import EmbeddedServer
from tests.real.test_health_api import FAST, View
from tests.real.waiting import PATIENCE_SECONDS, run

RESTART = "/health/services/app/restart"
FORM = "application/x-www-form-urlencoded"


@dataclass
class Target:
    """An ops API with an owner's session, two tokens, and what reached the application."""

    view: View
    port: int
    cookie: str
    csrf: str
    operate: str
    read: str

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: str = ""
    ) -> int:
        """The status of one request, written as it is: no library mends it."""
        given = {"Host": self.host, "Connection": "close", **(headers or {})}
        if body:
            given.setdefault("Content-Length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        return await self.raw(f"{method} {path} HTTP/1.1\r\n{head}\r\n{body}".encode("latin-1"))

    async def raw(self, data: bytes) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = await reader.read(65_536)
        writer.close()
        return int(answer.split(b" ", 2)[1]) if answer else 0

    def refusals(self) -> list[str]:
        """Newest first."""
        return [result for _, _, result, _ in self.audit() if result.startswith("refused")]

    def audit(self) -> list[tuple[str, str, str, str]]:
        with Store.open(self.view.paths.database) as store:
            return [(e.action, e.subject, e.result, e.detail) for e in store.audit.recent(500)]


@contextlib.asynccontextmanager
async def target(
    root: Path, listen: str = "127.0.0.1:8000", cors_origins: tuple[str, ...] = (), *, port_of_db: int = 1
) -> AsyncIterator[Target]:
    view = View(root, 1, db={"type": "tcp", "port": port_of_db, **FAST})
    view.settings = replace(view.settings, ops=OpsSettings(listen=listen, cors_origins=cors_origins))
    tokens = view.paths.run / "ops-tokens"
    operate = token_file.create(tokens, "ci", Scope.OPERATE, 1.0)
    read = token_file.create(tokens, "grafana", Scope.READ, 1.0)
    services = ops_services(view)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(64)
    port = sock.getsockname()[1]
    server = EmbeddedServer(services.public, sock, on_refused=services.refused)
    tasks = [asyncio.ensure_future(work) for work in (server.run_until_told(), services.run())]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as client:
            signed = await client.post("/health/dashboard/login", data={"token": operate})
            assert signed.status_code == 303, signed.text
            page = (await client.get("/health/dashboard/html")).text
            csrf = page.partition('name="csrf-token" content="')[2].partition('"')[0]
            cookie = signed.headers["set-cookie"].partition(";")[0]
        yield Target(view, port, cookie, csrf, operate, read)
    finally:
        server.should_exit = server.force_exit = True
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


Attack = Callable[[Target], Awaitable[int]]


def sent(method: str, path: str, body: str, headers: Mapping[str, str]) -> Attack:
    async def attack(at: Target) -> int:
        filled = {
            name.replace("_", "-"): value.format(
                cookie=at.cookie, csrf=at.csrf, host=at.host, read=at.read, operate=at.operate
            )
            for name, value in headers.items()
        }
        return await at.send(method, path, filled, body)

    return attack


def post(path: str = RESTART, body: str = "", **headers: str) -> Attack:
    return sent("POST", path, body, headers)


def get(path: str, **headers: str) -> Attack:
    return sent("GET", path, "", headers)


def raw(text: bytes) -> Attack:
    async def attack(at: Target) -> int:
        words = {b"HOST": at.host, b"COOKIE": at.cookie, b"READ": at.read, b"OPERATE": at.operate}
        filled = text
        for word, value in words.items():
            filled = filled.replace(word, value.encode())
        return await at.raw(filled)

    return attack


SESSION = {"Cookie": "{cookie}"}
SIGNED = {"Cookie": "{cookie}", "X_Oatie_CSRF": "{csrf}"}
DELETE = "DELETE /health/maintenance HTTP/1.1\r\n"
ATTACKS: dict[str, tuple[int, Attack]] = {
    # A page of another site makes the browser of somebody who is signed in send a request.
    "forged form, cookie alone": (403, post(**SESSION)),
    "forged form, wrong CSRF token": (403, post(**SESSION, X_Oatie_CSRF="A" * 43)),
    "forged form, empty CSRF token": (403, post(**SESSION, X_Oatie_CSRF="")),
    "forged by another origin": (403, post(**SIGNED, Origin="http://evil.example")),
    "forged by another port of this host": (403, post(**SIGNED, Origin="http://127.0.0.1:3000")),
    "forged by an opaque page": (403, post(**SIGNED, Origin="null")),
    "forged, the browser tells of it": (403, post(**SIGNED, Sec_Fetch_Site="cross-site")),
    "forged from a sister domain": (403, post(**SIGNED, Sec_Fetch_Site="same-site")),
    "forged action without scripts": (
        403,
        post(
            "/health/dashboard/act",
            "service=app&action=restart&reason=x",
            **SESSION,
            Content_Type=FORM,
        ),
    ),
    "forged sign-out": (403, post("/health/dashboard/logout", "csrf=", **SESSION, Content_Type=FORM)),
    "sign-in by another origin": (
        403,
        post("/health/dashboard/login", "token=x", Origin="http://evil.example", Content_Type=FORM),
    ),
    "read by a script of another origin": (403, get("/health/dashboard", Origin="http://evil.example")),
    "read into a frame": (
        403,
        get("/health/dashboard/html", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="iframe"),
    ),
    # A name of another site that has been pointed at this machine.
    "rebound name": (421, get("/health/dashboard", Host="evil.example")),
    "rebound name that begins well": (421, get("/health/dashboard", Host="localhost.evil.example")),
    "rebound name with a token": (421, post(Host="evil.example", Authorization="Bearer {read}")),
    "two hosts": (
        421,
        raw(b"GET /health/dashboard HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"),
    ),
    "host with a user": (421, get("/health/dashboard", Host="localhost@evil.example")),
    # Who may not.
    "no token": (401, post()),
    "wrong token": (401, post(Authorization="Bearer oatie_" + "x" * 43)),
    "token in the query": (401, post(RESTART + "?token=oatie_x&access_token=oatie_x")),
    "token that may only read": (403, post(Authorization="Bearer {read}")),
    "session that was made up": (401, post(Cookie="oatie_session=" + "x" * 43)),
    "claim to be the owner": (401, post(X_Forwarded_For="127.0.0.1", X_Oatie_Trusted="1")),
    "sign-in link over the network": (403, post("/health/dashboard/links", Authorization="Bearer {read}")),
    "method in a header": (405, post("/health/dashboard", X_HTTP_Method_Override="DELETE", **SIGNED)),
    "changed by a GET": (405, get(RESTART, Authorization="Bearer {read}")),
    "changed by an image on a page": (405, get(RESTART)),
    "changed by a HEAD": (405, sent("HEAD", RESTART, "", {"Authorization": "Bearer {read}"})),
    # Requests that two programs would read differently.
    "length and chunks": (
        400,
        raw(
            b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\n" + DELETE.encode()
        ),
    ),
    "two lengths": (
        400,
        raw(b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello"),
    ),
    "two tokens": (
        400,
        raw(
            b"POST /health/services/app/restart HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n"
            b"Authorization: Bearer READ\r\nAuthorization: Bearer OPERATE\r\n\r\n"
        ),
    ),
    "no host": (400, raw(b"GET /health/dashboard HTTP/1.1\r\nConnection: close\r\n\r\n")),
    "another host in the address": (
        421,
        raw(b"GET http://evil.example/health/dashboard HTTP/1.1\r\nHost: HOST\r\n\r\n"),
    ),
    "other transfer codings": (
        400,
        raw(b"POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"),
    ),
    "encoded body": (
        415,
        post(
            "/health/maintenance",
            "{}",
            Authorization="Bearer {operate}",
            Content_Type="application/json",
            Content_Encoding="gzip",
        ),
    ),
    "body that breaks off": (
        400,
        raw(
            b"POST /health/maintenance HTTP/1.1\r\nHost: HOST\r\nAuthorization: Bearer OPERATE\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{}\r\n"
        ),
    ),
    "line break in a header": (400, raw(b"GET / HTTP/1.1\r\nHost: HOST\r\nX: a\rSet-Cookie: b\r\n\r\n")),
    "huge header": (431, raw(b"GET / HTTP/1.1\r\nHost: HOST\r\nX: " + b"y" * 60_000 + b"\r\n\r\n")),
    "huge address": (414, raw(b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\nHost: HOST\r\n\r\n")),
    "huge body": (
        413,
        raw(b"POST /health/maintenance HTTP/1.1\r\nHost: HOST\r\nContent-Length: 999999999\r\n\r\n"),
    ),
    "huge form": (
        413,
        post("/health/dashboard/login", "token=" + "x" * 30_000, Content_Type=FORM),
    ),
    # Paths and queries.
    "path with a way out": (404, post("/health/services/..%2f..%2fetc%2fpasswd/restart", **SIGNED)),
    "asset with a way out": (404, get("/health/dashboard/assets/x/..%2f..%2f..%2fapp.py")),
    "service that is a query": (404, post("/health/services/db'%20OR%201=1--/restart", **SIGNED)),
    "asset with a way out, as it is": (404, get("/health/dashboard/assets/../../app.py")),
    "query that is SQL": (422, get("/api/performance/resources/trends?hours=1'%20OR%201=1--")),
    "service that is a script": (404, get("/health/services/%3Cscript%3Ealert(1)%3C%2Fscript%3E")),
    "true for a number": (
        422,
        post(
            "/health/maintenance",
            '{"duration": true}',
            Authorization="Bearer {operate}",
            Content_Type="application/json",
        ),
    ),
    "reason without end": (422, post(RESTART + "?reason=" + "x" * 4000, **SIGNED)),
}


def test_every_attack_is_refused_and_audited(tmp_path: Path) -> None:
    async def work() -> None:
        async with target(tmp_path) as at:
            for name, (status, attack) in ATTACKS.items():
                before = at.refusals()
                assert await attack(at) == status, name
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while at.refusals() == before:  # the audit is written by a thread of its own
                        await asyncio.sleep(0.01)
                assert at.refusals()[0] == f"refused {status}", name
            assert at.view.reloads == []
            # What is right is still done afterwards: nothing of all this locked the session or the token out.
            signed = {"Cookie": at.cookie, "X-Oatie-CSRF": at.csrf, "Origin": f"http://{at.host}"}
            assert await at.send("POST", RESTART + "?reason=mine", signed) == 202
            assert await at.send("POST", RESTART, {"Authorization": f"Bearer {at.operate}"}) == 202
        lines = [line for line in at.audit() if line[2].startswith("refused")]
        told = {(line[2]) for line in lines}
        assert told >= {f"refused {code}" for code in (400, 401, 403, 404, 405, 413, 414, 421, 422, 431)}
        assert at.view.reloads == ["token ci (mine)", "token ci"]
        assert at.operate not in json.dumps(at.audit())

    run(work)


@pytest.mark.parametrize("name", ["forged form, cookie alone", "rebound name", "no token", "huge header"])
def test_audit_says_who_what_and_why(tmp_path: Path, name: str) -> None:
    status, attack = ATTACKS[name]

    async def work() -> None:
        async with target(tmp_path) as at:
            assert await attack(at) == status
        line = next(line for line in at.audit() if line[2] == f"refused {status}")
        assert line[0] == "request"
        assert line[1] and line[3]

    run(work)


def test_brute_force_is_locked_out_and_the_owner_is_not(tmp_path: Path) -> None:
    async def work() -> None:
        async with target(tmp_path) as at:
            found = [
                await at.send("POST", RESTART, {"Authorization": f"Bearer oatie_{number:043d}"})
                for number in range(4 * FREE_TRIES)
            ]
            assert found[: FREE_TRIES + 1] == [401] * (FREE_TRIES + 1)
            assert set(found[FREE_TRIES + 1 :]) == {429}
            form = {"Content-Type": FORM}
            assert await at.send("POST", "/health/dashboard/login", form, "token=guess") == 429
            assert await at.send("POST", RESTART, {"Cookie": at.cookie, "X-Oatie-CSRF": at.csrf}) == 202
        results = [line[2] for line in at.audit()]
        assert results.count("refused 401") == FREE_TRIES + 1  # a line for each
        assert results.count("refused 429") == 3 * FREE_TRIES - 1 + 1

    run(work)


async def _page_with(client: httpx.AsyncClient, words: str) -> str:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while words not in (page := (await client.get("/health/dashboard/html")).text):
            await asyncio.sleep(0.05)
    return page


def test_hostile_words_come_back_as_they_were_and_run_nowhere(tmp_path: Path) -> None:
    words = "<script>alert(1)</script>\r\nSet-Cookie: a=b\x00\u202e{{constructor}}"

    async def work() -> None:
        async with target(tmp_path) as at:
            signed = {"Cookie": at.cookie, "X-Oatie-CSRF": at.csrf}
            assert await at.send("POST", f"{RESTART}?{urlencode({'reason': words})}", signed) == 202
            async with httpx.AsyncClient(base_url=f"http://{at.host}", timeout=PATIENCE_SECONDS) as client:
                page = await _page_with(client, "alert(1)")  # it looks into the store once a second
                assert "<script>alert" not in page
                assert "&lt;script&gt;alert" in page
                nowhere = await client.get(f"/health/services/{quote(words)}")
                assert (nowhere.status_code, nowhere.headers.get("set-cookie")) == (404, None)
                assert nowhere.headers["content-type"] == "application/problem+json"
        assert all("\n" not in reload and "\0" not in reload for reload in at.view.reloads)

    run(work)


def test_proxy_in_front_makes_nobody_local(tmp_path: Path) -> None:
    """Who comes through a proxy on this machine comes from anywhere."""

    async def work() -> None:
        async with target(tmp_path) as at:
            for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
                assert await at.send("GET", "/health/detailed", {name: "203.0.113.9"}) == 401
            assert await at.send("GET", "/health/detailed") in (200, 503)
            assert await at.send("GET", "/health/live", {"X-Forwarded-For": "203.0.113.9"}) == 200

    run(work)


def test_pages_of_configured_origins_read_with_a_token_and_others_do_not(tmp_path: Path) -> None:
    async def work() -> None:
        async with target(tmp_path, cors_origins=("https://grafana.example",)) as at:
            base = f"http://{at.host}"
            async with httpx.AsyncClient(base_url=base, timeout=PATIENCE_SECONDS) as client:
                origin = {"Origin": "https://grafana.example"}
                asked = {**origin, "Access-Control-Request-Method": "GET"}
                preflight = await client.options("/health/detailed", headers=asked)
                assert preflight.status_code == 204
                assert preflight.headers["access-control-allow-origin"] == "https://grafana.example"
                assert "access-control-allow-credentials" not in preflight.headers
                token = {**origin, "Authorization": f"Bearer {at.read}"}
                read = await client.get("/health/services", headers=token)
                assert read.headers["access-control-allow-origin"] == "https://grafana.example"
                other = await client.get("/health/services", headers={"Origin": "https://evil.example"})
                assert other.status_code == 403
                assert "access-control-allow-origin" not in other.headers

    run(work)


def test_scope_decides_what_is_seen(tmp_path: Path) -> None:
    async def work() -> None:
        async with target(tmp_path, listen="0.0.0.0:8000") as at:
            assert await at.send("GET", "/health/dashboard") == 401
            async with httpx.AsyncClient(base_url=f"http://{at.host}", timeout=PATIENCE_SECONDS) as client:
                assert set((await client.get("/health")).json()) == {"status"}
                seen = {}
                for name, token in (("read", at.read), ("operate", at.operate)):
                    headers = {"Authorization": f"Bearer {token}"}
                    seen[name] = (await client.get("/health/dashboard", headers=headers)).json()
            origins = {
                name: {event["origin"] for event in found["events"]["items"] if event["kind"] == "security"}
                for name, found in seen.items()
            }
            assert origins["read"] <= {""}
            assert seen["read"]["services"]["db"]["output"] == seen["operate"]["services"]["db"]["output"]

    run(work)
