"""Which rung is tried when: the ladder of one service, and the choice between services. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from oatie_ops.config.settings import ServiceSettings, Settings
from oatie_ops.health.model import Status
from oatie_ops.recovery import ladder_state as state
from oatie_ops.recovery.ladder import Kind, Ladder, Rung, ladders, parents_of
from oatie_ops.recovery.ladder_decide import (
    BRAKE_SECONDS,
    Brake,
    Choice,
    Watch,
    ancestors,
    choose,
    fail_together,
    tried_under_brake,
)
from oatie_ops.recovery.ladder_state import Phase, Progress, Seen

FAIL, PASS = Seen(Status.FAIL, "down"), Seen(Status.PASS)
GROUP = state.GROUP_SECONDS


def ladder(*most: int, service: str = "db") -> Ladder:
    rungs = [Rung(n, Kind.RESTART, service, f"docker:{n}", max=m) for n, m in enumerate(most, 1)]
    return Ladder(service, tuple(rungs))


class World:
    """Services with ladders of one or more rungs, and a clock that stands still."""

    def __init__(
        self, known: Mapping[str, Ladder], parents: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self.ladders, self.parents = known, parents or {}
        self.seen = dict.fromkeys(known, PASS)
        self.watch = Watch()
        self.now = 1000.0

    def look(self, after: float = 0.0) -> Choice:
        self.now += after
        choice = choose(self.ladders, self.parents, self.watch, self.seen, self.now)
        self.watch = choice.watch
        return choice

    def act(self, name: str, *, proven: bool, chance: float = 1.0) -> Progress:
        known = self.ladders[name]
        begun = state.begin(known, self.watch.services[name])
        after = state.end(known, begun, proven=proven, now=self.now, chance=chance)
        brake = tried_under_brake(self.watch.brake, proven=proven, now=self.now)
        self.watch = Watch({**self.watch.services, name: after}, brake)
        if proven:
            self.seen[name] = PASS
        return after

    def due(self, limit: float = 100_000.0) -> Choice:
        """Looks whenever it is asked to, until something is to be tried."""
        until = self.now + limit
        choice = self.look()
        while choice.service is None and self.now < until:
            assert choice.wait_seconds is not None
            choice = self.look(max(choice.wait_seconds, 0.001))
        return choice


def world(*most: int) -> World:
    return World({"db": ladder(*most)})


# --- one service --------------------------------------------------------------------------------------


def test_nothing_is_tried_while_all_is_well() -> None:
    choice = world(1).look()
    assert choice.service is None
    assert choice.wait_seconds is None, "an idle supervisor is not woken"


def test_a_failure_is_acted_upon_once_parents_had_time_to_be_found() -> None:
    known = world(1)
    known.seen["db"] = FAIL
    assert known.look().service is None
    assert known.look(GROUP - 0.1).service is None
    assert known.look(0.2).service == "db"


def test_each_rung_is_tried_exactly_as_often_as_it_may_be() -> None:
    known = world(2, 1, 3)
    known.seen["db"] = FAIL
    rungs = []
    while known.watch.services.get("db", Progress()).phase is not Phase.GAVE_UP:
        assert known.due().service == "db"
        rungs.append(known.watch.services["db"].rung + 1)
        known.act("db", proven=False)
    assert rungs == [1, 1, 2, 3, 3, 3]


def test_giving_up_is_followed_by_a_slow_try_from_the_bottom() -> None:
    known = world(1)
    known.seen["db"] = FAIL
    known.due()
    gave_up = known.act("db", proven=False, chance=0.5)
    assert (gave_up.phase, gave_up.rung, gave_up.used) == (Phase.GAVE_UP, 0, 0)
    began = known.now
    assert known.due().service == "db"
    assert known.now - began == pytest.approx(state.GIVE_UP_RETRY_SECONDS, rel=0.01)
    assert known.act("db", proven=True).phase is Phase.WELL


def test_tries_come_at_growing_distances_up_to_a_limit() -> None:
    waits = [state.backoff_seconds(attempts, 1.0) for attempts in range(1, 20)]
    assert waits[:3] == [state.BACKOFF_SECONDS, 2 * state.BACKOFF_SECONDS, 4 * state.BACKOFF_SECONDS]
    assert waits == sorted(waits)
    assert waits[-1] == state.BACKOFF_MAX_SECONDS
    assert state.backoff_seconds(3, 0.0) == waits[2] / 2


def test_what_helped_is_tried_first_when_it_fails_again() -> None:
    """It climbs on a verification that failed, and this one did not."""
    known = world(1, 1, 1)
    rungs = []
    for proven in (False, True, True):
        known.seen["db"] = FAIL
        known.due()
        rungs.append(known.watch.services["db"].rung + 1)
        known.act("db", proven=proven)
        known.look(1.0)
    assert rungs == [1, 2, 2]


def test_repairs_that_do_not_hold_use_up_the_budget() -> None:
    known = world(1, 1, 2)
    rungs = []
    while known.watch.services.get("db", Progress()).phase is not Phase.GAVE_UP:
        known.seen["db"] = FAIL
        known.due(limit=600.0)
        if known.watch.services["db"].phase is Phase.GAVE_UP:
            break
        rungs.append(known.watch.services["db"].rung + 1)
        known.act("db", proven=True)
        known.look(1.0)
    assert rungs == [1] * state.ROUNDS + [2, 3, 3]


def test_health_that_lasts_gives_the_whole_budget_back() -> None:
    known = world(2, 1)
    known.seen["db"] = FAIL
    known.due()
    known.act("db", proven=True)
    assert known.look(state.RESET_SECONDS - 1.0).watch.services["db"].attempts == 1
    fresh = known.look(1.0).watch.services["db"]
    assert (fresh.rung, fresh.used, fresh.attempts, fresh.repairs) == (0, 0, 0, 0)


def test_repairs_that_never_hold_end_in_giving_up_before_another_try() -> None:
    known = world(1)
    for _ in range(state.ROUNDS):
        known.seen["db"] = FAIL
        assert known.due().service == "db"
        known.act("db", proven=True)
        known.look(1.0)
    known.seen["db"] = FAIL
    choice = known.look(GROUP + 1)
    assert choice.gave_up == ("db",)
    assert choice.service is None
    began = known.now
    known.due()
    assert known.now - began > state.GIVE_UP_RETRY_SECONDS / 2


def test_what_comes_back_between_two_tries_is_told_as_such() -> None:
    known = world(3)
    known.seen["db"] = FAIL
    known.due()
    known.act("db", proven=False)
    known.seen["db"] = PASS
    assert known.look(0.5).recovered == ("db",)
    assert known.look(0.5).recovered == ()


def test_what_comes_back_before_any_try_is_no_recovery() -> None:
    known = world(1)
    known.seen["db"] = FAIL
    known.look()
    known.seen["db"] = PASS
    assert known.look(0.5).recovered == ()


@pytest.mark.parametrize(
    "held",
    [
        replace(FAIL, maintenance=True),
        replace(FAIL, consequence_of="disk"),
        Seen(Status.UNKNOWN),
        Seen(Status.WARN),
    ],
    ids=["maintenance", "consequence", "unknown", "degraded"],
)
def test_nothing_is_tried_while_it_would_be_wrong(held: Seen) -> None:
    known = world(1)
    known.seen["db"] = held
    for _ in range(50):
        assert known.look(60.0).service is None


def test_the_end_of_maintenance_leaves_time_to_notice_that_it_is_well() -> None:
    known = world(1)
    known.seen["db"] = replace(FAIL, maintenance=True, patience_seconds=30.0)
    known.look()
    known.seen["db"] = replace(FAIL, patience_seconds=30.0)
    assert known.look(5.0).service is None
    assert known.look(29.0).service is None
    assert known.look(2.0).service == "db"


def test_a_flapping_service_must_stay_down_before_anything_is_done() -> None:
    known = world(1)
    known.seen["db"] = replace(FAIL, flapping=True)
    known.look()
    assert known.look(state.FLAPPING_SECONDS - 1).service is None
    assert known.look(2.0).service == "db"


# --- between services -----------------------------------------------------------------------------------


def family() -> World:
    names = ("api", "db", "disk")
    known = {name: ladder(2, service=name) for name in names}
    return World(known, {"api": ("db",), "db": ("disk",)})


def test_parents_come_before_their_children() -> None:
    known = family()
    known.seen |= {"db": FAIL, "api": FAIL}  # nobody has told yet that one follows from the other
    assert known.due().service == "db"
    known.act("db", proven=False)
    known.seen["api"] = replace(FAIL, consequence_of="db")
    for _ in range(20):
        assert known.look(1.0).service in ("db", None)


def test_a_child_waits_while_its_parent_is_in_doubt() -> None:
    known = family()
    known.seen |= {"api": FAIL, "disk": replace(PASS, doubtful=True)}
    assert known.look().service is None
    assert known.look(60.0).service is None
    known.seen["disk"] = PASS
    assert known.look(1.0).service == "api"


def test_a_child_waits_while_its_parent_is_given_up() -> None:
    known = family()
    known.seen |= {"disk": FAIL, "api": replace(FAIL, consequence_of="disk")}
    while known.due().service and known.act("disk", proven=False).phase is not Phase.GAVE_UP:
        continue
    assert known.look(60.0).service is None


def test_whoever_waited_longest_is_next() -> None:
    known = World({name: ladder(5, service=name) for name in ("a", "b", "c", "d", "e")})
    known.seen["b"] = FAIL
    known.look()
    known.seen["a"] = FAIL
    known.look(1.0)
    assert known.look(5.0).service == "b"
    known.act("b", proven=False)
    assert known.look().service == "a"


def test_ancestors_of_a_circle_are_finite() -> None:
    circle = {"a": ("b",), "b": ("c",), "c": ("a",)}
    assert ancestors("a", circle) == {"b", "c"}


# --- the brake ------------------------------------------------------------------------------------------


def crowd(failing: int, well: int) -> World:
    known = World({f"s{n}": ladder(3, service=f"s{n}") for n in range(failing + well)})
    known.seen |= {f"s{n}": FAIL for n in range(failing)}
    return known


@pytest.mark.parametrize(
    ("failing", "well", "together"), [(2, 0, False), (3, 2, True), (3, 3, False), (4, 3, True)]
)
def test_most_services_at_once_are_a_common_cause(failing: int, well: int, together: bool) -> None:
    assert bool(fail_together(crowd(failing, well).seen)) is together


def test_children_of_a_failed_parent_pull_no_brake() -> None:
    known = crowd(4, 1)
    for name in ("s1", "s2", "s3"):
        known.seen[name] = replace(FAIL, consequence_of="s0")
    assert known.due(10.0).service == "s0"
    assert not known.watch.brake.on


def test_under_the_brake_one_is_tried_now_and_then_until_one_helps() -> None:
    known = crowd(4, 0)
    began = known.now
    first = known.due()
    assert first.watch.brake.on
    assert known.now - began == pytest.approx(BRAKE_SECONDS, abs=5)
    assert first.service is not None
    known.act(first.service, proven=False)
    again = known.now
    second = known.due()
    assert known.now - again == pytest.approx(2 * BRAKE_SECONDS, abs=5)
    assert second.service is not None
    known.act(second.service, proven=True)
    assert known.due(5.0).service is not None, "a try that helped lets the next one follow"


def test_the_brake_is_let_go_when_the_crowd_is_well() -> None:
    known = crowd(3, 0)
    assert known.look().watch.brake.on
    known.seen |= {"s0": PASS, "s1": PASS}
    assert known.look(1.0).watch.brake == Brake()


# --- remembering, and the file ----------------------------------------------------------------------------


def test_a_restart_keeps_the_budget_and_what_is_left_of_the_wait() -> None:
    progress = Progress(Phase.FAILING, rung=1, used=1, attempts=3, tried=3, repairs=1, due_at=130.0)
    data = state.to_json(progress, now=100.0, epoch_seconds=1_000.0)
    again = state.from_json(ladder(1, 3), data, now=5.0, epoch_seconds=1_010.0)
    assert again == replace(progress, due_at=25.0)


def test_a_wall_clock_that_was_set_back_stretches_no_wait() -> None:
    data = state.to_json(Progress(due_at=130.0), now=100.0, epoch_seconds=1_000_000.0)
    assert state.from_json(ladder(1), data, now=5.0, epoch_seconds=0.0).due_at == 35.0


def test_a_ladder_that_has_become_shorter_begins_anew() -> None:
    data = state.to_json(Progress(Phase.FAILING, rung=4, used=1), now=0.0, epoch_seconds=0.0)
    again = state.from_json(ladder(1), data, now=0.0, epoch_seconds=0.0)
    assert (again.rung, again.used) == (0, 0)


def settings(tmp: str, **services: ServiceSettings) -> Settings:
    from pathlib import Path

    return Settings(root=Path(tmp), services=services)


def test_the_file_becomes_ladders() -> None:
    recover = ({"restart": "docker:db", "max": 2, "settle": 1.0}, {"run": ["a b", "c"], "verify": "disk"})
    known = ladders(settings(".", db=ServiceSettings("db", recover=recover)))
    first, second = known["db"].rungs
    assert (first.name, first.max, first.settle_seconds, first.verify) == ("restart docker:db", 2, 1.0, "db")
    assert (second.name, second.argv, second.verify) == ("run 'a b' c", ("a b", "c"), "disk")
    assert known["db"].restart == first


def test_every_application_has_a_ladder_that_is_climbed_by_hand() -> None:
    known = ladders(settings("."))["app"]
    assert not known.declared
    assert [rung.name for rung in known.rungs] == ["restart worker", "restart process"]


def test_a_webhook_shows_no_address() -> None:
    secret = "https://hooks.example/T0K3N"
    recover = ({"webhook": secret},)
    (rung,) = ladders(settings(".", db=ServiceSettings("db", recover=recover)))["db"].rungs
    assert "T0K3N" not in rung.name
    assert "T0K3N" not in repr(rung)


def test_a_feature_with_routes_needs_the_application() -> None:
    found = parents_of(settings(".", reports=ServiceSettings("reports", routes=("/r",), needs=("db",))))
    assert found["reports"] == ("app", "db")
