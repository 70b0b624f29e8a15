"""Hosts that share decisions come to the same ones, whatever the order and whoever was away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from oatie_ops.degradation.decision import Decision, Now, effective
from oatie_ops.degradation.edit import Ended, deciding, expiring, restoring, withdrawing
from oatie_ops.degradation.share import Key, Local, Merged, Offset, Record, merge, record_from, shared_key


@dataclass
class Server:
    """What Redis or PostgreSQL keeps; its clock is the true time."""

    records: dict[Key, Record] = field(default_factory=dict)
    now: float = 1_000_000.0


@dataclass
class Host:
    """A host whose wall clock is off by ``skew`` and whose monotonic clock began at some other time."""

    name: str
    server: Server
    skew: float
    monotonic_zero: float
    error: float = 0.0  # by how much it measures the server's clock wrong
    online: bool = True
    active: tuple[Decision, ...] = ()
    ended: dict[Key, Ended] = field(default_factory=dict)
    offset: Offset | None = None
    ends: Mapping[Key, float] = field(default_factory=dict)

    def clock(self) -> Now:
        true = self.server.now
        return Now(true - self.monotonic_zero, true + self.skew, f"boot of {self.name}")

    def decide(
        self, service: str, owner: str, *, seconds: float | None, cause: str = "", level: int = 100
    ) -> None:
        now = self.clock()
        self._apply(
            deciding(
                self.active,
                Decision(
                    service, owner, level, f"by {self.name}", "root", "test", now.epoch_seconds,
                    None if seconds is None else now.epoch_seconds + seconds,
                    None if seconds is None else now.monotonic_seconds + seconds,
                    now.boot_id, cause,
                ),
            )
        )  # fmt: skip

    def restore(self, service: str) -> None:
        self._apply(restoring(self.active, service, "root", "test"))

    def withdraw(self, service: str, cause: str) -> None:
        self._apply(withdrawing(self.active, [(service, "breaker", cause)], "recovered", self.name))

    def _apply(self, edit: object) -> None:
        self.active = edit.apply(self.active)  # type: ignore[attr-defined]
        for ending in edit.ended:  # type: ignore[attr-defined]
            if ending.how != "replaced":
                ended = Ended(ending.decision, self.clock().epoch_seconds, ending.how, ending.by)
                self.ended[ending.decision.key] = ended

    def sync(self) -> Merged | None:
        if not self.online:
            return None
        now = self.clock()
        self._apply(expiring(self.active, now))
        offset = self.offset = Offset(self.server.now + self.error, now).steadied(self.offset)
        local = Local(self.name, self.active, self.ended.values(), self.ends)
        merged = merge(self.server.records, local, offset, now)
        self.ends = merged.ends
        keys = {each.key for each in merged.added} | {each.decision.key for each in merged.ended}
        self.active = (*(each for each in self.active if each.key not in keys), *merged.added)
        for ending in merged.ended:
            self.ended[ending.decision.key] = Ended(ending.decision, now.epoch_seconds, ending.how, ending.by)
        for record in merged.told:
            self.server.records[record.key] = record_from(record.to_dict())
        for key in merged.forgotten:
            del self.server.records[key]
        return merged

    def seen(self) -> dict[str, tuple[int, str]]:
        """What its workers obey, of what is shared."""
        shared = [each for each in self.active if each.owner != "load"]
        return {name: (made.level, made.owner) for name, made in effective(shared, self.clock()).items()}


def pair() -> tuple[Server, Host, Host]:
    """They measure the server's clock differently, by more than some decisions are apart."""
    server = Server()
    a = Host("a", server, skew=-40.0, monotonic_zero=999_000.0, error=0.1)
    return server, a, Host("b", server, skew=3600.0, monotonic_zero=500_000.0, error=-0.1)


def settle(*hosts: Host) -> None:
    for _ in range(4):
        for host in hosts:
            host.sync()


def test_a_decision_reaches_the_other_host_with_the_time_that_is_left() -> None:
    server, a, b = pair()
    a.decide("reports", "operator", seconds=100.0)
    server.now += 30.0
    settle(a, b)
    assert b.seen() == {"reports": (100, "operator")}
    (held,) = b.active
    left = held.left_seconds(b.clock())
    assert left is not None and abs(left - 70.0) < 0.3
    assert (held.host, held.origin, held.reason) == ("a", "host a", "by a")


def test_a_restore_anywhere_ends_it_everywhere() -> None:
    server, a, b = pair()
    a.decide("reports", "operator", seconds=None)
    settle(a, b)
    server.now += 5.0
    b.restore("reports")
    settle(b, a)
    assert a.seen() == b.seen() == {}


def test_decisions_in_quick_succession_keep_their_order() -> None:
    server, a, b = pair()
    a.decide("reports", "operator", seconds=None)
    settle(a, b)
    server.now += 0.01
    b.restore("reports")
    settle(b, a)
    assert a.seen() == b.seen() == {}
    server.now += 0.01
    a.decide("reports", "operator", seconds=None, level=30)
    settle(a, b)
    assert a.seen() == b.seen() == {"reports": (30, "operator")}
    server.now += 0.01
    a.restore("reports")
    a.decide("reports", "operator", seconds=60.0, level=20)
    settle(a, b)
    assert a.seen() == b.seen() == {"reports": (20, "operator")}


