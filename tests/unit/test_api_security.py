"""Tokens, sessions, lock-out, origins and the audit of refusals: the deciding parts, without a server."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from oatie_ops.api import token_file
from oatie_ops.api.lockout import FIRST_LOCK_SECONDS, FREE_TRIES, MAX_ADDRESSES, MAX_LOCK_SECONDS, Lockout
from oatie_ops.api.origins import is_own, refusal
from oatie_ops.api.refusals import (
    BURST,
    LINES_OF_A_KIND,
    LINES_PER_HOUR,
    QUIET_SECONDS,
    Refusal,
    Refusals,
)
from oatie_ops.api.sessions import CODE_SECONDS, IDLE_SECONDS, LIFE_SECONDS, MAX_SESSIONS, Sessions
from oatie_ops.api.tokens import Scope, Token, TokenFile, match, parse, read_tokens, token_hash
from oatie_ops.errors import OatieError, PrerequisiteMissing, UsageError
from oatie_ops.supervisor.ops_listener import Place, place


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


# --- tokens ---------------------------

SECRET = "a-token-that-is-long-enough"
HASH = token_hash(SECRET)


def test_line_of_a_token_is_read_back_as_it_was_written() -> None:
    for token in (
        Token(HASH),
        Token(HASH, "ci", Scope.READ, 1_700_000_000.0, 1_800_000_000.0),
        Token(HASH, "a.b_c@d-e", Scope.OPERATE, 1_700_000_000.0),
    ):
        assert parse([token.line()], "f") == (token,)


@pytest.mark.parametrize(
    "line",
    [
        f"sha256:{HASH} name=bad/name",
        f"sha256:{HASH} scopes=root",
        f"sha256:{HASH} scopes=",
        f"sha256:{HASH} expires=soon",
        f"sha256:{HASH} expired=2026-01-01T00:00:00Z",
        f"sha256:{HASH} read",
    ],
)
def test_line_with_a_limit_that_is_not_understood_is_no_token(line: str) -> None:
    with pytest.raises(PrerequisiteMissing) as caught:
        parse([line], "ops-tokens")
    assert "line 1 of ops-tokens" in caught.value.what


def test_expired_token_and_unknown_token_match_nothing() -> None:
    tokens = (Token(HASH, "ci", expires_at=100.0),)
    assert match(SECRET, tokens, 99.0) == tokens[0]
    assert match(SECRET, tokens, 100.0) is None
    assert match(SECRET + "x", tokens, 0.0) is None
    assert match("\udcff", tokens, 0.0) is None


def test_created_token_is_kept_as_its_hash_alone_and_revoked_by_name(tmp_path: Path) -> None:
    path = tmp_path / "run" / "ops-tokens"
    text = token_file.create(path, "ci", Scope.OPERATE, 1.0)
    other = token_file.create(path, "grafana", Scope.READ, 2.0, 3.0)
    assert text not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert match(text, read_tokens(path), 0.0) == Token(token_hash(text), "ci", Scope.OPERATE, 1.0)
    assert token_file.revoke(path, "ci").name == "ci"
    assert match(text, read_tokens(path), 0.0) is None
    assert match(other, read_tokens(path), 0.0) is not None
    assert [entry.name for entry in path.parent.iterdir() if entry.name.endswith(".new")] == []


def test_name_is_taken_once_and_an_unknown_one_is_answered_with_what_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "ops-tokens"
    token_file.create(path, "grafana", Scope.READ, 1.0)
    with pytest.raises(OatieError, match="already"):
        token_file.create(path, "grafana", Scope.READ, 1.0)
    with pytest.raises(UsageError) as caught:
        token_file.revoke(path, "grafanna")
    assert "did you mean grafana?" in caught.value.fix
    with pytest.raises(UsageError):
        token_file.create(path, "bad name", Scope.READ, 1.0)


def test_comments_and_tokens_written_by_hand_stay(tmp_path: Path) -> None:
    path = tmp_path / "ops-tokens"
    path.touch(mode=0o600)
    path.write_text(f"# mine\n{SECRET}\n")
    token_file.create(path, "ci", Scope.READ, 1.0)
    token_file.revoke(path, HASH[:8])
    assert path.read_text().startswith("# mine\nsha256:")


def test_tokens_created_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "ops-tokens"
    threads = [
        threading.Thread(target=token_file.create, args=(path, f"t{number}", Scope.READ, 1.0))
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(token.name for token in read_tokens(path)) == sorted(f"t{n}" for n in range(12))


def test_file_that_others_can_read_is_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "ops-tokens"
    path.touch(mode=0o644)
    path.chmod(0o644)
    with pytest.raises(PrerequisiteMissing):
        token_file.create(path, "ci", Scope.READ, 1.0)


def test_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "ops-tokens")
    assert file.read() == ()
    assert file.why_unusable() == "no token is set"
    for number in range(20):  # as quick as the clock of the file system may be slow
        token_file.create(file.path, f"t{number}", Scope.READ, 1.0)
        assert len(file.read()) == number + 1
    assert file.why_unusable() == ""
    file.path.chmod(0o644)
    assert "open to other users" in file.why_unusable()


# --- sessions ---------------------------


def test_session_ends_when_unused_and_in_any_case_after_half_a_day(seconds: Seconds) -> None:
    sessions = Sessions(seconds)
    session_id, session = sessions.begin("token ci", Scope.OPERATE)
    found = sessions.find(session_id)
    assert found is not None
    assert (found.actor, found.csrf) == ("token ci", session.csrf)
    assert sessions.find(session_id + "x") is None
    while seconds.now < 1000.0 + LIFE_SECONDS:
        assert sessions.find(session_id) is not None
        seconds.now += IDLE_SECONDS * 0.9
    assert sessions.find(session_id) is None
    idle, _ = sessions.begin("token ci", Scope.READ)
    seconds.now += IDLE_SECONDS + 1
    assert sessions.find(idle) is None


def test_link_signs_in_once_and_only_for_two_minutes(seconds: Seconds) -> None:
    sessions = Sessions(seconds)
    code = sessions.make_code("owner", Scope.READ)
    opened = sessions.redeem(code)
    assert opened is not None
    assert opened[1].scope is Scope.READ
    assert sessions.redeem(code) is None
    late = sessions.make_code("owner", Scope.READ)
    seconds.now += CODE_SECONDS + 1
    assert sessions.redeem(late) is None


def test_number_of_sessions_is_bounded_and_the_least_used_goes(seconds: Seconds) -> None:
    sessions = Sessions(seconds)
    first, _ = sessions.begin("one", Scope.READ)
    second, _ = sessions.begin("two", Scope.READ)
    for _ in range(MAX_SESSIONS - 2):
        seconds.now += 1
        sessions.begin("more", Scope.READ)
    seconds.now += 1
    assert sessions.find(first) is not None
    sessions.begin("last", Scope.READ)
    assert sessions.find(first) is not None
    assert sessions.find(second) is None


# --- lock-out ---------------------------


def test_wrong_tokens_lock_out_for_longer_each_time(seconds: Seconds) -> None:
    lockout = Lockout(seconds)
    waits = []
    for _ in range(6):
        for _ in range(FREE_TRIES):
            assert not lockout.failed("10.0.0.1")
        assert lockout.failed("10.0.0.1")
        waits.append(lockout.seconds_left("10.0.0.1"))
        assert lockout.seconds_left("10.0.0.2") == 0.0
        seconds.now += waits[-1]
        assert lockout.seconds_left("10.0.0.1") == 0.0
    assert waits[0] == FIRST_LOCK_SECONDS
    assert waits == sorted(waits)
    assert waits[-1] == MAX_LOCK_SECONDS


def test_few_mistakes_over_time_lock_nobody_out(seconds: Seconds) -> None:
    lockout = Lockout(seconds)
    for _ in range(50):
        seconds.now += 20
        assert not lockout.failed("10.0.0.1")


def test_neighbours_in_one_ipv6_network_count_as_one_and_memory_is_bounded(seconds: Seconds) -> None:
    lockout = Lockout(seconds)
    for number in range(FREE_TRIES + 1):
        lockout.failed(f"2001:db8:1:2::{number}")
    assert lockout.seconds_left("2001:db8:1:2:ffff::1") > 0
    assert lockout.seconds_left("2001:db8:1:3::1") == 0
    for number in range(3 * MAX_ADDRESSES):
        lockout.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(lockout._records) <= MAX_ADDRESSES


# --- pages of other origins ---------------------------

HOST = {"host": "localhost:8000"}
NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {}),
        ("POST", {"origin": "http://localhost:8000"}),
        ("POST", {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}),
        ("GET", {"sec-fetch-site": "none"}),
        ("GET", {"sec-fetch-site": "cross-site", **NAVIGATION}),
    ],
)
def test_own_pages_programs_and_followed_links_pass(method: str, headers: dict[str, str]) -> None:
    assert refusal(method, HOST | headers) == ""


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"origin": "http://evil.example"}),
        ("POST", {"origin": "null"}),
        ("POST", {"origin": ""}),
        ("POST", {"origin": "http://localhost:3000"}),
        ("POST", {"origin": "http://localhost:8000, http://evil.example"}),
        ("POST", {"sec-fetch-site": "same-site"}),
        ("POST", {"sec-fetch-site": "cross-site", **NAVIGATION}),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}),
        ("GET", {"origin": "http://evil.example"}),
    ],
)
def test_pages_of_others_are_refused_and_the_reason_is_told(method: str, headers: dict[str, str]) -> None:
    assert refusal(method, HOST | headers)


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("https://ops.example", "ops.example", True),
        ("https://ops.example", "ops.example:443", True),
        ("http://ops.example:80", "ops.example", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("http://[::1]", "[::1]", True),
        ("https://ops.example", "ops.example:8000", False),
        ("https://ops.example.evil", "ops.example", False),
        ("file://", "localhost", False),
        ("null", "null", False),
    ],
)
def test_origin_is_own_where_name_and_port_are(origin: str, host: str, own: bool) -> None:
    assert is_own(origin, host) is own


# --- audit of refusals ---------------------------


def test_each_refusal_has_its_line_and_a_flood_of_one_kind_one_a_minute(seconds: Seconds) -> None:
    told: list[tuple[Refusal, int]] = []
    refusals = Refusals(seconds, lambda refusal, silent: told.append((refusal, silent)))
    attempts = [Refusal("10.0.0.1", "unknown", "POST /x", 401, f"no token {number}") for number in range(100)]
    for attempt in attempts:
        refusals.add(attempt)
    assert told == [(attempt, 0) for attempt in attempts[:LINES_OF_A_KIND]]
    del told[:]
    seconds.now += QUIET_SECONDS - 1
    refusals.add(attempts[0])
    refusals.tell_due()
    assert told == []
    seconds.now += 1
    refusals.add(attempts[1])
    assert told == [(attempts[1], 100 - LINES_OF_A_KIND + 1)]
    seconds.now += QUIET_SECONDS
    refusals.add(attempts[2])  # after a quiet minute each counts for itself again
    refusals.add(attempts[3])
    assert told[1:] == [(attempts[2], 0), (attempts[3], 0)]


def test_what_was_passed_over_is_told_without_another_attempt(seconds: Seconds) -> None:
    told: list[tuple[Refusal, int]] = []
    refusals = Refusals(seconds, lambda refusal, silent: told.append((refusal, silent)))
    attempt = Refusal("10.0.0.1", "unknown", "POST /x", 401, "no token")
    for _ in range(LINES_OF_A_KIND + 5):
        refusals.add(attempt)
    del told[:]
    refusals.tell_due()
    assert told == []
    seconds.now += QUIET_SECONDS
    refusals.tell_due()
    assert told == [(attempt, 4)]
    refusals.add(attempt)
    refusals.tell_due(all_of_them=True)
    refusals.tell_due(all_of_them=True)
    assert sum(silent + 1 for _, silent in told[1:]) == 1


def test_nobody_can_fill_the_disk_with_refusals(seconds: Seconds) -> None:
    told: list[str] = []
    refusals = Refusals(seconds, lambda refusal, _silent: told.append(refusal.action))
    names = random.Random(1)
    for _ in range(20 * BURST):
        seconds.now += 0.01
        refusals.add(Refusal("10.0.0.1", "unknown", f"POST /{names.random()}", 401, "no token"))
    hours = 20 * BURST * 0.01 / 3600
    assert BURST <= len(told) <= BURST + LINES_PER_HOUR * hours + 1


# --- where it listens ---------------------------


@pytest.mark.parametrize(
    ("listen", "has_token", "expected"),
    [
        ("127.0.0.1:8000", False, Place("127.0.0.1", 8000)),
        ("127.0.0.9:8000", False, Place("127.0.0.9", 8000)),
        ("localhost:8000", False, Place("localhost", 8000)),
        ("[::1]:8000", False, Place("::1", 8000)),
        ("0.0.0.0:8000", True, Place("0.0.0.0", 8000)),
        ("0.0.0.0:8000", False, Place("127.0.0.1", 8000, narrowed=True)),
        ("[::]:8000", False, Place("127.0.0.1", 8000, narrowed=True)),
        ("ops.example:8000", False, Place("127.0.0.1", 8000, narrowed=True)),
        ("off", True, None),
    ],
)
def test_wider_than_loopback_needs_a_token(listen: str, has_token: bool, expected: Place | None) -> None:
    assert place(listen, has_token=has_token) == expected
