"""The tables that nearly every oatie.toml has, with the values that nearly every one has, judged without
pydantic, whose import and schema are a quarter of the first start in a new directory.

Whatever is not plainly right (another table, an unknown key, a wrong type, anything rare) is left to
`oatie_ops.config.validate`, so that there is one place that complains, and one list of keys: this one only
has to take nothing that the schema would refuse or make something else of.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from oatie_ops.config.address import listen_address
from oatie_ops.config.durations import parse_duration, parse_size
from oatie_ops.config.inputs import ENV_FILE_VARIABLE, Inputs
from oatie_ops.config.patterns import HTTP_PATH, IMPORT_STRING, NAME, VARIABLE
from oatie_ops.config.variables import any_of_ours

Judge = Callable[[Any], Any]
Tables = Mapping[str, Mapping[str, Any]]

# Of the tables that a validated configuration always has (`oatie_ops.config.validate.NEVER_MISSING`).
ALWAYS: Tables = {
    "secrets": {"timeout": 5.0, "ttl": 300.0, "expose": "environment"},
    "switches": {"overload_lag": 0.25, "overload_in_flight": 0},
}


class NotPlainError(Exception):
    """It takes the schema to tell."""


def may_be_plain(inputs: Inputs) -> bool:
    """Without references and without variables, which are read by the type that the schema gives a key."""
    content = inputs.content or b""
    return (
        b"${" not in content
        and b"env_file" not in content
        and b"environments" not in content
        and inputs.env_file is None
        and not inputs.environ.get(ENV_FILE_VARIABLE)
        and not any_of_ours(inputs.environ)
    )


def tables(data: Mapping[str, Any]) -> Tables:
    """As `oatie_ops.config.validate.validate` has them. Raises `NotPlainError`."""
    found = {name: _table(name, value) for name, value in data.items()}
    return {**ALWAYS, **found}


def _table(name: str, value: Any) -> Mapping[str, Any]:
    judges = JUDGES.get(name)
    if judges is None or not isinstance(value, dict) or not judges.keys() >= value.keys():
        raise NotPlainError
    return {key: judges[key](each) for key, each in value.items()}


def _text(value: Any) -> str:
    if type(value) is not str or "${" in value or not _is_unicode(value):
        raise NotPlainError
    return value


def _is_unicode(text: str) -> bool:
    """A flag's bytes that are none arrive as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise NotPlainError
    return value


def _whole(least: int, most: int | None = None) -> Judge:
    def judge(value: Any) -> int:
        if type(value) is not int or value < least or (most is not None and value > most):
            raise NotPlainError
        return value

    return judge


def _one_of(*choices: str) -> Judge:
    def judge(value: Any) -> str:
        if type(value) is not str or value not in choices:
            raise NotPlainError
        return value

    return judge


def _matching(pattern: re.Pattern[str]) -> Judge:
    def judge(value: Any) -> str:
        if not pattern.fullmatch(text := _text(value)):
            raise NotPlainError
        return text

    return judge


def _run(value: Any) -> str:
    if ".py" in _text(value):
        raise NotPlainError
    return str(_matching(IMPORT_STRING)(value))


def _duration(value: Any) -> float:
    try:
        seconds = parse_duration(value)
    except ValueError:
        raise NotPlainError from None
    if not math.isfinite(seconds):
        raise NotPlainError
    return seconds


def _positive(value: Any) -> float:
    seconds = _duration(value)
    if seconds <= 0:
        raise NotPlainError
    return seconds


def _size(value: Any) -> int:
    try:
        return parse_size(value)
    except ValueError:
        raise NotPlainError from None


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise NotPlainError
    return [_text(each) for each in value]


def _argv(value: Any) -> list[str]:
    if not value:
        raise NotPlainError
    return _texts(value)


def _host(value: Any) -> str:
    text = _text(value)
    if not text or any(each in "/[]:" or each.isspace() for each in text):
        raise NotPlainError
    return text


def _listen(value: Any) -> str:
    text = _text(value)
    if text not in ("off", "app") and not listen_address(text):
        raise NotPlainError
    return text


def _variables(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(VARIABLE.fullmatch(name) for name in value):
        raise NotPlainError
    if any("\0" in _text(each) for each in value.values()):
        raise NotPlainError
    return dict(value)


JUDGES: Mapping[str, Mapping[str, Judge]] = {
    "app": {
        "name": _matching(NAME),
        "run": _run,
        "command": _argv,
        "socket": _one_of("activation"),
        "interface": _one_of("auto", "asgi", "wsgi"),
        "factory": _flag,
        "host": _host,
        "port": _whole(0, 65535),
        "workers": _whole(1, 1024),
        "spare": _whole(0, 64),
        "ready": _matching(HTTP_PATH),
        "ready_host": _text,
        "ready_timeout": _positive,
        "drain": _duration,
        "stop_timeout": _duration,
        "keep_alive": _duration,
        "hang_timeout": _duration,
        "boot_timeout": _positive,
        "max_requests": _whole(0),
        "max_rss": _size,
        "max_age": _duration,
        "log_level": _one_of("critical", "error", "warning", "info", "debug", "trace"),
        "access_log": _flag,
        "loop": _one_of("auto", "asyncio", "uvloop"),
        "http": _one_of("auto", "h11", "httptools"),
        "debug": _flag,
        "cors_origins": _texts,
        "cors_credentials": _flag,
        "allowed_hosts": _texts,
        "env": _variables,
    },
    "deploy": {
        "target": _one_of("process", "docker", "swarm", "kubernetes"),
        "build": _texts,
        "build_timeout": _positive,
        "release": _text,
        "release_timeout": _positive,
        "bake": _duration,
        "keep": _whole(1),
        "shared": _texts,
        "exclude": _texts,
    },
    "ops": {
        "listen": _listen,
        "token_file": _text,
        "hosts": _texts,
        "read_needs_token": _flag,
        "public_details": _flag,
    },
    "logs": {"max_size": _size, "keep": _whole(1)},
}
