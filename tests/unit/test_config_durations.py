"""Durations and sizes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.config.durations import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30s", 30.0),
        ("500ms", 0.5),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("1.5s", 1.5),
        ("1d", 86400.0),
        (" 5s ", 5.0),
        ("90", 90.0),
        (0, 0.0),
        (2.5, 2.5),
    ],
)
def test_duration_is_read_as_seconds(written: object, seconds: float) -> None:
    assert parse_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "s",
        "30x",
        "30 s",
        "-5s",
        "1e3",
        "5s4",
        "٣s",
        "inf",
        "nan",
        -1,
        True,
        None,
        [],
        float("inf"),
        10**400,
    ],
)
def test_anything_else_is_no_duration_and_is_not_repeated(written: object) -> None:
    with pytest.raises(ValueError, match="is not a duration") as caught:
        parse_duration(written)
    assert not isinstance(written, str) or len(written) < 4 or written not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("512MB", 512_000_000),
        ("512MiB", 512 * 2**20),
        ("1 GiB", 2**30),
        ("1.5kB", 1500),
        ("10b", 10),
        ("42", 42),
        (7, 7),
        (8.0, 8),
    ],
)
def test_size_is_read_as_bytes(written: object, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize("written", ["512M", "1G", "MB", "-1MB", "1.5", 1.5, True, None, "1 2MB3", "²MB"])
def test_ambiguous_or_wrong_sizes_are_refused(written: object) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(written)


@given(st.integers(min_value=0, max_value=10**10))
def test_formatted_duration_reads_back_exactly(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@given(st.integers(min_value=0, max_value=2**50))
def test_formatted_size_reads_back_exactly(size: int) -> None:
    assert parse_size(format_size(size)) == size
