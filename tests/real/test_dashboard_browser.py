"""The dashboard as a person meets it: in a real browser, on a real supervisor, with a Redis that dies.

One supervisor for the module (for each process that runs a part of it); every test leaves it healthy.
"""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from oatie_ops.store import Store
from tests.real.browser import SECONDS, Eyes, chromium
from tests.real.databases import Redis
from tests.real.harness import Project
from tests.real.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HOSTILE = "<img src=x onerror=\"window.pwned='output'\"><script>window.pwned='output'</script>\"'"
DEGRADED = "Report service degraded"
SIZES = [
    pytest.param(width, scheme, id=f"{width}-{scheme}")
    for width in (360, 1920)
    for scheme in ("light", "dark")
]
Look = Callable[..., Eyes]


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as server:
        server.start()  # type: ignore[attr-defined]
        yield server  # type: ignore[misc]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, redis: Redis) -> Iterator[Project]:
    """A cache that a ladder starts again, a feature that can be degraded, a check that says hostile words."""
    project = Project(tmp_path_factory.mktemp("shop"))
    where = ["--port", str(redis.port), "--bind", "127.0.0.1"]
    again = [redis.program, *where, "--save", "", "--daemonize", "yes"]
    hostile = "import os; print(os.environ['SAID']); raise SystemExit(0)"
    project.configure(app={"drain": "1s"}, deploy={"bake": "100ms"})
    with (project.root / "oatie.toml").open("a") as file:
        file.write(
            f"""
[services.cache]
check = {{ type = "redis", url = "{redis.url}", interval = "300ms", timeout = "10s", fall = 1, rise = 1 }}
recover = [ {{ run = {json.dumps(again)}, settle = "5s", max = 3 }} ]

[services.reports]
needs = ["cache"]
routes = ["/api/reports*"]
degrade = {{ responses = [ {{ match = "GET /api/reports", body = {{ message = "{DEGRADED}" }} }} ] }}

[services.hostile]
check = {{ type = "command", run = ["python3", "-c", {json.dumps(hostile)}], interval = "1s" }}
"""
        )
    project.version("1")
    try:
        project.oatie("deploy", "--yes", env={"SAID": HOSTILE}).expect(0)
        wait_for(lambda: _is_well(project), "every check to pass", evidence=lambda: _health(project))
        yield project
    finally:
        project.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def look(browser: Any, shop: Project) -> Iterator[Look]:
    made: list[Eyes] = []

    def new(**options: Any) -> Eyes:
        made.append(Eyes(browser, shop, **options))
        return made[-1]

    yield new
    for eyes in made:
        eyes.close()


