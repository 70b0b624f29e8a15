"""What all tests share: slow tests run only when asked for, and in CI nothing real may be missing.

``pytest`` alone leaves out what is marked ``slow``; ``pytest -m slow`` runs exactly those, and
``pytest -m "slow or not slow"`` runs everything.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.real.harness import Project, ProjectMaker

# A test of macOS alone cannot run on Linux; such a skip says so with these words.
PLATFORM_SKIP = "only on "


def pytest_configure() -> None:
    """What starts the tests must not decide what they, and all that they start, ignore.

    A shell has its background ignore Ctrl-C, and nohup(1) the end of the terminal.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    named = any("::" in argument for argument in config.args)
    if config.getoption("-m") or named:
        return
    left_out = [item for item in items if _has_to_be_asked_for(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not _has_to_be_asked_for(item)]


def _has_to_be_asked_for(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("slow", "kubernetes"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test proves nothing and would look like a pass, so it fails."""
    report = yield
    in_ci = os.environ.get("CI", "").lower() in ("1", "true", "yes")
    if in_ci and report.skipped and not hasattr(report, "wasxfail") and not _platform_skip(report):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where every real part must be there: {report.longrepr}"
    return report


def _platform_skip(report: pytest.TestReport) -> bool:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return PLATFORM_SKIP in reason


@pytest.fixture(autouse=True)
def nothing_is_secret_yet() -> None:
    """The redactor is one for the process; what one test made secret must not be masked in the next."""
    room = sys.modules.get("oatie_ops.secrets.redact")
    if room is not None:
        room._default = room.Redactor()


@pytest.fixture
def make_project(tmp_path: Path) -> Iterator[ProjectMaker]:
    """Makes projects with the sources named (of tests/real/apps); ends all their processes at the end."""
    made: list[Project] = []

    def make(*sources: str) -> Project:
        made.append(Project(tmp_path / f"p{len(made)}", *sources))
        return made[-1]

    yield make
    for project in made:
        project.close()


@pytest.fixture
def project(make_project: ProjectMaker) -> Project:
    """The bare ASGI service, two workers, not deployed yet."""
    return make_project()
