"""The validated declaration as JSON in the state directory, so that a start need not import pydantic.

It holds templates, never a value that came from outside; its key covers everything that the declaration
followed from. Anything unexpected in it is a miss, never an error.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from oatie_ops._version import __version__
from oatie_ops.config import envfile
from oatie_ops.config.declared import Declared
from oatie_ops.config.envfile import EnvFile
from oatie_ops.config.inputs import Inputs
from oatie_ops.config.issues import Excerpt, Issue
from oatie_ops.config.layers import Origin
from oatie_ops.paths import state_paths

FORMAT = 1
_MAX_BYTES = 4 * 1024 * 1024


def file_of(inputs: Inputs) -> Path:
    return state_paths(inputs.located.root, inputs.environ).run / "config.json"


def read(inputs: Inputs) -> Declared | None:
    stored = _trusted_json(file_of(inputs))
    try:
        env_file = _env_file(stored["env_file"], inputs)
        key = _key(inputs, bytes.fromhex(stored["salt"]), stored["variables"], env_file)
        if not hmac.compare_digest(key, stored["key"]):
            return None
        return _restored(stored["declared"], stored["variables"], env_file)
    except (KeyError, TypeError, ValueError, AttributeError, OSError):
        return None


def write(inputs: Inputs, declared: Declared) -> bool:
    """Complete or not at all, mode 0600; only where there is a state directory already, and it is ours.

    False: there is none (yet).
    """
    path = file_of(inputs)
    try:
        if path.parent.stat().st_uid != os.geteuid():
            return True
    except OSError:
        return False
    salt = os.urandom(16)
    document = {
        "salt": salt.hex(),
        "key": _key(inputs, salt, declared.variables, declared.env_file),
        **to_json(declared),
    }
    temporary = path.with_name(f".config-{os.getpid()}-{salt.hex()}.json")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
        temporary.replace(path)
    except OSError:
        # A full or read-only disk costs the next start its short cut, nothing else.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return True


def _key(inputs: Inputs, salt: bytes, variables: Any, env_file: EnvFile | None) -> str:
    """A keyed hash, because values of variables may be secrets that a plain hash would let one guess."""
    located, environment = inputs.located, inputs.environment
    names = {name: inputs.environ.get(name) for name in variables}
    parts = [
        [FORMAT, __version__, _code()],
        [str(located.root), str(located.file), str(located.rival)],
        [environment.name, environment.profile, environment.asked, environment.warnings],
        sorted({**inputs.variables(), **names}.items()),
        sorted((name, repr(value)) for name, value in inputs.overrides.items()),
        [str(inputs.env_file), None if env_file is None else sorted(env_file.values.items())],
        _hash(inputs.content),
    ]
    return hmac.new(salt, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


def _code() -> list[tuple[str, int, int]]:
    """A changed rule or schema makes every cache stale, also in a checkout without a new version."""
    with os.scandir(Path(__file__).parent) as entries:
        sources = [(e.name, e.stat()) for e in entries if e.name.endswith(".py")]
    return sorted((name, info.st_mtime_ns, info.st_size) for name, info in sources)


def _env_file(path: str | None, inputs: Inputs) -> EnvFile | None:
    return None if path is None else envfile.parse(Path(path), Path(path).read_bytes(), inputs.environ)


def _hash(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()


def _trusted_json(path: Path) -> Any:
    """Only from a file that nobody else could have written."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    info = os.fstat(descriptor)
    others_may_write = info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or others_may_write:
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            return json.loads(file.read(_MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return None


def to_json(declared: Declared) -> dict[str, Any]:
    return {
        "variables": list(declared.variables),
        "env_file": None if declared.env_file is None else str(declared.env_file.path),
        "declared": _plain(declared),
    }


def from_json(stored: Mapping[str, Any], inputs: Inputs) -> Declared:
    """What `to_json` made. Raises `KeyError` and the like where it is something else."""
    return _restored(stored["declared"], stored["variables"], _env_file(stored["env_file"], inputs))


def _plain(declared: Declared) -> dict[str, Any]:
    return {
        "data": declared.data,
        "templates": [list(path) for path in declared.templates],
        "profile": declared.profile,
        "origins": {path: origin.as_dict() for path, origin in declared.origins.items()},
        "issues": [asdict(issue) for issue in declared.issues],
    }


def _restored(stored: Mapping[str, Any], variables: Any, env_file: EnvFile | None) -> Declared:
    return Declared(
        data=stored["data"],
        templates=tuple(tuple(path) for path in stored["templates"]),
        variables=tuple(variables),
        env_file=env_file,
        profile=stored["profile"],
        origins={path: Origin.from_dict(origin) for path, origin in stored["origins"].items()},
        issues=tuple(
            Issue(**{**issue, "excerpt": Excerpt(**issue["excerpt"])}) for issue in stored["issues"]
        ),
    )
