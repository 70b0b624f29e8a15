"""What the description of a switch's duration allows is what is accepted."""

from __future__ import annotations

import re
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter

from oatie_ops.api.lasting import LASTING
from oatie_ops.api.models import MAX_WINDOW_SECONDS
from oatie_ops.config.durations import parse_duration

ADAPTER: TypeAdapter[str] = TypeAdapter(Annotated[str, Field(pattern=LASTING)])
GOOD = ("1ms", "0.5s", "30s", "90", "1h30m", "2d4h", "0h5m", "36h", "2000h", "525.5", "299d", "400000m")
GOOD_TOO = ("permanent", "0001s", "10d", "100ms", "1000000", "0d0h0m0s1ms", "20.000s")
BAD = ("0ms", "0", "0s", "0h0m", "0.0s", "00", "-1h", "", "1h ", "9999d", "99999h", "1hour", "permanently")


@pytest.mark.parametrize("text", GOOD + GOOD_TOO)
def test_what_people_write_is_allowed(text: str) -> None:
    assert ADAPTER.validate_python(text) == text


@pytest.mark.parametrize("text", BAD)
def test_no_time_and_more_than_a_year_are_not(text: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        ADAPTER.validate_python(text)


@settings(max_examples=200)
@given(st.from_regex(LASTING, fullmatch=True))
def test_whatever_the_pattern_allows_is_a_time_that_is_accepted(text: str) -> None:
    assert text == "permanent" or 0 < parse_duration(text) <= MAX_WINDOW_SECONDS


def test_both_engines_agree() -> None:
    """The description is read by others than pydantic."""
    for text in GOOD + GOOD_TOO:
        assert re.search(LASTING, text)
    for text in BAD:
        assert not re.search(LASTING, text)
