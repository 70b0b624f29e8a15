"""The resolver: one cache, one deadline, one re-read; and which store is the default one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oatie_ops.environment import Detection, EnvironmentDetector
from oatie_ops.errors import OatieError
from oatie_ops.secrets import Secret
from oatie_ops.secrets.backend import READING, Backend, Deadline, Fetched, within
from oatie_ops.secrets.cache import Cache
from oatie_ops.secrets.choice import from_settings, select
from oatie_ops.secrets.errors import (
    NoCredentials,
    ReferenceInvalid,
    SecretMissing,
    SecretsUnreachable,
)
from oatie_ops.secrets.reference import Reference
from oatie_ops.secrets.resolve import Resolver


class Memory(Backend):
    """A store in memory that counts what it is asked."""

    name = "memory"
    title = "memory"

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        self.asked: list[str] = []

    def fetch(self, reference: Reference, deadline: Deadline) -> Fetched:
        self.asked.append(reference.name)
        if reference.name not in self.values:
            raise SecretMissing(f"no {reference.name}", backend=self.name, name=reference.name)
        return Fetched(Secret(self.values[reference.name]), version=str(len(self.asked)))


def resolver(store: Backend, **options: Any) -> Resolver:
    return Resolver(lambda name: store, "memory", **options)


def test_a_value_is_looked_up_once() -> None:
    store = Memory({"db": "canary-one"})
    found = resolver(store)

    assert [found.get("db").reveal() for _ in range(3)] == ["canary-one"] * 3
    assert store.asked == ["db"]
    assert found.describe("db").version == "1"


def test_members_of_one_secret_are_one_look_up() -> None:
    store = Memory({"app": '{"A": "1", "B": "2"}'})
    found = resolver(store, container="app")

    assert (found.get("A").reveal(), found.get("B").reveal()) == ("1", "2")
    assert store.asked == ["app"]
    with pytest.raises(SecretMissing, match="no member `ABSENT`"):
        found.get("ABSENT")


def test_several_stores_are_asked_side_by_side() -> None:
    """Each waits until the other one has been asked too: one after the other, they would never answer."""
    together = threading.Barrier(2, timeout=60)

    class Patient(Memory):
        def fetch(self, reference: Reference, deadline: Deadline) -> Fetched:
            together.wait()
            return super().fetch(reference, deadline)

    stores = {"env": Patient({"A": "canary-a"}), "file": Patient({"/b": "canary-b"})}
    found = Resolver(stores.__getitem__, "env", deadline_seconds=90).get_many(["env:A", "file:/b"])

    assert [secret.reveal() for secret in found if isinstance(secret, Secret)] == ["canary-a", "canary-b"]


def test_a_failure_is_not_remembered() -> None:
    store = Memory({})
    found = resolver(store)
    with pytest.raises(SecretMissing):
        found.get("db")
    store.values["db"] = "canary"

    assert found.get("db").reveal() == "canary"


def test_after_its_time_a_value_is_looked_up_again() -> None:
    now = [0.0]
    cache: Cache[str] = Cache(10, clock=lambda: now[0])
    values = iter("abc")

    assert [cache.get("k", lambda: next(values)) for _ in range(2)] == ["a", "a"]
    now[0] = 10.0
    assert cache.peek("k") is None
    assert cache.get("k", lambda: next(values)) == "b"


def test_many_askers_at_once_cause_one_look_up() -> None:
    cache: Cache[int] = Cache(100)
    entered, release = threading.Event(), threading.Event()
    calls: list[int] = []

    def load() -> int:
        calls.append(1)
        entered.set()
        release.wait(60)
        return 7

    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(cache.get("k", load))) for _ in range(8)]
    for thread in threads:
        thread.start()
    entered.wait(60)
    release.set()
    for thread in threads:
        thread.join()

    assert results == [7] * 8
    assert len(calls) == 1


def test_get_many_gives_each_its_value_or_its_error_in_order() -> None:
    store = Memory({"a": "1", "b": '{"k": "2"}'})
    found = resolver(store).get_many(["a", "absent", "b#k", "b#z", "a"])

    assert isinstance(found[0], Secret)
    assert found[0].reveal() == "1"
    assert isinstance(found[1], SecretMissing)
    assert isinstance(found[2], Secret)
    assert found[2].reveal() == "2"
    assert isinstance(found[3], SecretMissing)
    assert sorted(store.asked) == ["a", "absent", "b"]


class Refused(Exception):
    pass


def login(valid: str, seen: list[str]) -> Callable[[Secret], str]:
    def attempt(secret: Secret) -> str:
        seen.append(secret.reveal())
        if secret.reveal() != valid:
            raise Refused
        return "in"

    return attempt


def test_a_rotated_secret_is_read_again_once() -> None:
    store, seen = Memory({"db": "old-password"}), list[str]()
    found = resolver(store)
    found.get("db")
    store.values["db"] = "new-password"

    assert found.use("db", login("new-password", seen), lambda error: isinstance(error, Refused)) == "in"
    assert seen == ["old-password", "new-password"]
    assert found.get("db").reveal() == "new-password"


def test_a_secret_that_did_not_change_is_not_tried_twice() -> None:
    store, seen = Memory({"db": "password"}), list[str]()

    with pytest.raises(Refused):
        resolver(store).use("db", login("other", seen), lambda error: isinstance(error, Refused))
    assert seen == ["password"]
    assert store.asked == ["db", "db"]


def test_another_failure_is_no_reason_to_read_again() -> None:
    store, seen = Memory({"db": "password"}), list[str]()

    with pytest.raises(Refused):
        resolver(store).use("db", login("other", seen), lambda error: False)
    assert store.asked == ["db"]


class Hanging(Backend):
    name = "memory"
    title = "the vault"

    def __init__(self, phase: str | None) -> None:
        self.phase = phase
        self.release = threading.Event()

    def fetch(self, reference: Reference, deadline: Deadline) -> Fetched:
        if self.phase:
            deadline.phase = self.phase
        self.release.wait(30)
        raise AssertionError("nobody waits for this any more")


@pytest.mark.parametrize(("phase", "error"), [(READING, SecretsUnreachable), (None, NoCredentials)])
def test_a_store_that_hangs_costs_the_deadline_and_says_in_which_phase(
    phase: str | None, error: type[OatieError]
) -> None:
    store = Hanging(phase)

    with pytest.raises(error) as caught:
        resolver(store, deadline_seconds=0.05).get("db")
    store.release.set()
    assert "the vault" in caught.value.what
    assert "0.05 s" in caught.value.what


def test_the_answer_of_an_sdk_is_not_behind_the_error() -> None:
    class Leaky(Memory):
        def fetch(self, reference: Reference, deadline: Deadline) -> Fetched:
            try:
                raise ValueError("canary-in-an-answer")
            except ValueError:
                raise SecretMissing("no", backend="x") from None

    with pytest.raises(SecretMissing) as caught:
        within(Deadline(5), Leaky({}), "", lambda d: Leaky({}).fetch(Reference(None, "x"), d))
    assert caught.value.__context__ is None


def detection(**env: str) -> Detection:
    return EnvironmentDetector(environ=env, read=lambda path: None, system="linux").detect()


LAMBDA = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.12", "AWS_REGION": "eu-west-1"}
APP_SERVICE = {"WEBSITE_SITE_NAME": "s"}
RUN = {"K_SERVICE": "s", "K_REVISION": "r", "K_CONFIGURATION": "c"}
VAULT = "https://v.vault.azure.net/"


@pytest.mark.parametrize(
    ("secrets", "env", "backend"),
    [
        ({}, {}, "env"),
        ({"backend": "file"}, LAMBDA, "file"),
        ({"name": "app"}, LAMBDA, "aws_secrets_manager"),
        ({"name": "app"}, {"AWS_REGION": "eu-west-1"}, "env"),
        ({"name": "app"}, {}, "env"),
        ({}, LAMBDA, "env"),
        ({"project": "p"}, RUN, "gcp_secret_manager"),
        ({"project": "p"}, {"GOOGLE_CLOUD_PROJECT": "p"}, "env"),
        ({"vault_url": VAULT}, APP_SERVICE, "azure_key_vault"),
        ({"vault_url": VAULT}, {"AZURE_RESOURCE_GROUP": "g"}, "env"),
        ({"vault_url": VAULT}, LAMBDA, "env"),
        ({"path": "secrets"}, {}, "file"),
    ],
)
def test_the_default_store_is_declared_or_proven_never_hinted(
    secrets: dict[str, Any], env: dict[str, str], backend: str
) -> None:
    assert select(secrets, detection(**env)).backend == backend


def test_a_hinted_store_is_named_in_the_reason() -> None:
    why = select({"name": "app"}, detection(AWS_REGION="r")).why

    assert "SECRETS_BACKEND=aws_secrets_manager" in why


def test_an_unknown_store_is_refused() -> None:
    with pytest.raises(ReferenceInvalid, match="vaultwarden"):
        select({"backend": "vaultwarden"}, detection())


def test_settings_make_a_resolver_of_the_environment_and_files(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "db").write_text("from-file\n")
    found = from_settings(
        {"path": "secrets"}, root=tmp_path, environ={"X": "from-env"}, detection=detection()
    )

    assert found.get("db").reveal() == "from-file"
    assert found.get("env:X").reveal() == "from-env"
    assert found.get(f"file:{tmp_path}/secrets/db").reveal() == "from-file"
