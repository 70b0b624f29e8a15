"""The redactor: values in every form, in every chunking, never shown, and nothing else changed."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oatie_ops.secrets.redact import MASK, Redactor, StreamRedactor

VALUE = "pa/ss w0rd+\"'<é>&%=\\end"


def knowing(*values: str | bytes) -> Redactor:
    redactor = Redactor()
    for value in values:
        redactor.remember(value)
    return redactor


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "json": json.dumps,
    "json, unescaped": lambda value: json.dumps(value, ensure_ascii=False),
    "json in json": lambda value: json.dumps(json.dumps({"password": value})),
    "json, slashes escaped": lambda value: json.dumps(value).replace("/", "\\/"),
    "url": lambda value: quote(value, safe=""),
    "url path": quote,
    "form": quote_plus,
    "url, lower case": lambda value: re.sub("%..", lambda m: m[0].lower(), quote(value, safe="")),
    "repr": repr,
    "repr of bytes": lambda value: repr(value.encode()),
    "hex": lambda value: value.encode().hex(),
    "HEX": lambda value: value.encode().hex().upper(),
    "html": html.escape,
    "shell": shlex.quote,
    "basic authorization": lambda value: base64.b64encode(f"user:{value}".encode()).decode(),
    "basic, one longer": lambda value: base64.b64encode(f"users:{value}:more".encode()).decode(),
    "basic, two longer": lambda value: base64.b64encode(f"my_users:{value}".encode()).decode(),
    "base64 for urls": lambda value: base64.urlsafe_b64encode(f"??{value}??".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_value_is_hidden_in_the_form(form: str) -> None:
    encode = FORMS[form]
    shown = knowing(VALUE).redact(f"before {encode(VALUE)} after")

    assert MASK in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    # Nothing of it is left but what is there without the value too.
    windows = {encode(VALUE)[i : i + 8] for i in range(len(encode(VALUE)) - 7)}
    assert not [window for window in windows if window in shown and window not in encode("")]


def test_text_without_a_value_is_the_same_object() -> None:
    text = "nothing to see"
    assert knowing(VALUE).redact(text) is text
    assert Redactor().redact(VALUE) is VALUE


def test_overlapping_and_adjacent_values_leave_nothing_between() -> None:
    redactor = knowing("abcdefghij", "ghijklmnop", "qrstuvwxyz")

    assert redactor.redact("<abcdefghijklmnopqrstuvwxyz>") == f"<{MASK}>"


def test_a_multi_line_value_is_hidden_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"
    shown = knowing(key).redact("2026-01-01 log: MIIEvQIBADANBgkq\n2026-01-01 log: hkiG9w0BAQEFAASC\n")

    assert shown == f"2026-01-01 log: {MASK}\n2026-01-01 log: {MASK}\n"


def test_members_of_a_json_secret_and_the_password_of_a_url_are_values_too() -> None:
    redactor = knowing(
        '{"db": {"password": "correct-horse"}, "pin": 12345678}', "postgres://app:hunter2%2Fx@db/app"
    )

    for value in ("correct-horse", "12345678", "hunter2%2Fx", "hunter2/x"):
        assert redactor.redact(f"<{value}>") == f"<{MASK}>", value


def test_everyday_words_of_a_database_secret_stay_readable() -> None:
    secret = '{"engine": "postgres", "host": "db.internal", "username": "reports", "password": "canary-pw"}'
    redactor = knowing(secret)

    assert (
        redactor.redact("postgres at db.internal refuses reports")
        == "postgres at db.internal refuses reports"
    )
    assert redactor.redact(f"canary-pw {secret}") == f"{MASK} {MASK}"


def test_short_values_count_only_as_whole_words() -> None:
    redactor = knowing("4711")

    assert redactor.redact("pin 4711, port 14711, 47110") == f"pin {MASK}, port 14711, 47110"


def test_short_values_are_known_in_their_encodings_too() -> None:
    redactor = knowing("k7#Q")

    assert redactor.redact("azcjUQ== k7%23Q 6b372351 xazcjUQ") == f"{MASK}== {MASK} {MASK} xazcjUQ"


def test_values_that_are_too_short_to_look_for_are_counted() -> None:
    redactor = knowing("abc", "")

    assert redactor.redact("abc") == "abc"
    assert redactor.too_short == 2


def test_a_long_value_is_hidden_in_pieces() -> None:
    value = "".join(f"{number:06d}" for number in range(3000))
    shown = knowing(value).redact(f"<{value}>")

    assert set(shown.strip("<>")) == {"*"}


def test_binary_values_are_hidden_in_bytes_and_as_base64() -> None:
    value = bytes(range(128, 160))
    redactor = knowing(value)

    assert redactor.redact_bytes(b"a" + value + b"b") == b"a***b"
    assert redactor.redact(base64.b64encode(value).decode()[:-2]).startswith(MASK)


def test_json_like_values_are_redacted_at_any_depth() -> None:
    secret = "a-long-secret"
    document = {"a": [secret, {f"key {secret}": (1, None, True, f"x{secret}y".encode())}]}

    assert knowing(secret).redact_value(document) == {"a": [MASK, {f"key {MASK}": [1, None, True, b"x***y"]}]}


def test_text_with_lone_surrogates_is_survived() -> None:
    assert knowing("a-long-secret").redact("\udcff a-long-secret").endswith(MASK)


alphabet = st.characters(codec="utf-8", exclude_characters="*")
secrets = st.text(alphabet, min_size=7, max_size=40)
small = st.text(st.sampled_from("abAB12/ \n"), min_size=7, max_size=12)


def collapsed(data: bytes) -> bytes:
    return re.sub(rb"(\*\*\*)+", rb"***", data)


@settings(max_examples=200)
@given(secrets, st.text(alphabet, max_size=20), st.text(alphabet, max_size=20))
def test_no_value_survives_in_any_context(value: str, before: str, after: str) -> None:
    shown = knowing(value).redact(before + value + after)

    assert value not in shown
    assert json.dumps(value)[1:-1] not in knowing(value).redact(json.dumps(before + value + after))


@settings(max_examples=200)
@given(st.binary(min_size=12, max_size=40), st.binary(max_size=4), st.binary(max_size=4))
def test_no_base64_survives_at_any_offset(value: bytes, before: bytes, after: bytes) -> None:
    shown = knowing(value).redact(base64.b64encode(before + value + after).decode())

    assert MASK in shown
    left = "".join(shown.split(MASK))
    assert len(left) <= len(base64.b64encode(before)) + len(base64.b64encode(after)) + 4


@settings(max_examples=400)
@given(
    st.lists(small, min_size=1, max_size=4),
    st.lists(st.one_of(st.integers(0, 3), st.text(st.sampled_from("abAB12/ \n"), max_size=6)), max_size=12),
    st.lists(st.integers(1, 9), min_size=1),
)
def test_a_stream_in_any_pieces_shows_what_the_whole_shows(
    values: list[str], parts: list[int | str], sizes: list[int]
) -> None:
    redactor = knowing(*values)
    data = "".join(values[p % len(values)] if isinstance(p, int) else p for p in parts).encode()
    stream, shown, position = StreamRedactor(redactor), b"", 0
    for turn in range(len(data)):
        size = sizes[turn % len(sizes)]
        shown += stream.feed(data[position : position + size])
        position += size
    shown += stream.flush()

    assert collapsed(shown) == collapsed(redactor.redact_bytes(data))
    assert not any(value.encode() in shown for value in values)


def test_a_stream_without_values_passes_through_unheld() -> None:
    stream = StreamRedactor(Redactor())

    assert stream.feed(b"abc") == b"abc"
    assert stream.flush() == b""


def test_a_line_is_not_held_back() -> None:
    stream = StreamRedactor(knowing("hunter2-hunter2"))

    assert stream.feed(b"a line with hunter in it\n") == b"a line with hunter in it\n"
    assert stream.feed(b"the password is hunter2-") == b"the password is "
    assert stream.feed(b"hunter2 and more\n") == b"*** and more\n"


def test_an_endless_run_of_a_repeated_value_is_not_held_back_for_ever() -> None:
    stream = StreamRedactor(knowing("aaaaaaaa"))
    shown = b"".join(stream.feed(b"a" * 1000) for _ in range(50)) + stream.flush()

    assert collapsed(shown) == b"***"


def test_a_value_learnt_in_the_middle_of_a_stream_is_hidden_from_then_on() -> None:
    redactor = Redactor()
    stream = StreamRedactor(redactor)
    first = stream.feed(b"token ")
    redactor.remember("tok_0123456789")

    assert first + stream.feed(b"tok_0123456789") + stream.flush() == b"token ***"


def test_many_rotations_keep_the_newest_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oatie_ops.secrets.redact.MAX_VALUES", 3)
    redactor = knowing(*(f"rotating-value-{number}" for number in range(5)))

    assert redactor.redact("rotating-value-4") == MASK
    assert redactor.redact("rotating-value-0") == "rotating-value-0"


@settings(max_examples=100)
@given(st.binary(max_size=200), secrets)
def test_any_bytes_are_survived(data: bytes, value: str) -> None:
    assume(value.encode() not in data)
    knowing(value).redact_bytes(data)
