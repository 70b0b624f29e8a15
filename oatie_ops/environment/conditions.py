"""The small language of the signal table: conditions over `Facts` that can also say what they read.

``holds(facts)`` decides; ``str(condition)`` is the sentence for `oatie detect --explain`; ``seen(facts)``
is the part of it that held, for the evidence. None of them ever repeats a variable's value: only names
and the constants of the table are printed, so no evidence can carry a secret.

Plain classes and string tests: dataclasses and regular expressions would cost tens of milliseconds at
import, for every command.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from oatie_ops.environment.facts import Facts


class Condition(ABC):
    __slots__ = ()

    @abstractmethod
    def holds(self, facts: Facts) -> bool: ...

    def seen(self, facts: Facts) -> str:
        """The part of this condition that held."""
        return str(self)


class Env(Condition):
    """A variable is set, and to more than white space."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def holds(self, facts: Facts) -> bool:
        return bool(facts.env(self.name).strip())

    def __str__(self) -> str:
        return f"${self.name}"


class Flag(Condition):
    """A variable is set, and to anything but 0, false, no or off; to one of these where not `wanted`."""

    __slots__ = ("name", "wanted")

    def __init__(self, name: str, wanted: bool = True) -> None:
        self.name = name
        self.wanted = wanted

    def holds(self, facts: Facts) -> bool:
        return bool(facts.env(self.name).strip()) and facts.flag(self.name) is self.wanted

    def __str__(self) -> str:
        return f"${self.name} is {'true' if self.wanted else 'false'}"


def _is(text: str, value: str) -> bool:
    return text == value


def _starts(text: str, value: str) -> bool:
    return text.startswith(value)


def _ends(text: str, value: str) -> bool:
    return text.endswith(value)


def _contains(text: str, value: str) -> bool:
    return value in text


TextTest = Callable[[str, str], bool]
_WORDS: dict[TextTest, str] = {_is: "is", _starts: "starts with", _ends: "ends with", _contains: "contains"}


class Text(Condition):
    """A variable, file or DMI field compared with constants, without case; an empty text matches none."""

    __slots__ = ("label", "read", "test", "values")

    def __init__(
        self, label: str, read: Callable[[Facts], str], test: TextTest, values: tuple[str, ...]
    ) -> None:
        self.label = label
        self.read = read
        self.test = test
        self.values = values

    def holds(self, facts: Facts) -> bool:
        text = self.read(facts).strip().lower()
        return bool(text) and any(self.test(text, value.lower()) for value in self.values)

    def __str__(self) -> str:
        return f"{self.label} {_WORDS[self.test]} {' or '.join(self.values)}"


class Fact(Condition):
    """Anything that needs a parser; `words` say what it looks for."""

    __slots__ = ("test", "words")

    def __init__(self, words: str, test: Callable[[Facts], bool]) -> None:
        self.words = words
        self.test = test

    def holds(self, facts: Facts) -> bool:
        return self.test(facts)

    def __str__(self) -> str:
        return self.words


class All(Condition):
    __slots__ = ("parts",)

    def __init__(self, parts: tuple[Condition, ...]) -> None:
        self.parts = parts

    def holds(self, facts: Facts) -> bool:
        return all(part.holds(facts) for part in self.parts)

    def seen(self, facts: Facts) -> str:
        return ", ".join(part.seen(facts) for part in self.parts if not isinstance(part, Not))

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, AnyOf) else str(part) for part in self.parts)


class AnyOf(Condition):
    __slots__ = ("parts",)

    def __init__(self, parts: tuple[Condition, ...]) -> None:
        self.parts = parts

    def holds(self, facts: Facts) -> bool:
        return any(part.holds(facts) for part in self.parts)

    def seen(self, facts: Facts) -> str:
        return ", ".join(part.seen(facts) for part in self.parts if part.holds(facts))

    def __str__(self) -> str:
        return " or ".join(str(part) for part in self.parts)


class Not(Condition):
    __slots__ = ("part",)

    def __init__(self, part: Condition) -> None:
        self.part = part

    def holds(self, facts: Facts) -> bool:
        return not self.part.holds(facts)

    def __str__(self) -> str:
        return f"not ({self.part})"


def env(*names: str) -> Condition:
    """All of these variables are set."""
    return Env(names[0]) if len(names) == 1 else All(tuple(Env(name) for name in names))


def any_env(*names: str) -> Condition:
    return AnyOf(tuple(Env(name) for name in names))


def flag(name: str) -> Condition:
    return Flag(name)


def falsy(name: str) -> Condition:
    """Set to 0, false, no or off; unset is not enough."""
    return Flag(name, wanted=False)


def _env_text(name: str, test: TextTest, *values: str) -> Condition:
    return Text(f"${name}", lambda facts: facts.env(name), test, values)


def env_is(name: str, *values: str) -> Condition:
    return _env_text(name, _is, *values)


def env_starts(name: str, prefix: str) -> Condition:
    return _env_text(name, _starts, prefix)


def env_contains(name: str, part: str) -> Condition:
    return _env_text(name, _contains, part)


def env_ends(name: str, suffix: str) -> Condition:
    return _env_text(name, _ends, suffix)


def exists(path: str) -> Condition:
    return Fact(f"{path} exists", lambda facts: facts.exists(path))


def file_starts(path: str, prefix: str) -> Condition:
    return Text(path, lambda facts: facts.text(path) or "", _starts, (prefix,))


def file_contains(path: str, *parts: str) -> Condition:
    return Text(path, lambda facts: facts.text(path) or "", _contains, parts)


def _dmi(field: str, test: TextTest, value: str) -> Condition:
    return Text(f"DMI {field}", lambda facts: facts.dmi(field), test, (value,))


def dmi(field: str, value: str) -> Condition:
    """A field of /sys/class/dmi/id is this; all but serial and uuid are readable without root."""
    return _dmi(field, _is, value)


def dmi_starts(field: str, prefix: str) -> Condition:
    return _dmi(field, _starts, prefix)


def dmi_contains(field: str, part: str) -> Condition:
    return _dmi(field, _contains, part)


def dmi_ends(field: str, suffix: str) -> Condition:
    return _dmi(field, _ends, suffix)


def fact(words: str, test: Callable[[Facts], bool]) -> Condition:
    return Fact(words, test)


def every(*parts: Condition) -> Condition:
    return All(parts)


def any_of(*parts: Condition) -> Condition:
    return AnyOf(parts)


def no(part: Condition) -> Condition:
    return Not(part)