def test_a_second_restore_by_the_same_person_counts_as_the_first_did() -> None:
    server, a, b = pair()
    for _ in range(2):
        a.decide("reports", "operator", seconds=None)
        settle(a, b)
        server.now += 1.0
        b.online = False
        b.restore("reports")
        server.now += 1.0
        b.online = True
        settle(b, a)
        assert a.seen() == b.seen() == {}
        server.now += 1.0


def test_a_host_that_was_away_learns_of_the_end_and_does_not_bring_it_back() -> None:
    server, a, b = pair()
    a.decide("reports", "operator", seconds=None)
    settle(a, b)
    b.online = False
    server.now += 5.0
    a.restore("reports")
    settle(a, b)
    assert b.seen() == {"reports": (100, "operator")}
    server.now += 5.0
    b.online = True
    settle(b, a)
    assert a.seen() == b.seen() == {}


def test_what_a_host_decided_while_it_was_away_is_told_afterwards() -> None:
    server, a, b = pair()
    a.online = False
    a.decide("reports", "operator", seconds=None)
    settle(a, b)
    assert b.seen() == {}
    a.online = True
    settle(a, b)
    assert b.seen() == {"reports": (100, "operator")}
    a.online = False
    server.now += 2.0
    a.restore("reports")
    server.now += 2.0
    a.online = True
    settle(a, b)
    assert b.seen() == {}


def test_an_automatic_decision_belongs_to_its_host_and_ends_with_it() -> None:
    server, a, b = pair()
    a.decide("reports", "breaker", seconds=600.0, cause="health:db")
    b.decide("reports", "breaker", seconds=600.0, cause="health:db")
    settle(a, b)
    assert {shared_key(each, "a") for each in a.active} == {shared_key(each, "b") for each in b.active}
    server.now += 3.0
    a.withdraw("reports", "health:db")
    settle(a, b)
    assert b.seen() == {"reports": (100, "breaker")}  # b's own cause lasts
    b.withdraw("reports", "health:db")
    settle(b, a)
    assert a.seen() == b.seen() == {}


def test_overload_is_nobody_elses() -> None:
    _server, a, b = pair()
    a.decide("reports", "load", seconds=600.0, cause="overload")
    settle(a, b)
    assert b.active == ()


def test_a_server_that_lost_everything_is_told_again() -> None:
    server, a, b = pair()
    a.decide("reports", "operator", seconds=None)
    settle(a, b)
    server.records.clear()
    settle(b, a)
    assert len(server.records) == 1
    assert a.seen() == b.seen() == {"reports": (100, "operator")}


def test_settled_hosts_have_nothing_more_to_say() -> None:
    server, a, b = pair()
    a.decide("reports", "operator", seconds=50.0)
    b.decide("search", "breaker", seconds=50.0, cause="x")
    settle(a, b)
    server.now += 1.0
    for host in (a, b):
        assert host.sync() == Merged()


def test_old_ends_are_forgotten() -> None:
    server, a, _b = pair()
    a.decide("reports", "operator", seconds=10.0)
    a.sync()
    server.now += 8 * 86_400.0
    a.sync()
    assert server.records == {}


class Hosts(RuleBasedStateMachine):
    """Two hosts with clocks of their own, decisions, restores, absences; settled, both say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.server, self.a, self.b = pair()

    hosts = st.sampled_from(["a", "b"])
    services = st.sampled_from(["reports", "search"])

    def of(self, name: str) -> Host:
        return self.a if name == "a" else self.b

    def tick(self, seconds: float = 0.02) -> None:
        self.server.now += seconds

    @rule(host=hosts, service=services, seconds=st.none() | st.floats(5.0, 500.0), level=st.integers(0, 100))
    def decide(self, host: str, service: str, seconds: float | None, level: int) -> None:
        self.of(host).decide(service, "operator", seconds=seconds, level=level)
        self.tick()

    @rule(host=hosts, service=services)
    def restore(self, host: str, service: str) -> None:
        self.of(host).restore(service)
        self.tick()

    @rule(host=hosts, online=st.booleans())
    def reach(self, host: str, online: bool) -> None:
        self.of(host).online = online
        self.tick()

    @rule(host=hosts, seconds=st.floats(-5000.0, 5000.0))
    def step_wall_clock(self, host: str, seconds: float) -> None:
        """While nothing is in force on it: what was dated before a step cannot be compared after it."""
        if not self.of(host).active and not self.of(host).ended:
            self.of(host).skew += seconds

    @rule(seconds=st.floats(0.001, 300.0))
    def time_passes(self, seconds: float) -> None:
        self.tick(seconds)

    @rule(host=hosts)
    def sync(self, host: str) -> None:
        self.of(host).sync()
        self.tick()

    @invariant()
    def settled_hosts_agree(self) -> None:
        a, b = _copy(self.a), _copy(self.b)
        server = Server(dict(self.server.records), self.server.now)
        for host in (a, b):
            host.server, host.online = server, True
        settle(a, b)
        assert a.seen() == b.seen()
        assert a.sync() == b.sync() == Merged()


def _copy(host: Host) -> Host:
    return replace(host, ended=dict(host.ended))


TestHosts = Hosts.TestCase
TestHosts.settings = settings(max_examples=60, stateful_step_count=25)
