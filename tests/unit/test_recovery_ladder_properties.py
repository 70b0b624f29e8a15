"""Whatever happens to three services that need each other, some things never do."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from oatie_ops.health.model import Status
from oatie_ops.recovery import ladder_state as state
from oatie_ops.recovery.ladder import Kind, Ladder, Rung
from oatie_ops.recovery.ladder_decide import Watch, ancestors, choose, tried_under_brake
from oatie_ops.recovery.ladder_state import Phase, Progress, Seen

PARENTS = {"api": ("db",), "db": ("disk",), "disk": ()}
MOST = {"api": (1,), "db": (2, 1), "disk": (3,)}
LADDERS = {
    name: Ladder(name, tuple(Rung(n, Kind.RESTART, name, "docker:x", max=m) for n, m in enumerate(most, 1)))
    for name, most in MOST.items()
}
names = st.sampled_from(sorted(LADDERS))


class Recovering(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.seen = dict.fromkeys(LADDERS, Seen(Status.PASS))
        self.watch = Watch()
        self.well_since: dict[str, float] = dict.fromkeys(LADDERS, 0.0)
        # Of this budget: the rung, when, and whether it helped.
        self.tries: dict[str, list[tuple[int, float, bool]]] = {name: [] for name in LADDERS}
        self.gave_up_at: dict[str, float] = {}

    def set(self, name: str, seen: Seen) -> None:
        if not seen.well:
            self.well_since.pop(name, None)
        else:
            self.well_since.setdefault(name, self.now)
        self.seen[name] = seen

    @rule(name=names, status=st.sampled_from(Status), maintenance=st.booleans(), flapping=st.booleans())
    def change(self, name: str, status: Status, maintenance: bool, flapping: bool) -> None:
        self.set(name, Seen(status, maintenance=maintenance and status is Status.FAIL, flapping=flapping))
        self.follow()

    def follow(self) -> None:
        """As the board does: what a failed ancestor explains is a consequence."""
        for name, seen in self.seen.items():
            failed = [a for a in sorted(ancestors(name, PARENTS)) if self.seen[a].status is Status.FAIL]
            cause = failed[0] if failed and seen.status is not Status.PASS else ""
            self.seen[name] = replace(seen, consequence_of=cause)

    @rule(
        seconds=st.one_of(st.floats(0.0, 30.0), st.floats(30.0, 10_000.0)),
        proven=st.booleans(),
        chance=st.floats(0, 1),
    )
    def look(self, seconds: float, proven: bool, chance: float) -> None:
        self.now += seconds
        choice = choose(LADDERS, PARENTS, self.watch, self.seen, self.now)
        self.watch = choice.watch
        for name, since in self.well_since.items():
            # A budget is whole again only after a look saw health that lasted.
            if self.watch.services[name].attempts == 0:
                assert not self.tries[name] or self.now - since >= state.RESET_SECONDS
                self.tries[name] = []
        if choice.service is None:
            return
        self.attempt(choice.service, proven, chance)

    def attempt(self, name: str, proven: bool, chance: float) -> None:
        seen, before = self.seen[name], self.watch.services[name]
        assert seen.status is Status.FAIL
        assert not seen.maintenance
        assert not seen.consequence_of
        assert not any(self.seen[a].status is Status.FAIL for a in ancestors(name, PARENTS))
        assert self.now >= before.due_at
        if self.tries[name]:
            least = state.BACKOFF_SECONDS / 2
            assert self.now - self.tries[name][-1][1] >= least
        if before.phase is Phase.GAVE_UP and before.rung == before.used == 0 and name in self.gave_up_at:
            assert self.now - self.gave_up_at[name] >= 0.9 * state.GIVE_UP_RETRY_SECONDS
        self.tries[name].append((before.rung, self.now, proven))
        begun = state.begin(LADDERS[name], before)
        after = state.end(LADDERS[name], begun, proven=proven, now=self.now, chance=chance)
        self.watch = Watch(
            {**self.watch.services, name: after},
            tried_under_brake(self.watch.brake, proven=proven, now=self.now),
        )
        self.gave_up_at.pop(name, None)
        if after.phase is Phase.GAVE_UP and after.rung == after.used == 0:
            assert before.rung == len(MOST[name]) - 1, "given up only after the last rung"
            assert before.used == MOST[name][-1] - 1, "and its last try"
            self.gave_up_at[name] = self.now
        if proven:
            self.set(name, Seen(Status.PASS))
            self.follow()

    @invariant()
    def every_rung_exists_and_is_not_overused(self) -> None:
        for name, progress in self.watch.services.items():
            assert 0 <= progress.rung < len(MOST[name])
            assert 0 <= progress.used < MOST[name][progress.rung]

    @invariant()
    def tries_climb_one_by_one(self) -> None:
        for name, tries in self.tries.items():
            for (rung, _, proven), (after, _, _) in pairwise(tries):
                assert after in (rung, rung + 1) or (after == 0 and rung == len(MOST[name]) - 1)
                if proven:
                    assert after >= rung or sum(helped for _, _, helped in tries) >= state.ROUNDS

    @invariant()
    def no_rung_is_tried_for_ever(self) -> None:
        for name, tries in self.tries.items():
            for rung, these in groupby(tries, key=lambda each: each[0]):
                proven = [helped for _, _, helped in these]
                if len(MOST[name]) > 1:
                    assert proven.count(False) <= MOST[name][rung]
                    assert proven.count(True) <= state.ROUNDS * MOST[name][rung]

    @precondition(lambda self: any(p.attempts for p in self.watch.services.values()))
    @rule(step=st.floats(-1e6, 1e6))
    def restart_the_supervisor(self, step: float) -> None:
        """The wall clock may have been stepped meanwhile: no budget is won, no wait gets longer."""
        for name, progress in self.watch.services.items():
            data = state.to_json(progress, self.now, 1e9)
            again = state.from_json(LADDERS[name], data, self.now, 1e9 + step)
            assert (again.phase, again.rung, again.used, again.attempts, again.repairs, again.spent) == (
                progress.phase,
                progress.rung,
                progress.used,
                progress.attempts,
                progress.repairs,
                progress.spent,
            )
            assert again.due_at <= max(self.now, progress.due_at) + 1e-6
            if step <= 0:
                assert again.due_at >= progress.due_at - 1e-6 or progress.due_at <= self.now


def test_a_supervisor_that_starts_again_begins_from_what_was_saved() -> None:
    saved = state.to_json(Progress(), 0.0, 0.0)
    assert state.from_json(LADDERS["db"], saved, 7.0, 7.0) == Progress(due_at=7.0)


TestRecovering = Recovering.TestCase
TestRecovering.settings = settings(max_examples=150, stateful_step_count=60)
