"""Makes the OpenAPI description of the ops API, by FastAPI, from the routes' own declarations.

Who changes a route runs ``python -m oatie_ops.api.describe oatie_ops/api/openapi.json``; what is served is
that file (`oatie_ops.api.description`), so only a checkout needs FastAPI.
"""

from __future__ import annotations

import inspect
import json
import sys
import typing
from pathlib import Path
from typing import Annotated, Any


def describe() -> dict[str, Any]:
    from oatie_ops.api import described

    described.describing = True  # before the routes are imported: they ask at their declaration
    from fastapi import APIRouter, FastAPI

    from oatie_ops._version import __version__
    from oatie_ops.api import app as api
    from oatie_ops.api.models import Problem

    app = FastAPI(
        title=api.TITLE,
        version=__version__,
        summary=api.SUMMARY,
        description=api.ABOUT,
        openapi_tags=api.TAGS,
    )
    for router in api.routers():
        described_router = APIRouter(tags=list(router.tags))
        for declared in router.declared:
            options = {**declared.options}
            if declared.dependencies:
                options["dependencies"] = [_needs_token()]
            described_router.add_api_route(
                declared.path, _signed(declared.handler), methods=[declared.method], **options
            )
        app.include_router(described_router)
    document = app.openapi()
    document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
    return exemplified(document)


# Of parameters by their names, where their own declaration has none.
EXAMPLES = {
    "action": "restart",
    "code": "of-the-link",
    "digest": "1ae9a574bd4b",
    "duration": "30m",
    "from_rung": 1,
    "hours": 1.0,
    "id": 1,
    "level": 50,
    "limit": 20,
    "output": "the queue is long",
    "profile_id": "0123456789abcdef",
    "reason": "slow database",
    "scope": "read",
    "service": "database",
    "status": "warn",
}
SINCE = {"string": "24h", "integer": 0}  # a time for history, a version for the dashboard
PAGE = "<!doctype html>…"


def exemplified(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with an example for each parameter and page."""
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    for operation in operations:
        for parameter in operation.get("parameters", ()):
            schema = parameter["schema"]
            if not {"example", "examples"} & {*parameter, *schema}:
                kinds = {schema.get("type"), *(each.get("type") for each in schema.get("anyOf", ()))}
                since = next((example for kind, example in SINCE.items() if kind in kinds), None)
                name = parameter["name"]
                parameter["example"] = since if name == "since" else EXAMPLES[name]
        for answer in operation["responses"].values():
            page = answer.get("content", {}).get("text/html")
            if page is not None:
                page.setdefault("example", PAGE)
    return document


def _signed(handler: Any) -> Any:
    """A function with the handler's name, words and parameters, these marked as FastAPI knows them."""
    hints = typing.get_type_hints(handler, include_extras=True)
    parameters = [
        parameter.replace(annotation=_translated(hints[name]))
        for name, parameter in inspect.signature(handler).parameters.items()
    ]

    async def described(**_values: Any) -> Any:
        raise NotImplementedError

    described.__name__, described.__doc__ = handler.__name__, handler.__doc__
    described.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        parameters, return_annotation=hints["return"]
    )
    return described


def _translated(hint: Any) -> Any:
    import fastapi

    from oatie_ops.api.examples import EXAMPLES as SHAPES
    from oatie_ops.api.routing import Depends, Marker

    if typing.get_origin(hint) is not Annotated:
        return hint
    base, *extras = typing.get_args(hint)
    for place, extra in enumerate(extras):
        if isinstance(extra, Depends):
            return Annotated[Any, _needs_token()]
        if isinstance(extra, Marker):
            options = {"examples": [SHAPES[base]]} if base in SHAPES else {}
            extras[place] = getattr(fastapi, type(extra).__name__)(**options, **extra.options)
    return Annotated[(base, *extras)]


def _needs_token() -> Any:
    from fastapi import Depends
    from fastapi.security import APIKeyCookie, HTTPBearer

    from oatie_ops.api.auth import COOKIE, COOKIE_WORDS, TOKEN_WORDS

    bearer = HTTPBearer(auto_error=False, description=TOKEN_WORDS)
    cookie = APIKeyCookie(name=COOKIE, auto_error=False, scheme_name="Session", description=COOKIE_WORDS)

    token, session = Depends(bearer), Depends(cookie)

    async def needed(_token: Any = token, _session: Any = session) -> None:
        raise NotImplementedError

    return Depends(needed)


def text() -> str:
    """Indented, so that a change of the API is a change of some lines."""
    return json.dumps(describe(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