def _get(project: Project, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{project.ops_port}{path}", timeout=20) as answer:
        return json.load(answer)


def _health(project: Project) -> Any:
    try:
        return _get(project, "/health/dashboard/brief")
    except OSError as error:
        return {"status": str(error)}


def _is_well(project: Project) -> bool:
    """But for the machine's own load, which other tests make."""
    services = _health(project).get("services", {})
    return bool(services) and all(s["status"] == "pass" for n, s in services.items() if n != "system")


def _audit(project: Project) -> list[tuple[str, str, str, str, str]]:
    with Store.open(project.state.database) as store:
        return [(e.actor, e.action, e.subject, e.result, e.detail) for e in store.audit.recent(200)]


def _row(name: str) -> str:
    return f'#services tr[data-name="{name}"]'


# --- a real failure ------------------------------------


def test_failure_is_shown_live_and_repaired_from_the_page(look: Look, shop: Project, redis: Redis) -> None:
    eyes = look().open().sign_in()
    eyes.wait_until(_row("cache"), "healthy")
    eyes.wait_until("#link-text", "Live")
    redis.kill()
    eyes.wait_until("#banner", "Failing")
    eyes.wait_until("#banner", "cache")
    eyes.wait_until(_row("reports"), "follows from cache")
    assert "failing" in eyes.page.title()
    assert eyes.page.evaluate("document.querySelector('#services tr').dataset.name") == "cache"
    # What to press stands in the banner; it asks, and says how it goes.
    eyes.page.click('#banner button[value="recover"]')
    assert eyes.text("#act-title") == "Recover cache"
    eyes.confirm("redis was killed")
    eyes.wait_until("#told", "✓ Recover of cache: done")
    eyes.wait_until(_row("cache"), "healthy")
    eyes.wait_until(_row("reports"), "healthy")
    eyes.wait_until("#operations", "Recover of cache: succeeded")
    eyes.wait_until("#events", "recover cache: requested (redis was killed)")
    assert ("owner", "recover", "cache", "requested", "redis was killed") in _audit(shop)
    assert eyes.complaints == []
    wait_for(lambda: _is_well(shop), "every check to pass again", evidence=lambda: _health(shop))


def test_page_says_that_the_connection_is_lost_and_comes_back(look: Look, shop: Project) -> None:
    eyes = look().open()
    eyes.wait_until("#link-text", "Live")
    supervisor = psutil.Process(shop.status()["supervisor"]["pid"])
    supervisor.send_signal(signal.SIGSTOP)
    try:
        eyes.wait_until("#link-text", "Connection lost")
        assert "this is how it was at" in eyes.text("#link-text")
    finally:
        supervisor.send_signal(signal.SIGCONT)
    eyes.wait_until("#link-text", "Live")


def test_without_a_stream_the_page_asks_from_time_to_time(look: Look) -> None:
    eyes = look()
    eyes.page.route("**/health/dashboard/events*", lambda route: route.fulfill(status=503))
    eyes.open()
    asked = []
    eyes.page.on("request", lambda request: asked.append(request.url) if "/frame?" in request.url else None)
    wait_for(lambda: eyes.page.wait_for_timeout(100) or len(asked) >= 2, "two questions", seconds=60)
    eyes.wait_until("#link-text", "Live")


# --- actions ------------------------------------


def test_application_is_restarted_from_its_row(look: Look, shop: Project) -> None:
    before = {worker["pid"] for worker in shop.workers()}
    eyes = look().open().sign_in()
    eyes.page.click(f'{_row("app")} button[value="restart"]')
    eyes.confirm("leaks")
    eyes.wait_until("#told", "✓ Restart of app: done")
    after = {worker["pid"] for worker in shop.workers() if worker["state"] == "serving"}
    assert after and not after & before
    audit = _audit(shop)
    assert ("owner", "restart", "app", "requested", "leaks") in audit
    assert any(line[:4] == ("owner", "restart", "app", "succeeded") for line in audit)


def test_feature_is_degraded_and_restored_and_the_application_obeys(look: Look, shop: Project) -> None:
    eyes = look().open().sign_in()
    eyes.page.click(f'{_row("reports")} button[value="degrade"]')
    eyes.page.select_option("#act-duration", "15m")
    eyes.confirm("high load")
    eyes.wait_until("#told", "2 of 2 workers obey")
    eyes.wait_until(_row("reports"), "degraded by owner: high load")
    answer = shop.ask("/api/reports")
    assert answer is not None and DEGRADED.encode() in answer[2]
    eyes.page.click(f'{_row("reports")} button[value="restore"]')
    eyes.confirm("load is normal")
    eyes.wait_until("#told", "✓ Restore of reports")
    eyes.wait_until(_row("reports"), "healthy")
    answer = shop.ask("/api/reports")
    assert answer is not None and DEGRADED.encode() not in answer[2]


def test_dialog_needs_a_reason_and_can_be_left(look: Look, shop: Project) -> None:
    eyes = look().open().sign_in()
    lines = len(_audit(shop))
    eyes.page.click(f'{_row("app")} button[value="restart"]')
    eyes.page.click("#act-confirm")
    assert eyes.page.evaluate("document.getElementById('act').open")
    eyes.page.keyboard.press("Escape")
    assert not eyes.page.evaluate("document.getElementById('act').open")
    assert len(_audit(shop)) == lines


def test_focus_returns_to_the_button_although_its_row_was_made_anew(look: Look, shop: Project) -> None:
    eyes = look().open().sign_in()
    eyes.page.click(f'{_row("app")} button[value="restart"]')
    eyes.page.evaluate("const rows = document.getElementById('services'); rows.innerHTML = rows.innerHTML")
    eyes.page.keyboard.press("Escape")
    # Not `wait_for_function`, whose polling is an eval that the page's policy forbids.
    wait_for(
        lambda: eyes.page.evaluate("document.activeElement.dataset.key") == "app:restart",
        "the focus on the button",
        seconds=SECONDS,
    )


def test_who_is_not_signed_in_or_may_only_look_is_led_to_the_sign_in(look: Look, shop: Project) -> None:
    lines = [line for line in _audit(shop) if line[1] == "restart"]
    for eyes in (look().open(), look().sign_in("--read-only")):
        eyes.page.click(f'{_row("app")} button[value="restart"]')
        eyes.page.wait_for_url("**/act?*")
        assert "Sign in first" in eyes.text("main")
        assert eyes.page.query_selector("form") is None
    assert [line for line in _audit(shop) if line[1] == "restart"] == lines


def test_token_signs_in_and_its_end_ends_the_session(look: Look, shop: Project) -> None:
    token = shop.oatie("token", "create", "ana", "--scope", "operate").expect(0).stdout.strip()
    eyes = look().open("/health/dashboard/login")
    eyes.page.fill("#token", "oatie_wrong")
    eyes.page.click("button.primary")
    assert "the token is not known" in eyes.text("[role=alert]")
    eyes.page.fill("#token", token)
    eyes.page.click("button.primary")
    eyes.page.wait_for_url("**/html")
    assert eyes.page.query_selector("form[action$=logout]") is not None
    cookie = eyes.context.cookies()[0]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert eyes.page.evaluate("document.cookie") == ""
    shop.oatie("token", "revoke", "ana").expect(0)
    eyes.open()
    assert eyes.page.query_selector("form[action$=logout]") is None


# --- without scripts, without a mouse, without good eyes ------------------------------------


def test_everything_is_there_without_scripts_and_can_be_pressed(look: Look, shop: Project) -> None:
    eyes = look(java_script_enabled=False).sign_in()
    page = eyes.page.content()
    assert '<meta http-equiv="refresh" content="30">' in page
    for part in ("banner", "services", "events", "releases", "startup", "scaling", "workers"):
        assert eyes.text(f"#{part}").strip()
    assert "renews itself every 30 seconds" in eyes.text("#link")
    assert " ago" in eyes.text("#releases")
    eyes.page.click(f'{_row("app")} button[value="restart"]')
    assert eyes.text("h2") == "Restart app"
    eyes.page.fill("#reason", "without scripts")
    eyes.page.click("button.primary")
    eyes.page.wait_for_url("**/html*")
    assert "Restart of app" in eyes.text("#operations")
    wait_for(lambda: _is_well(shop), "every check to pass again", evidence=lambda: _health(shop))

    def ended() -> bool:
        return all(
            operation["state"] != "running" for operation in _get(shop, "/health/dashboard")["operations"]
        )

    wait_for(ended, "the end of the restart")
    assert ("owner", "restart", "app", "requested", "without scripts") in _audit(shop)


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_nothing_is_wrong_for_assistive_technology_and_nothing_is_cut(
    look: Look, width: int, scheme: str
) -> None:
    eyes = look(viewport={"width": width, "height": 900}, color_scheme=scheme)
    eyes.open("/health/dashboard/login")
    assert eyes.violations() == []
    eyes.sign_in()
    eyes.wait_until("#link-text", "Live")
    wait_for(lambda: eyes.page.query_selector(".uplot"), "a chart")
    assert eyes.violations() == []
    assert eyes.page.evaluate("document.documentElement.scrollWidth") <= width
    eyes.page.click(f'{_row("app")} button[value="restart"]')
    assert eyes.violations() == []
    eyes.page.keyboard.press("Escape")
    eyes.open("/health/dashboard/act?service=app&action=restart")
    assert eyes.violations() == []
    eyes.open("/docs")
    eyes.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert eyes.violations() == []
    assert eyes.page.evaluate("document.documentElement.scrollWidth") <= width
    assert eyes.complaints == []


def test_keyboard_alone_reaches_and_presses_everything(look: Look, shop: Project) -> None:
    eyes = look().open().sign_in()
    page = eyes.page
    eyes.wait_until("#link-text", "Live")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    seen: list[str] = []
    while "app:restart" not in seen:
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.dataset.key || document.activeElement.tagName"))
        assert len(seen) < 60, seen
        if seen[-1] == "svg" and seen.count("svg") == 1:
            page.keyboard.press("ArrowLeft")
            first = eyes.text(".tip")
            page.keyboard.press("ArrowLeft")
            assert first and eyes.text(".tip") and eyes.text(".tip") != first
            page.keyboard.press("Escape")
    assert "svg" in seen
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "act-reason"
    page.keyboard.type("with the keyboard")
    page.keyboard.press("Enter")
    eyes.wait_until("#told", "✓ Restart of app: done")
    assert ("owner", "restart", "app", "requested", "with the keyboard") in _audit(shop)


# --- hostile text ------------------------------------


def test_hostile_text_is_text(look: Look, shop: Project) -> None:
    eyes = look().open().sign_in()
    eyes.wait_until(_row("hostile"), "onerror")
    eyes.page.click(f'{_row("reports")} button[value="degrade"]')
    eyes.confirm(HOSTILE)
    eyes.wait_until(_row("reports"), "degraded by owner: <img")
    eyes.wait_until("#events", "degrade reports: done (operator: <img")
    eyes.page.click(f'{_row("reports")} button[value="restore"]')
    eyes.confirm(HOSTILE)
    eyes.wait_until(_row("reports"), "healthy")
    assert eyes.page.evaluate("window.pwned") is None
    assert eyes.page.query_selector("main img") is None
    assert eyes.complaints == []
    eyes.open()
    assert eyes.page.evaluate("window.pwned") is None
    assert Path(eyes.page.url).name == "html"
