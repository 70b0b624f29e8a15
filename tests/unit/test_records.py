"""The quick dataclasses behave as the standard library's, side by side."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from oatie_ops import records

Decorator = Callable[..., Any]
DECORATORS = [dataclasses.dataclass, records.dataclass]


def _frozen(decorator: Decorator) -> Any:
    @decorator(frozen=True)
    class Point:
        """A place."""

        x: int
        y: int = 0
        tags: list[str] = dataclasses.field(default_factory=list, hash=False)
        hidden: str = dataclasses.field(default="h", repr=False, compare=False)
        derived: int = dataclasses.field(init=False, default=7)
        named: int = dataclasses.field(default=1, kw_only=True)

        def __post_init__(self) -> None:
            object.__setattr__(self, "derived", self.x + self.y)

    return Point


def _open(decorator: Decorator) -> Any:
    @decorator
    class Basket:
        owner: str
        items: dict[str, int] = dataclasses.field(default_factory=dict)
        made: list[int] = dataclasses.field(init=False, default_factory=list)

        def __repr__(self) -> str:
            return "own words"

    return Basket


@records.dataclass(frozen=True)
class Packed:
    name: str
    size: int = 3


@pytest.mark.parametrize(
    "arguments",
    [((1,), {}), ((1, 2), {}), ((1, 2, ["a"], "b"), {"named": 4}), ((), {"x": 5, "hidden": "z"})],
)
def test_an_instance_is_that_of_the_standard_library(arguments: tuple[Any, dict[str, Any]]) -> None:
    theirs, ours = (_frozen(decorator)(*arguments[0], **arguments[1]) for decorator in DECORATORS)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert repr(ours).rpartition("Point")[2] == repr(theirs).rpartition("Point")[2]
    assert hash(ours) == hash(theirs)
    assert ours.__match_args__ == theirs.__match_args__


@pytest.mark.parametrize("arguments", [(), (1, 2, [], "b", 5), (1, 2, [], "b", 5, 6)])
def test_wrong_arguments_are_refused_in_the_same_words(arguments: tuple[Any, ...]) -> None:
    said = []
    for decorator in DECORATORS:
        with pytest.raises(TypeError) as caught:
            _frozen(decorator)(*arguments)
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("decorator", DECORATORS)
def test_equality_goes_by_what_is_compared_and_by_the_class(decorator: Decorator) -> None:
    kind, other = _frozen(decorator), _frozen(decorator)
    assert kind(1, hidden="a") == kind(1, hidden="b")
    assert kind(1) != kind(2)
    assert kind(1) != other(1)


@pytest.mark.parametrize("decorator", DECORATORS)
def test_what_is_frozen_stays_as_it_is(decorator: Decorator) -> None:
    point = _frozen(decorator)(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
        del point.x
    assert dataclasses.replace(point, x=9).derived == 9


@pytest.mark.parametrize("decorator", DECORATORS)
def test_what_is_not_frozen_may_change_and_has_no_hash(decorator: Decorator) -> None:
    kind = _open(decorator)
    one, two = kind("a"), kind("a")
    assert one.items is not two.items
    assert one.made is not two.made
    one.owner = "b"
    assert one != two
    assert repr(one) == "own words"
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


@pytest.mark.parametrize("decorator", DECORATORS)
def test_a_subclass_has_the_fields_of_both(decorator: Decorator) -> None:
    base: Any = _frozen(decorator)

    @decorator(frozen=True)
    class Place(base):  # type: ignore[misc]
        label: str = "here"

    assert [each.name for each in dataclasses.fields(Place)][-1] == "label"
    assert Place(1, label="there").label == "there"
    assert base(1).x == 1


def test_instances_travel_and_are_copied() -> None:
    packed = Packed("a", 4)
    assert pickle.loads(pickle.dumps(packed)) == packed
    assert copy.deepcopy(packed) == copy.copy(packed) == packed


def test_the_first_instances_may_be_made_by_several_threads_at_once() -> None:
    made: list[Any] = []
    for _ in range(20):
        kind, barrier = _frozen(records.dataclass), threading.Barrier(4)

        def make(kind: Any = kind, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            made.append(kind(1))

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [point.x for point in made] == [1] * 80


@pytest.mark.parametrize("decorator", DECORATORS)
def test_what_is_derived_by_hand_may_set_what_is_its_own(decorator: Decorator) -> None:
    class Own(_frozen(decorator)):  # type: ignore[misc]
        pass

    own = Own(1)
    own.note = "mine"
    assert own.note == "mine"
    del own.note
    with pytest.raises(dataclasses.FrozenInstanceError):
        own.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del own.x
