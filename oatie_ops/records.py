"""`dataclasses.dataclass` at a sixth of its price, for what is imported on the way of a command.

The standard one writes and compiles up to six methods when a class is made, whether anybody calls them or
not: for some ninety classes that was a third of the time that `oatie start` takes until it asks for a
worker. Here the fields are the standard library's (``fields``, ``asdict``, ``replace`` work), four methods
are shared closures, and ``__init__`` is compiled when the first instance is made.

Takes ``frozen`` and no other option; no ``InitVar``. Classes derive from others that were made here only.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

_MAKE = object()  # the default of what a factory makes


def _dataclass(cls: Any = None, /, *, frozen: bool = False) -> Any:
    if cls is None:
        return lambda each: _dataclass(each, frozen=frozen)
    own = set(vars(cls))
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__  # else the standard library writes a signature there
    dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    fields = dataclasses.fields(cls)
    methods: dict[str, Any] = {
        "__init__": _first_init(cls, frozen),
        "__repr__": _repr([each.name for each in fields if each.repr]),
        "__eq__": _eq(_values([each.name for each in fields if each.compare])),
    }
    if frozen:
        hashed = [each.name for each in fields if (each.compare if each.hash is None else each.hash)]
        methods |= {
            "__hash__": _hash(_values(hashed)),
            "__setattr__": _refuse_set(cls, frozenset(each.name for each in fields)),
            "__delattr__": _refuse_del(cls, frozenset(each.name for each in fields)),
        }
    for name, method in methods.items():
        if name not in own:
            setattr(cls, name, method)
    if not frozen and "__hash__" not in own:
        cls.__hash__ = None
    return cls


def _first_init(cls: Any, frozen: bool) -> Callable[..., None]:
    def __init__(self: Any, /, *args: Any, **kwargs: Any) -> None:
        # Two threads may both do this: it is the same function.
        cls.__init__ = init = _compiled_init(cls, frozen)
        init(self, *args, **kwargs)

    return __init__


def _compiled_init(cls: Any, frozen: bool) -> Callable[..., None]:
    names: dict[str, Any] = {"_MAKE": _MAKE, "_set": object.__setattr__}
    anywhere, by_name, body = ["self"], ["*"], ["pass"]
    for each in dataclasses.fields(cls):
        name, value, default = each.name, each.name, ""
        if each.default is not dataclasses.MISSING:
            names[f"_default_{name}"], default = each.default, f"=_default_{name}"
        elif each.default_factory is not dataclasses.MISSING:
            names[f"_make_{name}"], default = each.default_factory, "=_MAKE"
            value = f"_make_{name}() if {name} is _MAKE else {name}" if each.init else f"_make_{name}()"
        if each.init:
            (by_name if each.kw_only else anywhere).append(name + default)
        if each.init or each.default_factory is not dataclasses.MISSING:
            body.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ", ".join(anywhere + (by_name if len(by_name) > 1 else []))
    lines = "\n".join(f"    {line}" for line in body)
    exec(f"def __init__({parameters}):\n{lines}\n", names)
    init: Callable[..., None] = names["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _values(names: list[str]) -> Callable[[Any], Any]:
    return operator.attrgetter(*names) if names else lambda _self: ()


def _repr(names: list[str]) -> Callable[[Any], str]:
    @recursive_repr()
    def __repr__(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__


def _eq(values: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def __eq__(self: Any, other: Any) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _hash(values: Callable[[Any], Any]) -> Callable[[Any], int]:
    def __hash__(self: Any) -> int:
        return hash(values(self))

    return __hash__


def _refuse_set(cls: Any, fields: frozenset[str]) -> Callable[[Any, str, Any], None]:
    """What a subclass adds of its own, it may set."""

    def __setattr__(self: Any, name: str, value: Any) -> None:
        if type(self) is cls or name in fields:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    return __setattr__


def _refuse_del(cls: Any, fields: frozenset[str]) -> Callable[[Any, str], None]:
    def __delattr__(self: Any, name: str) -> None:
        if type(self) is cls or name in fields:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return __delattr__


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
