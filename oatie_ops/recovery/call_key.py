"""What tells one call of a service from another, so that a good result is remembered for the same call."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any

# Any of them finds the result. None: the call cannot be told from others.
Keys = tuple[Hashable, ...]


def call_keys(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Keys:
    """By the function itself and by what it is made of, each with its arguments.

    The first holds however the variables around it change meanwhile; the second finds a lambda again that is
    made anew for each call. Empty where an argument cannot be compared.
    """
    while isinstance(function, partial):
        args, kwargs = (*function.args, *args), {**function.keywords, **kwargs}
        function = function.func
    try:
        given = (*map(_frozen, args), *((name, _frozen(value)) for name, value in sorted(kwargs.items())))
        # 1, 1.0 and True are equal, and yet another question.
        asked = (given, tuple(map(type, (*args, *kwargs.values()))))
        hash(asked)
    except (TypeError, RecursionError):
        return ()
    found = ((made_of, asked) for made_of in (_itself(function), _surroundings(function)))
    return tuple(key for key in found if _hashable(key) and key[0] is not None)


def _itself(function: Callable[..., Any]) -> Hashable | None:
    """A method is an object anew at each look; it is compared by its owner's identity."""
    if getattr(function, "__self__", None) is not None:
        return function
    try:
        return weakref.ref(function)
    except TypeError:
        return function


def _surroundings(function: Callable[..., Any]) -> Hashable | None:
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    # The same code with the same variables around it is the same call.
    try:
        around = tuple(cell.cell_contents for cell in getattr(function, "__closure__", None) or ())
    except ValueError:  # a variable that has no value (yet)
        return None
    defaults = getattr(function, "__kwdefaults__", None) or {}
    return (
        code,
        around,
        getattr(function, "__defaults__", None),
        tuple(sorted(defaults.items())),
        id(getattr(function, "__globals__", None)),
        getattr(function, "__self__", None),
    )


def _frozen(value: Any) -> Any:
    """Lists, sets and mappings as they are now, in a form that can be hashed."""
    if isinstance(value, list | tuple):
        return (type(value), *map(_frozen, value))
    if isinstance(value, dict):
        return (dict, frozenset((key, _frozen(item)) for key, item in value.items()))
    if isinstance(value, set):
        return frozenset(value)
    return bytes(value) if isinstance(value, bytearray) else value


def _hashable(key: object) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True
