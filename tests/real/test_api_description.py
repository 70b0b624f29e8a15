"""The ops API against its own OpenAPI description, as schemathesis tries it: every route of health.

The supervisor behind it is a stand-in that only takes note of reloads: thousands of made-up requests
include many that restart the application.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from oatie_ops.api.tokens import token_hash
from oatie_ops.performance.measured import Measured
from tests.real.ops_view import View
from tests.real.test_health_command import application, check_of
from tests.real.test_health_probers import listening, ops_port
from tests.real.waiting import free_port

TOKEN = "a-long-and-random-token-for-schemathesis"
# The machine of a CI run can be ten times slower than a quiet one, where this takes half a minute.
SECONDS = 540
SEED = "1"


# The plain words, details and acts of /health; and all the rest, but the stream that never ends.
HEALTH = ("--include-path-regex=^/health(/|$)", "--exclude-path-regex=^/health/dashboard")
REST = (
    "--include-path-regex=^/(api|docs|health/dashboard)(/|$)",
    "--exclude-path-regex=^/health/dashboard/events$",
)
PROOF = (f"--header=Authorization: Bearer {TOKEN}",)


def schemathesis(port: int, directory: Path, *more: str) -> subprocess.CompletedProcess[str]:
    description = f"http://127.0.0.1:{port}/openapi.json"
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        description,
        "--checks=all",
        "--phases=examples,coverage,fuzzing,stateful",
        f"--seed={SEED}",
        "--generation-deterministic",
        "--no-color",
        # Ten seconds, as it waits by itself, are little on a machine that runs other tests as well.
        "--request-timeout=100",
        "--wait-for-schema=100",
        *more,
    ]
    return subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 30)
@pytest.mark.parametrize(
    ("paths", "proof"),
    [
        pytest.param(HEALTH, PROOF, id="health"),
        pytest.param(REST, PROOF, id="rest"),
        pytest.param(HEALTH, (), id="health-without-token"),
        pytest.param(REST, (), id="rest-without-token"),
    ],
)
def test_every_answer_is_as_described(tmp_path: Path, paths: tuple[str, ...], proof: tuple[str, ...]) -> None:
    async def work() -> None:
        app, app_port = await application()
        db_port = free_port()
        db = await listening(db_port)
        view = View(tmp_path, app_port, db=check_of(db_port), nightly={"type": "heartbeat", "every": "1h"})
        now = Measured(time.time(), {"host.cpu_percent": 12.5, "app.completions_per_s": 3.0})
        view.measured = lambda: now  # type: ignore[method-assign]
        token_file = view.paths.run / "ops-tokens"
        token_file.write_text(f"sha256:{token_hash(TOKEN)}\n")
        token_file.chmod(0o600)
        async with ops_port(view) as port:
            async with httpx.AsyncClient(timeout=100) as client:  # the description is made at the first look
                (await client.get(f"http://127.0.0.1:{port}/openapi.json")).raise_for_status()
            done = await asyncio.to_thread(schemathesis, port, tmp_path, "--max-examples=10", *paths, *proof)
        db.close()
        app.close()
        assert done.returncode == 0, done.stdout + done.stderr
        # With proof some tries get as far as a restart; without it none does.
        assert bool(view.reloads) is bool(proof)

    asyncio.run(work())
