"""What is shipped: pinned versions, completions and man pages that are up to date."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from oatie_ops.cli.completing.files import files

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[>=<;~! ]", name)[0]).lower()


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def test_every_dependency_is_pinned_with_hashes_and_without_an_address(project: dict[str, object]) -> None:
    text = (ROOT / ".ci" / "constraints.txt").read_text()
    pinned = {normalized(name) for name, _ in PINNED.findall(text)}
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    wanted = [*project["dependencies"]]  # type: ignore[misc]
    heavy = ("fast", "aws", "gcp", "azure", "docker", "postgres", "redis", "kubernetes")
    wanted += [dependency for name in heavy for dependency in extras[name]]
    assert {normalized(name) for name in wanted} <= pinned
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    for block in re.split(r"\n(?=[A-Za-z0-9])", text.strip()):
        assert "--hash=sha256:" in block, block


@pytest.mark.parametrize("name", sorted(files()))
def test_a_generated_file_is_up_to_date(name: str) -> None:
    """After a change of the command line: ``python -m oatie_ops.cli.completing completions``."""
    assert (ROOT / "completions" / name).read_text(encoding="utf-8") == files()[name]


def test_the_description_that_is_served_is_that_of_the_routes(tmp_path: Path) -> None:
    """After a change of the API: ``python -m oatie_ops.api.describe oatie_ops/api/openapi.json``."""
    made = tmp_path / "openapi.json"
    # In a process of its own: routes are described only where that was asked for before their import.
    subprocess.run([sys.executable, "-m", "oatie_ops.api.describe", made], cwd=ROOT, check=True)
    assert json.loads(made.read_bytes()) == json.loads((ROOT / "oatie_ops/api/openapi.json").read_bytes())


def test_no_man_page_is_left_of_a_command_that_is_gone() -> None:
    there = {f"man/{page.name}" for page in (ROOT / "completions" / "man").iterdir()}
    assert there == {name for name in files() if name.startswith("man/")}
