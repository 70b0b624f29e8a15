"""How the routes describe themselves in OpenAPI."""

from __future__ import annotations

from typing import Any

from oatie_ops.api import models

Responses = dict[int | str, dict[str, Any]]
# What every path that tells details may answer as well.
GUARDED = (401, 421)


def described(model: type[models.Shape], *codes: int, problems: tuple[int, ...] = ()) -> Responses:
    """503 has the shape of 200 where it tells health: that is an answer, not a problem."""
    found: Responses = {code: {"model": model} for code in codes}
    return found | refused(*problems)


def refused(*codes: int) -> Responses:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {code: {"model": models.Problem, "content": content} for code in codes}
