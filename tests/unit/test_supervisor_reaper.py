"""Who collects ended children must be gone before the loop that he is called from."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

# The loop closes the descriptor that signals are written to, and a child ends just then.
PROGRAM = """\
import asyncio, os, signal
from oatie_ops.supervisor.reaper import Reaper

async def live():
    reaper = Reaper()
    reaper.install()
    reaper.uninstall()

loop = asyncio.new_event_loop()
loop.run_until_complete(live())
close = loop._close_self_pipe

def close_and_be_told():
    close()
    os.kill(os.getpid(), signal.SIGCHLD)

loop._close_self_pipe = close_and_be_told
loop.close()
print("closed")
"""


def test_a_child_that_ends_while_the_loop_closes_prints_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("closed\n", "")


def test_the_scratch_of_a_profile_leaves_no_handler_behind() -> None:
    from oatie_ops.supervisor.scratch import scratch

    async def live() -> bool:
        async with scratch({}):
            installed = callable(signal.getsignal(signal.SIGCHLD))
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
        return installed

    assert asyncio.run(live())
