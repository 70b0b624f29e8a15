"""What every table of the file has in common."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Table(BaseModel):
    """Unknown keys are errors, and nothing is converted silently.

    A start waits for these classes, so each is built when something is validated with it, and the string
    below a field is its description in the JSON Schema only.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema)["properties"]
        for name, text in _descriptions(cls):
            properties[name].setdefault("description", text)
        return schema


def _descriptions(table: type[Table]) -> Iterator[tuple[str, str]]:
    for kind in table.__mro__:
        if issubclass(kind, Table):
            yield from _texts_below_fields(kind.__module__).get(kind.__name__, {}).items()


@cache
def _texts_below_fields(module: str) -> Mapping[str, Mapping[str, str]]:
    """By class and field, the string that stands below the field."""
    definitions = ast.parse(inspect.getsource(sys.modules[module])).body
    return {each.name: dict(_of_class(each)) for each in definitions if isinstance(each, ast.ClassDef)}


def _of_class(definition: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(definition.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as text)):
                yield name, inspect.cleandoc(text)
