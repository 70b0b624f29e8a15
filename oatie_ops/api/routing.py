"""Routes, declared as FastAPI has them declared and served by Starlette alone.

FastAPI and the models of its descriptions are a quarter of what a supervisor may weigh, and all that they do
here for a request is to check a handful of parameters. So a supervisor loads neither: parameters are checked
by pydantic at the first request that brings some, and `oatie_ops.api.describe` hands the same declarations
to FastAPI, in a checkout, to write the OpenAPI description that is served.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route, compile_path

if typing.TYPE_CHECKING:
    from pydantic import TypeAdapter

Handler = Callable[..., Awaitable[Response]]
H = TypeVar("H", bound=Handler)
Problem = dict[str, Any]
_MISSING: Any = inspect.Parameter.empty
# Of the options of a parameter, those that bind its values; the others describe it.
_CONSTRAINTS = frozenset({"gt", "ge", "lt", "le", "max_length", "min_length", "pattern", "allow_inf_nan"})


class InvalidRequest(Exception):
    """``problems``: of each wrong parameter ``loc`` (where it came from, its name, …) and ``msg``."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("the request is not valid")
        self.problems = problems


class Marker:
    """In an annotation: where a parameter comes from. The options are those of FastAPI's own."""

    source = ""

    def __init__(self, **options: Any) -> None:
        self.options = options


class Query(Marker):
    source = "query"


class Path(Marker):
    source = "path"


class Body(Marker):
    source = "body"


@dataclass(frozen=True)
class Depends:
    """The value is what ``find`` makes of the request; it may refuse it. Described as the need of a token."""

    find: Callable[[Request], Awaitable[Any]]


@dataclass(frozen=True)
class Declared:
    """``options``: what a description tells of the route besides what its handler says itself."""

    method: str
    path: str
    handler: Handler
    dependencies: tuple[Depends, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


class APIRouter:
    def __init__(self, *, tags: Sequence[str] = ()) -> None:
        self.tags = tags
        self.declared: list[Declared] = []

    def get(self, path: str, **options: Any) -> Callable[[H], H]:
        return self._add("GET", path, options)

    def post(self, path: str, **options: Any) -> Callable[[H], H]:
        return self._add("POST", path, options)

    def delete(self, path: str, **options: Any) -> Callable[[H], H]:
        return self._add("DELETE", path, options)

    def _add(self, method: str, path: str, options: dict[str, Any]) -> Callable[[H], H]:
        dependencies = tuple(options.pop("dependencies", ()))

        def add(handler: H) -> H:
            self.declared.append(Declared(method, path, handler, dependencies, options))
            return handler

        return add


def served(routers: Iterable[APIRouter]) -> list[Route]:
    return [ServedRoute(declared) for router in routers for declared in router.declared]


class ServedRoute(Route):
    """Reads the handler's signature at the first request and not before."""

    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        self._parameters: list[Parameter] | None = None
        super().__init__(declared.path, self._answer, methods=[declared.method])
        self.methods = {declared.method}  # HEAD is made of GET elsewhere
        self.path_regex, self.path_format, self.param_convertors = compile_path(declared.path)

    def matches(self, scope: Any) -> tuple[Match, Any]:
        match, found = super().matches(scope)
        return match, {**found, "route": self} if match is not Match.NONE else found

    async def _answer(self, request: Request) -> Response:
        if self._parameters is None:
            self._parameters = parameters_of(self._declared)
        for dependency in self._declared.dependencies:
            await dependency.find(request)
        values, problems = dict[str, Any](), list[Problem]()
        for parameter in self._parameters:
            value, wrong = await parameter.value(request)
            problems += wrong
            values[parameter.name] = value
        if problems:
            raise InvalidRequest(problems)
        return await self._declared.handler(**values)


@dataclass
class Parameter:
    """One of a handler: ``marker`` None for the request itself."""

    name: str
    hint: Any
    marker: Marker | Depends | None
    default: Any = _MISSING
    _adapter: TypeAdapter[Any] | None = None

    async def value(self, request: Request) -> tuple[Any, list[Problem]]:
        """The value, and what is wrong with it. Raises what a dependency refuses with."""
        marker = self.marker
        if marker is None:
            return request, []
        if isinstance(marker, Depends):
            return await marker.find(request), []
        where: tuple[str, ...] = (marker.source, self.name)
        if isinstance(marker, Body):
            raw, wrong = await _json_of(request)
            where = ("body",)
            if wrong:
                return None, wrong
        else:
            values = request.path_params if isinstance(marker, Path) else request.query_params
            raw = values.get(self.name, _MISSING)
        if raw is not _MISSING:
            return self._checked(raw, where, marker)
        if self.default is _MISSING:
            return None, [{"loc": where, "msg": "Field required"}]
        return self.default, []

    def _checked(self, raw: Any, where: tuple[str, ...], marker: Marker) -> tuple[Any, list[Problem]]:
        bounds = {name: value for name, value in marker.options.items() if name in _CONSTRAINTS}
        if self.hint is str and not bounds:
            return raw, []
        from pydantic import Field, TypeAdapter, ValidationError

        if self._adapter is None:
            hint: Any = Annotated[self.hint, Field(**bounds)] if bounds else self.hint
            self._adapter = TypeAdapter(hint)
        try:
            return self._adapter.validate_python(raw), []
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            return None, [{"loc": (*where, *item["loc"]), "msg": item["msg"]} for item in found]


def parameters_of(declared: Declared) -> list[Parameter]:
    """Dependencies come first: who may not ask does not learn what is wrong with the question."""
    hints = typing.get_type_hints(declared.handler, include_extras=True)
    found = []
    for name, parameter in inspect.signature(declared.handler).parameters.items():
        hint, marker = hints[name], None
        if typing.get_origin(hint) is Annotated:
            base, *extras = typing.get_args(hint)
            marker = next((extra for extra in extras if isinstance(extra, Marker | Depends)), None)
            hint = hint if marker is None else base
        if marker is None and hint is not Request:
            marker = Path() if f"{{{name}}}" in declared.path else Query()
        found.append(Parameter(name, hint, marker, parameter.default))
    return sorted(found, key=lambda parameter: not isinstance(parameter.marker, Depends))


async def _json_of(request: Request) -> tuple[Any, list[Problem]]:
    """The body as JSON where it says to be some; as bytes, which no model takes, where it does not."""
    body = await request.body()
    if not body:
        return _MISSING, []
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(415, "the body is encoded", {"Accept-Encoding": "identity"})
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
        return body, []
    try:
        return json.loads(body), []
    except json.JSONDecodeError as error:
        return None, [{"loc": ("body", error.pos), "msg": "JSON decode error"}]
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body could not be read") from error
