"""The packed word: what goes in comes out, and its deadline is judged without unpacking."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.degradation.word import TICKS_PER_SECOND, Owner, Word, level_now, pack, unpack

levels = st.integers(0, 100)
owners = st.sampled_from(Owner)
deadlines = st.none() | st.floats(0.0, 3e8, allow_nan=False)
words = st.builds(Word, levels, owners, st.integers(0, 65_535), deadlines)


@given(words)
def test_a_word_fits_into_64_bits_and_comes_back_with_a_deadline_that_is_not_earlier(word: Word) -> None:
    value = pack(word)
    assert 0 <= value < 1 << 64
    back = unpack(value)
    assert (back.level, back.owner, back.generation) == (word.level, word.owner, word.generation)
    if word.deadline_seconds is None:
        assert back.deadline_seconds is None
    else:
        assert back.deadline_seconds is not None
        assert 0 <= back.deadline_seconds - word.deadline_seconds <= 1 / TICKS_PER_SECOND


@given(words, st.floats(0.0, 3e8, allow_nan=False))
def test_the_level_now_is_that_of_the_unpacked_word(word: Word, now_seconds: float) -> None:
    value = pack(word)
    unpacked = unpack(value)
    assert level_now(value, now_seconds) == (0 if unpacked.over(now_seconds) else unpacked.level)


def test_the_generation_wraps() -> None:
    assert unpack(pack(Word(generation=65_536 + 7))).generation == 7


def test_the_layout_is_the_documented_one() -> None:
    word = Word(level=50, owner=Owner.OPERATOR, generation=0x0102, deadline_seconds=2.0)
    assert pack(word).to_bytes(8, "little") == bytes([50, 4, 0x02, 0x01, 16, 0, 0, 0])


def test_operators_rank_above_breakers_above_load() -> None:
    assert Owner.OPERATOR > Owner.BREAKER > Owner.APPLICATION > Owner.LOAD > Owner.NOBODY
