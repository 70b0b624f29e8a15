"""Headless Chromium from the system, driven by Playwright; and what a person sees of the dashboard."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.real.harness import Project
from tests.real.waiting import PATIENCE_SECONDS, need_program, wait_for

ASSETS = Path(__file__).resolve().parent / "assets"
# As root Chromium has no sandbox; everything that would speak to others is off.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
# Several processes and a browser share the machine with other tests.
SECONDS = PATIENCE_SECONDS
MILLISECONDS = SECONDS * 1000


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser with a user data directory of its own, which goes with it."""
    program = need_program("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Eyes:
    """One browser context on the dashboard of a project. ``complaints``: of the console, and errors."""

    def __init__(self, browser: Any, project: Project, **options: Any) -> None:
        self.project = project
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.context.set_default_timeout(MILLISECONDS)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on(
            "console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.project.ops_port}"

    def open(self, path: str = "/health/dashboard/html") -> Eyes:
        self.page.goto(self.base + path)
        return self

    def sign_in(self, *arguments: str) -> Eyes:
        """As the owner does: with the link that `oatie dashboard` prints."""
        link = self.project.oatie("dashboard", *arguments).expect(0).stdout.strip()
        self.page.goto(link)
        self.page.click("button.primary")
        self.page.wait_for_url(re.compile("/health/dashboard/html"))
        return self

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def wait_until(self, selector: str, words: str) -> None:
        """Until what is shown there holds ``words``, without a reload."""
        wait_for(
            lambda: words in self.text(selector),
            f"{words!r} in {selector}",
            seconds=SECONDS,
            evidence=lambda: self.text(selector),
        )

    def confirm(self, reason: str) -> None:
        """The dialog that is open."""
        self.page.fill("#act-reason", reason)
        self.page.click("#act-confirm")

    def violations(self) -> list[str]:
        """What axe-core finds of WCAG 2.2 A and AA, and of its own best practices."""
        if not self.page.evaluate("() => Boolean(window.axe)"):
            self.page.evaluate((ASSETS / "axe-core" / "axe.min.js").read_text())
        found = self.page.evaluate("async () => (await axe.run(document)).violations")
        return [
            f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
            for one in found
        ]

    def close(self) -> None:
        self.context.close()
