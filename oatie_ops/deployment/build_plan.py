"""What a build has to do: which commands fill a virtual environment, and whether one exists already.

Rules:

- A virtual environment is made when a command names a Python installer (pip, uv, poetry ...). Others
  (``npm ci``, ``make``, ``python manage.py collectstatic``) write into the release itself.
- The environment is shared by all releases for which nothing has changed: the interpreter, the commands,
  the requirement files that they name (and those which these name). Only *plain* install commands, without
  shell syntax, are skipped then; every other command runs for each release, as a shared environment does
  not hold what it writes.
- It belongs to one release alone when it may hold the release's own code (``pip install .``, ``-e``, local
  paths, ``poetry install`` without ``--no-root``), when an installer is hidden in shell syntax, when a
  requirement file is only made during the build, or when another command was seen to install something.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

BUILT = "built.json"
_INSTALLERS = re.compile(r"(pip[\d.]*|uv|poetry|pipenv|pdm|pip-sync|easy_install)")
_PYTHON = re.compile(r"python[\d.]*")
_OPERATORS = frozenset(";&|<>()")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz")
_ELSEWHERE = re.compile(r"(-t|--target|--prefix|--root|--user|-C|--directory|--project)(=.*)?")
_NOT_ITSELF = frozenset({"--no-root", "--no-install-project", "--no-self", "--only-group"})
_PROJECT_FILES = (
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "uv.toml",
    "uv.lock",
    "poetry.toml",
    "poetry.lock",
    "pdm.lock",
    "Pipfile",
    "Pipfile.lock",
)
_LOCAL_DEPENDENCY = re.compile(r"\bpath\s*=|\bworkspace\s*=\s*true|\bfile:")


@dataclass(frozen=True)
class BuildCommand:
    """``skippable``: fills the environment and does nothing else, so a filled one makes it needless."""

    text: str
    installs: bool
    skippable: bool


@dataclass(frozen=True)
class BuildPlan:
    """``key`` and ``directory`` (``builds/<key>``) are None when no virtual environment is needed."""

    app_directory: Path
    commands: tuple[BuildCommand, ...]
    key: str | None = None
    directory: Path | None = None
    reused: bool = False
    shareable: bool = False

    @property
    def python(self) -> Path | None:
        return self.directory / "venv" / "bin" / "python" if self.directory else None

    def to_run(self) -> tuple[BuildCommand, ...]:
        return tuple(command for command in self.commands if not (self.reused and command.skippable))


def plan_build(app_directory: Path, commands: Sequence[str], *, builds: Path, release: int) -> BuildPlan:
    """Reads the requirement files in `app_directory` and what is in `builds`; changes nothing."""
    inputs = _Inputs(app_directory)
    parsed = tuple(_parse(text, inputs) for text in commands)
    if not any(command.installs for command in parsed):
        return BuildPlan(app_directory, parsed)
    digest = _digest(commands, inputs)
    shareable = not inputs.private and _may_be_shared(builds / digest)
    key = digest if shareable else f"{digest}-r{release}"
    directory = builds / key
    return BuildPlan(app_directory, parsed, key, directory, shareable and _usable(directory), shareable)


def installs_python(commands: Sequence[str]) -> bool:
    """Does one of them fill a virtual environment? As `plan_build` sees it."""
    return any(_installs(text) for text in commands)


@dataclass
class _Inputs:
    """Collects what the environment depends on; ``private``: it may belong to this release alone."""

    app: Path
    files: set[str] = field(default_factory=set)
    private: bool = False

    def requirement_file(self, name: str, relative_to: str = ".") -> None:
        path = os.path.normpath(PurePosixPath(relative_to) / name)
        if path in self.files or "://" in name:
            return
        try:
            lines = (self.app / path).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:  # made by a command before it, or about to fail: either way known only then
            self.private = True
            return
        self.files.add(path)
        for line in lines:
            words = re.sub(r"(^|\s)#.*", "", line).split()
            self.pip_arguments(words, os.path.dirname(path) or ".")  # noqa: PTH120 - a name, not a place

    def pip_arguments(self, words: Sequence[str], relative_to: str = ".") -> None:
        """What follows ``pip install``, and the lines of a requirement file: the same grammar."""
        for option, value in _options(words):
            if option in ("-r", "--requirement", "-c", "--constraint"):
                self.requirement_file(value, relative_to)
            elif option in ("-e", "--editable") or _ELSEWHERE.fullmatch(option) or _is_local(value):
                self.private = True

    def project(self, words: Sequence[str]) -> None:
        """``uv sync``, ``poetry install`` ...: they read the project's own files and install it too."""
        present = [name for name in _PROJECT_FILES if (self.app / name).is_file()]
        self.files.update(present)
        declared = "".join(
            _text(self.app / name) for name in present if name in ("pyproject.toml", "Pipfile")
        )
        itself = words[0] != "pipenv" and not _NOT_ITSELF.intersection(words)
        elsewhere = any(_ELSEWHERE.fullmatch(word) for word in words)
        self.private |= itself or elsewhere or bool(_LOCAL_DEPENDENCY.search(declared))


