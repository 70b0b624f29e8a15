"""When a worker has hardly any file descriptor left, and whose fault that is."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from oatie_ops.supervisor.descriptors import running_out

# In a process of its own, because a limit that was lowered stays so for whoever may not raise it.
SCRIPT = """
import os, resource
from oatie_ops.supervisor.descriptors import running_out, take
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))
opened = []
said = [running_out(0, 0)]
while len(opened) < 300 and not running_out(0, 0):
    opened.append(os.open(os.devnull, os.O_RDONLY))
said.append(256 - max(opened) <= 17)
said += [running_out(0, 128), running_out(0, 129)]
take()
said += [resource.getrlimit(resource.RLIMIT_NOFILE) == (512, 512), running_out(0, 0)]
try:
    while True:
        os.open(os.devnull, os.O_RDONLY)
except OSError:
    said.append(running_out(0, 0))
print(said)
"""


def test_it_is_told_before_the_last_one_is_taken_and_not_of_connections() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str([False, True, True, False, True, False, True])


def test_one_that_was_closed_by_the_application_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not running_out(-1, 0)
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _which: unlimited)
    assert not running_out(0, 0)
