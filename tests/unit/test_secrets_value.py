"""`Secret`: there are exactly two ways to see the value, and both are called by name."""

from __future__ import annotations

import ast
import copy
import dataclasses
import json
import logging
import pickle
import traceback
from pathlib import Path

import pytest

import oatie_ops
from oatie_ops.secrets import Secret, redactor
from oatie_ops.secrets.errors import NoCredentials, SecretError, SecretMissing, SecretsUnreachable

VALUE = "canary-value-4f9d"

# Every place in the product where a value is shown to code, each of them looked at.
REVEALING = {
    "secrets/handover.py",  # to a child process, when asked
    "secrets/members.py",  # to take a member out of a JSON object
    "secrets/configured.py",  # to the configuration, for ${NAME}
    "secrets/value.py",
}


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        "{}".format,
        "{!r:>40}".format,
        "%s".__mod__,
        lambda secret: f"{secret:x>20}",
        lambda secret: json.dumps({"password": secret}, default=str),
        lambda secret: str([secret, {"key": secret}]),
        lambda secret: str(vars_of(secret)),
    ],
)
def test_no_ordinary_way_of_showing_shows_it(show: object) -> None:
    assert VALUE not in show(Secret(VALUE))  # type: ignore[operator]


def vars_of(secret: Secret) -> object:
    return getattr(secret, "__dict__", None)


def test_it_reveals_exactly_what_was_stored() -> None:
    for value in (" 1.10\n", '"quoted"', "", "é\u2028"):
        assert Secret(value).reveal() == value
        assert Secret(value.encode()).reveal() == value
        assert Secret(value).reveal_bytes() == value.encode()


def test_binary_values_are_not_text_and_the_error_does_not_hold_them() -> None:
    secret = Secret(b"\xff\xfe canary-binary")

    assert secret.is_binary
    with pytest.raises(UnicodeDecodeError) as caught:
        secret.reveal()
    assert "canary" not in repr(caught.value)
    assert b"canary" not in caught.value.object
    assert secret.reveal_bytes() == b"\xff\xfe canary-binary"


def test_it_cannot_be_pickled_or_hashed_or_dumped_as_json() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="in the clear"):
            pickle.dumps(Secret(VALUE), protocol)
    with pytest.raises(TypeError):
        hash(Secret(VALUE))
    with pytest.raises(TypeError):
        json.dumps(Secret(VALUE))


def test_copies_are_the_same_object() -> None:
    secret = Secret(VALUE)

    @dataclasses.dataclass
    class Holder:
        secret: Secret

    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret
    assert dataclasses.asdict(Holder(secret))["secret"] is secret


def test_equality_is_for_secrets_only() -> None:
    assert Secret(VALUE) == Secret(VALUE.encode())
    assert Secret(VALUE) != Secret("another")
    assert Secret(VALUE) != VALUE
    assert not Secret("")


def test_the_redactor_knows_it_from_birth() -> None:
    Secret("canary-known-from-birth")

    assert redactor().redact("<canary-known-from-birth>") == "<***>"


def test_a_traceback_with_local_variables_does_not_show_it() -> None:
    def fail(secret: Secret) -> None:
        raise RuntimeError("boom")

    try:
        fail(Secret(VALUE))
    except RuntimeError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "secret = Secret(***)" in shown
    assert VALUE not in shown


def test_logging_it_shows_the_mask(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("app").info("using %s and %r", Secret(VALUE), Secret(VALUE))

    assert caplog.messages == ["using *** and Secret(***)"]


def test_only_the_known_places_reveal_values() -> None:
    package = Path(oatie_ops.__file__).parent
    found = set()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in {"reveal", "reveal_bytes"}:
                found.add(file.relative_to(package).as_posix())
    assert found <= REVEALING


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (
            SecretsUnreachable(
                "AWS Secrets Manager (us-east-1) cannot be reached",
                backend="aws_secrets_manager",
                name="db",
                identity="AWS key …MPLE",
                why="ConnectTimeout",
            ),
            "ConnectTimeout; for `db` in AWS Secrets Manager; tried as AWS key …MPLE",
        ),
        (
            NoCredentials("no credentials to read `db`", backend="azure_key_vault", name="db"),
            "for `db` in Azure Key Vault",
        ),
        (SecretMissing("there is no secret file /run/secrets", backend="file", name="db"), "for `db`"),
        (
            SecretMissing("`db` is not in /run/all.json", backend="file", name="db", why="2 others"),
            "2 others",
        ),
    ],
)
def test_every_failure_says_which_store_was_to_give_which_secret(error: SecretError, wanted: str) -> None:
    assert error.why == wanted