def _installs(text: str) -> bool:
    return any(_INSTALLERS.fullmatch(name) for name in _program_names(text)) or bool(
        re.search(r"setup\.py\s+(install|develop)\b", text)
    )


def _parse(text: str, inputs: _Inputs) -> BuildCommand:
    installs = _installs(text)
    words = _plain_words(text)
    match words:
        case ["pip", "install", *rest] | ["uv", "pip", "install", *rest]:
            inputs.pip_arguments(rest)
        case ["pip-sync", *rest] | ["uv", "pip", "sync", *rest]:
            for word in rest:
                if word.endswith((".txt", ".in")):
                    inputs.requirement_file(word)
        case [("uv" | "poetry" | "pdm" | "pipenv") as tool, ("sync" | "install"), *rest]:
            inputs.project([tool, *rest])
        case _:
            inputs.private |= installs
            return BuildCommand(text, installs, skippable=False)
    return BuildCommand(text, installs=True, skippable=True)


def _program_names(text: str) -> Iterator[str]:
    for word in re.split(r"[\s;&|()<>'\"`$]+", text):
        yield _name(word)


def _plain_words(text: str) -> list[str]:
    """The words of a command without shell syntax, its program by its bare name; none for any other."""
    if re.search(r"[`\n]|\$\(", text):
        return []
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:  # an unclosed quotation
        return []
    if any(set(word) <= _OPERATORS for word in words):
        return []
    while words and _ASSIGNMENT.match(words[0]):
        words.pop(0)
    if len(words) > 2 and _PYTHON.fullmatch(_name(words[0])) and words[1] == "-m":
        words = words[2:]
    if not words:
        return []
    program = _name(words[0])
    return ["pip" if re.fullmatch(r"pip[\d.]+", program) else program, *words[1:]]


def _name(word: str) -> str:
    return word.rpartition("/")[2]


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(option, value) pairs; a word that is no option comes as ("", word)."""
    takes_value = ("-r", "--requirement", "-c", "--constraint", "-e", "--editable")
    rest = iter(words)
    for word in rest:
        if word in takes_value:
            yield word, next(rest, "")
        elif word.startswith("--") and "=" in word:
            option, _, value = word.partition("=")
            yield option, value
        elif word[:2] in ("-r", "-c", "-e") and not word.startswith("--") and len(word) > 2:
            yield word[:2], word[2:]
        elif word.startswith("-"):
            yield word, ""
        else:
            yield "", word


def _is_local(word: str) -> bool:
    """Whether pip takes it for a file or directory rather than for a name or an address."""
    if word.startswith((".", "/", "~")) or "file:" in word:
        return True
    return "://" not in word and ("/" in word or word.endswith(_ARCHIVES))


def _digest(commands: Sequence[str], inputs: _Inputs) -> str:
    facts = {
        "python": [platform.python_version(), sys.implementation.cache_tag, sys.base_prefix],
        "platform": sysconfig.get_platform(),
        "commands": list(commands),
        "files": [
            [name, hashlib.sha256((inputs.app / name).read_bytes()).hexdigest()]
            for name in sorted(inputs.files)
        ],
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]


def _may_be_shared(directory: Path) -> bool:
    return bool(_record(directory).get("shareable", True))


def _usable(directory: Path) -> bool:
    """Complete, and its interpreter (a link to the one that made it) is still installed."""
    return bool(_record(directory)) and os.access(directory / "venv" / "bin" / "python", os.X_OK)


def _record(directory: Path) -> dict[str, object]:
    try:
        found = json.loads((directory / BUILT).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
