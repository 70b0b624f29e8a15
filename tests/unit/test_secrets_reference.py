"""References: what names which secret, and what is no reference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oatie_ops.errors import OatieError
from oatie_ops.secrets.errors import ReferenceInvalid
from oatie_ops.secrets.reference import Reference, parse

AWS, GCP, AZURE = "aws_secrets_manager", "gcp_secret_manager", "azure_key_vault"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("aws:prod/db", Reference(AWS, "prod/db")),
        ("aws:prod/db#password", Reference(AWS, "prod/db", "password")),
        ("aws:prod/db#a.b?stage=AWSPREVIOUS", Reference(AWS, "prod/db", "a.b", None, "AWSPREVIOUS")),
        ("aws:prod/db?version=1-2&stage=S#k", Reference(AWS, "prod/db", "k", "1-2", "S")),
        ("aws:user@host", Reference(AWS, "user@host")),
        (f"aws:{ARN}#k", Reference(AWS, ARN, "k")),
        ("gcp:db@5", Reference(GCP, "db", None, "5")),
        ("gcp:my-project/db@latest#k", Reference(GCP, "my-project/db", "k", "latest")),
        ("gcp:db?version=7", Reference(GCP, "db", None, "7")),
        ("azure:DB_PASSWORD", Reference(AZURE, "DB_PASSWORD")),
        ("azure:db@0123abcd", Reference(AZURE, "db", None, "0123abcd")),
        ("env:DB_PASSWORD", Reference("env", "DB_PASSWORD")),
        ("file:/run/secrets/db", Reference("file", "/run/secrets/db")),
        ("file:/odd%23name%3F", Reference("file", "/odd#name?")),
        ("DB_PASSWORD", Reference(None, "DB_PASSWORD")),
        ("DB#password", Reference(None, "DB", "password")),
        (ARN, Reference(None, ARN)),
    ],
)
def test_a_reference_is_taken_apart(text: str, reference: Reference) -> None:
    assert parse(text) == reference


@pytest.mark.parametrize(
    "text", ["", "aws:", "aws:#k", "aws:x#", "gcp:@5", "aws:x?colour=red", "aws:x?version=", "env:%00"]
)
def test_what_is_no_reference_is_explained(text: str) -> None:
    with pytest.raises(ReferenceInvalid) as caught:
        parse(text)
    assert caught.value.fix
    assert caught.value.exit_code == 4


def test_a_reference_prints_as_it_is_written() -> None:
    for text in ("aws:prod/db#a.b?stage=AWSPREVIOUS", "env:X", "NAME", "gcp:db?version=5"):
        assert str(parse(text)) == text


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_explained(text: str) -> None:
    try:
        assert parse(text).name
    except OatieError as error:
        assert error.fix
