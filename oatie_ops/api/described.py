"""How the routes describe themselves in OpenAPI."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from oatie_ops.api import models
from oatie_ops.api.auth import READER
from oatie_ops.api.problems import MEDIA_TYPE

# Set by `oatie_ops.api.describe`, which writes the description; for who serves the routes it is ballast.
describing = False
# Where `oatie_ops.api.describe` puts the shape of every problem.
PROBLEM = "#/components/schemas/Problem"
Responses = dict[int | str, dict[str, Any]]
# What every path that tells details may answer as well.
GUARDED = (400, 401, 403, 421, 429)
# Added to the security of reading: where only this machine can listen, no token is needed.
OPEN_ON_LOOPBACK: dict[str, Any] = {"security": [{}]}


def described(model: type[models.Shape], *codes: int, problems: tuple[int, ...] = ()) -> Responses:
    """503 has the shape of 200 where it tells health: that is an answer, not a problem."""
    if not describing:
        return {}
    from oatie_ops.api.examples import EXAMPLES

    content = {"application/json": {"example": EXAMPLES[model]}}
    found: Responses = {code: {"model": model, "content": content} for code in codes}
    return found | refused(*problems)


def readable(model: type[models.Shape], *problems: int) -> dict[str, Any]:
    """The options of a route that tells details, answers 200, and may answer with these problems."""
    return {
        "responses": described(model, 200, problems=(*problems, *GUARDED)),
        "dependencies": [READER],
        "openapi_extra": OPEN_ON_LOOPBACK,
    }


def refused(*codes: int) -> Responses:
    if not describing:
        return {}
    from oatie_ops.api.examples import EXAMPLES

    example = EXAMPLES[models.Problem]
    return {
        code: {
            "description": HTTPStatus(code).phrase,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": PROBLEM},
                    "example": {**example, "title": HTTPStatus(code).phrase, "status": code},
                }
            },
        }
        for code in codes
    }
