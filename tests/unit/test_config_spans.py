"""The position index follows the same structure as the parser of record, whatever the style of the file."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oatie_ops.config.spans import index, paths, unix_lines

TRICKY = st.sampled_from(list("abzAZ09-_ .#=[]{},\"'\\\n\t\u00e9\u20ac\U0001f600"))
WORDS = st.text(TRICKY, max_size=8)
SCALARS = st.one_of(
    st.integers(-(10**6), 10**6),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    WORDS,
    st.sampled_from(["1979-05-27T07:32:00Z", "07:32:00", "1979-05-27"]).map(lambda text: ("raw", text)),
)
KEYS = st.one_of(st.text(st.sampled_from("abcXYZ01-_"), min_size=1, max_size=5), WORDS)
TREES = st.recursive(
    st.dictionaries(KEYS, SCALARS, max_size=4),
    lambda inner: st.dictionaries(
        KEYS,
        st.one_of(SCALARS, inner, st.lists(SCALARS, max_size=3), st.lists(inner, max_size=3)),
        max_size=4,
    ),
    max_leaves=12,
)


class Writer:
    """Renders a tree as TOML; every choice of style is drawn."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def choose(self, *styles: str) -> str:
        return str(self.draw(st.sampled_from(styles)))

    def document(self, tree: dict[str, Any]) -> str:
        text = "\n".join(self.table(tree, "")) + self.choose("", "\n")
        return text.replace("\n", "\r\n") if self.choose("lf", "crlf") == "crlf" else text

    def table(self, tree: dict[str, Any], prefix: str) -> list[str]:
        plain, opened = [], []
        for key, value in tree.items():
            name = self.key(key)
            style = self.choose("inline", "dotted", "header")
            if isinstance(value, dict) and style == "header":
                dot = self.choose(".", " . ")
                opened += [f"[{prefix}{name}]{self.comment()}", *self.table(value, f"{prefix}{name}{dot}")]
            elif _is_tables(value) and style == "header":
                for element in value:
                    opened += [f"[[ {prefix}{name} ]]", *self.table(element, f"{prefix}{name}.")]
            elif isinstance(value, dict) and value and style == "dotted":
                plain += [f"{name}{self.choose('.', ' . ')}{line}" for line in self.pairs(value)]
            else:
                plain.append(f"{self.indent()}{name} = {self.value(value, 'top')}{self.comment()}")
        return [*plain, *opened]

    def pairs(self, tree: dict[str, Any]) -> list[str]:
        return [f"{self.key(key)} = {self.value(value, 'top')}" for key, value in tree.items()]

    def value(self, value: Any, where: str) -> str:
        if isinstance(value, tuple):
            return str(value[1])
        if isinstance(value, dict):
            inside = ", ".join(f"{self.key(k)} = {self.value(v, 'inline')}" for k, v in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        if isinstance(value, list):
            gap = self.choose(" ", "\n", " # ] note\n") if where != "inline" else " "
            end = self.choose("", ",") if value else ""
            return f"[{gap}{f',{gap}'.join(self.value(v, 'inline') for v in value)}{end}{gap}]"
        return self.string(value) if isinstance(value, str) else json.dumps(value)

    def string(self, text: str) -> str:
        styles = ["basic", "long"]
        printable = not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text)
        if printable and "'" not in text:
            styles.append("literal")
        if "'" not in text:
            styles.append("long literal")
        style = self.choose(*styles)
        if style == "literal":
            return f"'{text}'"
        if style == "long literal":
            return f"'''{text}'''"
        if style == "long":
            escaped = text.replace("\\", "\\\\").replace('"""', '""\\"').removesuffix('"')
            tail = '\\"' if text.endswith('"') else ""
            return f'"""{escaped}{tail}"""'
        return _basic(text)

    def key(self, key: str) -> str:
        if re.fullmatch(r"[A-Za-z0-9_-]+", key) and self.choose("bare", "quoted") == "bare":
            return key
        if "'" not in key and "\n" not in key and self.choose("basic", "literal") == "literal":
            return f"'{key}'"
        return _basic(key)

    def indent(self) -> str:
        return self.choose("", "  ", "\t")

    def comment(self) -> str:
        return self.choose("", " # x = [", "\n# [no]\n")


def _basic(text: str) -> str:
    # TOML has no surrogate pairs.
    return json.dumps(text, ensure_ascii=all(ord(char) < 0x10000 for char in text))


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(element, dict) for element in value)


@st.composite
def documents(draw: st.DrawFn) -> str:
    return Writer(draw).document(draw(TREES))


@settings(max_examples=300)
@given(documents())
def test_the_paths_are_those_of_the_parsed_document(text: str) -> None:
    assert set(index(text)) == set(paths(tomllib.loads(text)))


@settings(max_examples=150)
@given(documents())
def test_each_span_holds_its_key_and_its_value(text: str) -> None:
    """What stands at the position, parsed on its own, is the key and the value of that path."""
    data, plain = tomllib.loads(text), unix_lines(text)
    lines = plain.split("\n")
    for path, span in index(text).items():
        value = _at(data, path)
        written = plain[span.start : span.start + span.length]
        assert lines[span.line - 1][span.column - 1 :].startswith(written.split("\n")[0])
        if isinstance(path[-1], str):
            assert _key_of(written) == path[-1]
        if not isinstance(value, dict | list):
            assert tomllib.loads(f"x = {plain[span.value_start : span.value_end]}")["x"] == value


def _at(data: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        data = data[part]
    return data


def _key_of(written: str) -> str:
    [(key, _)] = tomllib.loads(f"{written} = 0").items()
    return key


@pytest.mark.parametrize(
    ("text", "path", "line", "column"),
    [
        ("a = 1\nb.c = 2\n", ("b", "c"), 2, 3),
        ('[t]\n  "q k" = 1', ("t", "q k"), 2, 3),
        ("x = [\n  1,\n  { y = 2 },\n]", ("x", 1, "y"), 3, 5),
        ("[[t]]\n[[t]]\nk = 1", ("t", 1, "k"), 3, 1),
        ('s = """\n[no]\n"""\nk = 1', ("k",), 4, 1),
        ("\u20ac = 1".replace("\u20ac", '"\u20ac"') + "\nk={z='#'}", ("k", "z"), 2, 4),
    ],
)
def test_positions_count_from_one(text: str, path: tuple[str | int, ...], line: int, column: int) -> None:
    span = index(text)[path]
    assert (span.line, span.column) == (line, column)
