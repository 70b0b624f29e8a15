"""What git knows about the checkout. Without git, or outside a repository, it is simply not known."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

GIT_TIMEOUT_SECONDS = 15.0
_HOOK_VARIABLES = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"})


def source_facts(root: Path) -> dict[str, Any]:
    """``{"commit", "branch", "dirty"}``, or nothing. ``dirty``: changed or untracked files under `root`."""
    output = _git(root, "status", "--porcelain=v2", "--branch", "--untracked-files=normal", "--", ".")
    if output is None:
        return {}
    lines = output.splitlines()
    headers = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# ") and line.count(" ") >= 2)
    commit, branch = headers.get("branch.oid", ""), headers.get("branch.head", "")
    return {
        "commit": None if commit in ("", "(initial)") else commit,
        "branch": None if branch in ("", "(detached)") else branch,
        "dirty": any(not line.startswith("# ") for line in lines),
    }


def tracked_but_ignored(root: Path) -> frozenset[str]:
    """Files that were added to git with force although .gitignore names them: they belong to the code."""
    output = _git(root, "ls-files", "-z", "--cached", "--ignored", "--exclude-standard")
    return frozenset(filter(None, (output or "").split("\0")))


def _git(root: Path, *arguments: str) -> str | None:
    # A deploy that a git hook started would be sent to the hook's repository by its variables.
    inherited = {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}
    # Reading must not take git's index lock from a commit that the operator is just making.
    environment = {**inherited, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", os.fspath(root), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=GIT_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return os.fsdecode(done.stdout) if done.returncode == 0 else None
