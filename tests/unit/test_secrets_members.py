"""Members of JSON secrets: exactly as stored, and nothing of the document in an error."""

from __future__ import annotations

import traceback

import pytest

from oatie_ops.secrets import Secret
from oatie_ops.secrets.errors import SecretError, SecretMalformed, SecretMissing
from oatie_ops.secrets.members import member
from oatie_ops.secrets.reference import Reference

DOCUMENT = (
    '{"plain": "1.10", "number": 1.10, "big": 12345678901234567890, "flag": true, "null": null, '
    '"a.b": "literal", "a": {"b": "nested", "list": [1, {"c": "deep"}]}, "": "empty"}'
)


def get(key: str, document: str | bytes = DOCUMENT) -> str:
    return member(Secret(document), Reference("aws_secrets_manager", "prod/db", key), "AWS").reveal()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("plain", "1.10"),
        ("number", "1.10"),
        ("big", "12345678901234567890"),
        ("flag", "true"),
        ("a.b", "literal"),
        ("a.list.1.c", "deep"),
        ("a.list", '[1, {"c": "deep"}]'),
    ],
)
def test_a_member_is_what_was_stored(key: str, value: str) -> None:
    assert get(key) == value


@pytest.mark.parametrize("key", ["absent", "a.absent", "a.list.9", "a.list.x", "plain.more", "null"])
def test_a_missing_member_is_explained_with_the_names_there_are(key: str) -> None:
    with pytest.raises(SecretMissing) as caught:
        get(key)
    assert key in caught.value.what
    assert "plain" in caught.value.why
    assert "literal" not in str(caught.value.as_dict())


@pytest.mark.parametrize(
    "document", ["hunter2-canary", '"hunter2-canary"', '["hunter2-canary"]', b"\xffhunter2-canary"]
)
def test_what_is_no_object_is_refused_without_repeating_it(document: str | bytes) -> None:
    with pytest.raises(SecretMalformed) as caught:
        get("password", document)
    assert_clean(caught.value)


def test_a_deeply_nested_document_is_refused() -> None:
    with pytest.raises(SecretMalformed):
        get("a", "[" * 100_000)


def assert_clean(error: SecretError) -> None:
    """Neither the error nor any error behind it holds the document."""
    seen: BaseException | None = error
    while seen is not None:
        assert "canary" not in repr(vars(seen)) + str(seen)
        assert not hasattr(seen, "doc")
        seen = seen.__cause__ or seen.__context__
    assert "canary" not in "".join(traceback.format_exception(error))
