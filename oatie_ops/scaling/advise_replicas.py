"""How many replicas: candidate policies replayed on the service's own history.

One replica is this instance as it is recommended: its capacity comes from the model of the workers, so that
both numbers belong together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oatie_ops.scaling.advise_workers import MOST_HIDDEN, capacity, too_little
from oatie_ops.scaling.advisor import Advisor, Candidate
from oatie_ops.scaling.backtest import MOST_GAPS, NotEnough, Score, check_enough, score
from oatie_ops.scaling.candidates import Flat, Priced, ScoredHpa
from oatie_ops.scaling.observed import Observed
from oatie_ops.scaling.recommendation import CONFIDENCE, Evidence, Recommendation, Unknown
from oatie_ops.scaling.setup import DAY_SECONDS, Setup

LEARN_SECONDS = 3 * 3600.0
CPU_REQUEST_NOTE = "usage of the CPU request, which has to be what one replica's workers can use"


@dataclass(frozen=True)
class ReplicaAdvice:
    found: Recommendation | Unknown
    policies: tuple[Mapping[str, Any], ...] = ()
    hpa: str | None = None


def advise_replicas(seen: Observed, setup: Setup, workers: int, grade: str) -> ReplicaAdvice:
    if unknown := too_little("replicas", seen):
        return ReplicaAdvice(unknown)
    if seen.gap_share > MOST_GAPS:
        return ReplicaAdvice(
            Unknown(
                "replicas",
                f"{seen.gap_share:.0%} of the minutes are gaps",
                f"needs a history with at most {MOST_GAPS:.0%} of gaps",
            )
        )
    each = capacity(seen, workers)
    if not 0 < each < float("inf"):
        return ReplicaAdvice(
            Unknown("replicas", "the capacity of one replica is not known", "needs measurable load")
        )
    demand = [None if value is None else value / each for value in seen.arrivals]
    learned = setup.steps(min(LEARN_SECONDS, seen.span_seconds / 3))
    try:
        check_enough(demand, setup, learned)
    except NotEnough as error:
        return ReplicaAdvice(Unknown("replicas", error.why or error.what, error.fix or "needs more load"))
    return _replayed(seen, demand, setup, learned, grade)


def _replayed(
    seen: Observed, demand: Sequence[float | None], setup: Setup, learned: int, grade: str
) -> ReplicaAdvice:
    advisor = Advisor(setup)
    ours = [advisor.observe(value) for value in demand]
    result = score("chosen anew each hour (backtest)", demand, ours, setup, learned)
    fixed = score("1 replica, as now", demand, [1] * len(demand), setup, learned)
    chosen, attainable = best_of(advisor.candidates, setup.budget)
    wanted, most = chosen.lane.wanted, max(ours[-min(len(ours), setup.steps(DAY_SECONDS)) :])
    if fixed.within_budget:
        wanted = most = 1
        attainable = True
    hpa = None
    if isinstance(chosen, ScoredHpa) and not fixed.within_budget:
        hpa = manifest(chosen.target, setup.min_replicas, max(most, setup.min_replicas))
    short = fixed.violations if fixed.within_budget else rate_of(chosen)
    policies = (_row(fixed), *_rows(advisor), _row(result))
    hidden = seen.saturated_share > MOST_HIDDEN
    title = (
        "One replica is enough" if most == 1 else f"{wanted} replicas now, {most} at the busiest of the day"
    )
    policy = "no autoscaler is needed" if most == 1 else f"policy: {chosen.name}"
    found = Recommendation(
        type="replicas",
        priority="high" if fixed.violations > 2 * setup.budget else ("medium" if most > 1 else "low"),
        title=("At least " if hidden and most > 1 else "") + title,
        description=_describe(short, fixed, setup, policy, attainable=attainable),
        action=_action(wanted, hpa),
        estimated_impact=f"short of capacity {fixed.violations:.2%} of the time with one replica,"
        f" {short:.2%} then",
        complexity="low" if most == 1 else "medium: an engine that runs replicas",
        confidence=CONFIDENCE["C"] if hidden or not attainable else CONFIDENCE[grade],
        evidence=_evidence(seen, demand, setup, learned, result),
        value=wanted,
        current=1,
    )
    return ReplicaAdvice(found, policies, hpa)


def _evidence(
    seen: Observed, demand: Sequence[float | None], setup: Setup, learned: int, result: Score
) -> Evidence:
    per_replica = next(a / d for a, d in zip(seen.arrivals, demand, strict=True) if a and d)
    return Evidence(
        numbers={
            "capacity_per_replica_rps": round(per_replica, 2),
            "peak_demand_replicas": round(max(value for value in demand if value is not None), 2),
            "startup_seconds": setup.startup_seconds,
            "budget": setup.budget,
            "violations": round(result.violations, 5),
            "violations_low": round(result.interval[0], 5),
            "violations_high": round(result.interval[1], 5),
            "cost_against_clairvoyant": round(result.cost, 3),
            "samples": sum(value is not None for value in demand),
            "gap_share": round(seen.gap_share, 4),
        },
        window=f"{seen.span_seconds / 3600:.1f} h of minutes, the first {learned} for learning",
        formula="the cheapest of HPA 30-90 %, calibrated quantiles and constants whose replayed"
        " violations (demand > 0.9 of what is ready) kept the budget",
        source="replay on this service's own history: oatie_ops.scaling.advisor",
    )


def _describe(short: float, fixed: Score, setup: Setup, policy: str, *, attainable: bool) -> str:
    told = f"{policy}. Replayed on this service's own history with a start-up of {setup.startup_seconds:g} s."
    if not attainable:
        told += (
            f" The budget of {setup.budget:.2%} is not attainable: the best policy was short"
            f" {short:.2%} of the time, because the load jumps faster than a replica starts."
        )
    elif fixed.within_budget:
        told += f" One replica was short of capacity {fixed.violations:.2%} of the time."
    return told


def _action(wanted: int, hpa: str | None) -> str:
    if hpa is not None:
        return "kubectl apply the HorizontalPodAutoscaler below"
    return "nothing to do" if wanted == 1 else f"oatie scale replicas={wanted}"


def _row(found: Score) -> dict[str, Any]:
    return {
        "policy": found.policy,
        "mean_replicas": round(found.mean_replicas, 2),
        "violations": round(found.violations, 5),
        "within_budget": found.within_budget,
    }


def rate_of(candidate: Candidate) -> float:
    """Of violations, faded: the last week counts."""
    return candidate.score.violated / candidate.score.weight if candidate.score.weight else 0.0


def best_of(candidates: Sequence[Candidate], budget: float) -> tuple[Candidate, bool]:
    """The cheapest that kept the budget; where none did, the least violated, and False."""
    kept = [candidate for candidate in candidates if rate_of(candidate) <= budget]
    if kept:
        return min(kept, key=lambda one: one.score.cost), True
    return min(candidates, key=lambda one: (rate_of(one), one.score.cost)), False


def _rows(advisor: Advisor) -> list[dict[str, Any]]:
    """The best of each kind."""
    rows = []
    for kind in (ScoredHpa, Flat, Priced):
        candidates = [candidate for candidate in advisor.candidates if isinstance(candidate, kind)]
        best, kept = best_of(candidates, advisor.setup.budget)
        rows.append(
            {
                "policy": best.name,
                "mean_replicas": round(best.score.cost / best.score.weight, 2),
                "violations": round(rate_of(best), 5),
                "within_budget": kept,
            }
        )
    return rows


def manifest(target: float, least: int, most: int, name: str = "app") -> str:
    """A HorizontalPodAutoscaler (autoscaling/v2) with this target of CPU usage."""
    return f"""\
# {CPU_REQUEST_NOTE}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {name}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {name}
  minReplicas: {least}
  maxReplicas: {2 * most}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {target * 100:.0f}
"""
