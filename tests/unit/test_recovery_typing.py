"""The library's types, as mypy sees them in somebody else's program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

API = Path(__file__).parents[1] / "typing" / "breaker_api.py"


@pytest.mark.slow
def test_the_breaker_keeps_types(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", f"--cache-dir={tmp_path}"]
    done = subprocess.run(
        [*command, str(API)], capture_output=True, text=True, timeout=110, check=False, cwd=API.parents[2]
    )
    assert done.returncode == 0, done.stdout + done.stderr
