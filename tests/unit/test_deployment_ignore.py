"""Our reading of .gitignore is git's own: hand-picked cases, then random ones put to the real git."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oatie_ops.deployment.ignore import Rules


@pytest.mark.parametrize(
    ("pattern", "path", "is_directory", "ignored"),
    [
        ("foo", "foo", False, True),
        ("foo", "a/b/foo", True, True),
        ("foo", "foobar", False, None),
        ("foo/", "foo", False, None),
        ("foo/", "a/foo", True, True),
        ("/foo", "a/foo", False, None),
        ("a/foo", "a/foo", False, True),
        ("a/foo", "b/a/foo", False, None),
        ("*.log", "a/x.log", False, True),
        ("a/*", "a/b/c", False, None),
        ("a/**", "a", True, None),
        ("a/**", "a/b/c", False, True),
        ("**/b", "b", False, True),
        ("a/**/b", "a/b", False, True),
        ("a/**/b", "a/x/y/b", False, True),
        ("?at", "cat", False, True),
        ("?at", "/at", False, None),
        ("[a-c]x", "bx", False, True),
        ("[!a-c]x", "bx", False, None),
        ("[^a-c]x", "dx", False, True),
        ("[]x]y", "]y", False, True),
        ("[[:digit:]_]", "7", False, True),
        ("[unclosed", "[unclosed", False, None),
        (r"\#x", "#x", False, True),
        ("# comment", "# comment", False, None),
        (r"\!x", "!x", False, True),
        ("!x", "x", False, False),
        ("x   ", "x", False, True),
        ("x\\ ", "x ", False, True),
        ("x\r", "x", False, True),
        ("", "x", False, None),
        ("/", "x", True, None),
        ("a.b", "aXb", False, None),
        ("a+(b)|c", "a+(b)|c", False, True),
    ],
)
def test_one_pattern(pattern: str, path: str, is_directory: bool, ignored: bool | None) -> None:
    assert Rules([pattern]).verdict(path, is_directory) is ignored


def test_the_last_pattern_that_matches_decides() -> None:
    assert Rules(["*.log", "!keep.log"]).verdict("keep.log", False) is False
    assert Rules(["!keep.log", "*.log"]).verdict("keep.log", False) is True


NAMES = ["a", "b", "foo", "x.log", "k.txt", "[x]", "a b"]
SEGMENTS = st.sampled_from(
    [*NAMES, "*", "**", "*.log", "?", "f*", "[a-f]*", "[!a]", "\\[x\\]", "*o*", "a\\ b"]
)
PATTERNS = st.builds(
    lambda negation, root, segments, slash: negation + root + "/".join(segments) + slash,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(SEGMENTS, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@settings(max_examples=150)
@given(lines=st.lists(PATTERNS, min_size=1, max_size=5), paths=st.sets(PATHS, min_size=3, max_size=12))
def test_git_agrees(lines: list[str], paths: set[str]) -> None:
    """``git ls-files --others`` walks a directory and prunes what is ignored, just as the survey does."""
    files = {path for path in paths if not any(other.startswith(path + "/") for other in paths)}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for path in files:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()
        (root / ".gitignore").write_text("\n".join(lines))
        subprocess.run(["git", "init", "-q", name], check=True)
        listed = subprocess.run(
            ["git", "-c", "core.excludesFile=", "ls-files", "-z", "--others", "--exclude-standard"],
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    rules = Rules(lines)
    assert {path for path in files if kept(rules, path)} == set(filter(None, listed.split("\0"))) - {
        ".gitignore"
    }


def kept(rules: Rules, path: str) -> bool:
    parents = ["/".join(path.split("/")[:depth]) for depth in range(1, path.count("/") + 1)]
    return not any(rules.verdict(parent, True) for parent in parents) and not rules.verdict(path, False)
