"""Types of single values in the file, for the pydantic schema.

Every message is fixed text: pydantic would otherwise put the value, which may be a secret, into it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from oatie_ops.config.address import listen_address
from oatie_ops.config.durations import parse_duration, parse_size
from oatie_ops.config.interpolate import has_reference
from oatie_ops.config.patterns import HTTP_PATH, IMPORT_STRING, NAME, VARIABLE

# In the JSON Schema: the value may hold a secret and is masked wherever it is shown.
SENSITIVE: dict[str, Any] = {"x-sensitive": True}

RUN_HELP = 'write module:attribute, such as "main:app" or "shop.asgi:application"'
_LOG_LEVEL_ALIASES = {"warn": "warning", "fatal": "critical"}


def refuse(message: str, *, hint: str = "") -> PydanticCustomError:
    return PydanticCustomError("oatie", "{text}", {"text": message, "hint": hint})


def _from_value_error(parse: Callable[[object], Any]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            message, _, hint = str(error).partition(": ")
            raise refuse(message, hint=hint) from None

    return convert


def _positive(value: float) -> float:
    if value <= 0:
        raise refuse("must be more than 0")
    return value


Duration = Annotated[
    float,
    BeforeValidator(_from_value_error(parse_duration)),
    WithJsonSchema({"type": ["string", "number"], "x-kind": "duration", "examples": ["30s", "500ms", 30]}),
]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
Size = Annotated[
    int,
    BeforeValidator(_from_value_error(parse_size)),
    WithJsonSchema({"type": ["string", "integer"], "x-kind": "size", "examples": ["512MB", "1GiB"]}),
]


def _matching(pattern: re.Pattern[str], message: str, hint: str = "") -> AfterValidator:
    def check(value: str) -> str:
        if not has_reference(value) and not pattern.fullmatch(value):
            raise refuse(message, hint=hint)
        return value

    return AfterValidator(check)


def _run(value: str) -> str:
    if value.removesuffix("()") != value and IMPORT_STRING.fullmatch(value.removesuffix("()")):
        raise refuse("is called with parentheses", hint="leave out the (); a factory is recognised")
    if "/" in value or ".py" in value:
        raise refuse("is a file path, not an import string", hint=RUN_HELP)
    if not has_reference(value) and not IMPORT_STRING.fullmatch(value):
        raise refuse("is not an import string", hint=RUN_HELP)
    return value


ImportString = Annotated[str, AfterValidator(_run)]
Name = Annotated[str, _matching(NAME, "must be a name of letters, digits, `-`, `_` and `.`")]
RoutePattern = Annotated[str, _matching(re.compile(r"/.*"), "must start with `/`")]
HttpPath = Annotated[str, _matching(HTTP_PATH, "must be a path that starts with `/`", 'such as "/ready"')]
Port = Annotated[int, Field(ge=0, le=65535)]


def _host(value: str) -> str:
    bare = value.removeprefix("[").removesuffix("]")
    if has_reference(value):
        return value
    if not bare or "/" in bare or bare.count(":") == 1 or any(c.isspace() for c in bare):
        raise refuse(
            "must be an address or a host name alone", hint='such as "0.0.0.0"; the port has its own key'
        )
    return bare


Host = Annotated[str, AfterValidator(_host)]


def _log_level(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    lower = value.strip().lower()
    return _LOG_LEVEL_ALIASES.get(lower, lower)


LogLevel = Annotated[
    Literal["critical", "error", "warning", "info", "debug", "trace"], BeforeValidator(_log_level)
]


def _listen(value: str) -> str:
    if value in ("off", "app") or has_reference(value) or listen_address(value):
        return value
    raise refuse('must be "host:port" or "off"', hint='such as "127.0.0.1:8000"')


Listen = Annotated[str, AfterValidator(_listen)]


Origin = Annotated[
    str,
    _matching(
        re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"),
        "must be an origin in lower case, without a path",
        'such as "https://grafana.example"; "*" would be everybody',
    ),
]


def _string_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


# One string is taken for a list of one.
Strings = Annotated[
    list[str],
    BeforeValidator(_string_list),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}),
]


def _argv(value: Any) -> Any:
    if isinstance(value, str):
        raise refuse(
            "must be a list: the program and its arguments, each in quotes",
            hint='such as command = ["node", "server.js"]; for a shell: ["sh", "-c", "…"]',
        )
    if isinstance(value, list) and not value:
        raise refuse("is empty", hint='such as command = ["node", "server.js"]')
    return value


Argv = Annotated[
    list[str],
    BeforeValidator(_argv),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "x-argv": True}),
]


def _environment_text(value: Any) -> Any:
    """TOML's true and 8 are what people mean by "true" and "8" in an environment."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str) and "\0" in value:
        raise refuse("holds a NUL, which no environment variable can")
    return value


EnvironmentText = Annotated[
    str,
    BeforeValidator(_environment_text),
    WithJsonSchema({"type": ["string", "number", "boolean"], **SENSITIVE}),
]
VariableName = Annotated[str, _matching(VARIABLE, "is not a name for an environment variable")]
SecretText = Annotated[str, Field(json_schema_extra=SENSITIVE)]


def url_of(*schemes: str) -> AfterValidator:
    """What stands after the scheme is not judged here, and never shown."""

    def check(value: str) -> str:
        scheme, separator, rest = value.partition("://")
        if not has_reference(value) and (scheme.lower() not in schemes or not separator or not rest):
            raise refuse(f"must start with {' or '.join(f'{name}://' for name in schemes)}")
        return value

    return AfterValidator(check)


AcmeUrl = Annotated[str, url_of("https", "http")]
ShareUrl = Annotated[SecretText, url_of("redis", "rediss", "unix", "postgresql", "postgres")]
