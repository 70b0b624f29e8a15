"""Whether answers should be kept, and how long: from a cache that was played beside the real ones. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from oatie_ops.scaling.observed import Facts
from oatie_ops.scaling.recommendation import CONFIDENCE, Evidence, Recommendation, Unknown
from oatie_ops.traffic.repeats import EACH_LIFE, FIRST_LIFE, LIVES_SECONDS, WATCHED, WATCHED_SECONDS

FEWEST_WATCHED = 500
MOST_WRONG = 0.01  # of the hits: answers that had changed meanwhile
WORTH_A_CACHE = 0.1  # of the time that GET requests take
NEARLY_AS_GOOD = 0.9  # a shorter life that saves so much of what the best one does is taken


@dataclass(frozen=True)
class Life:
    """What keeping answers for ``seconds`` would have done, as shares of the requests, hits and seconds."""

    seconds: float
    hits: float
    wrong: float
    saved: float


def lives(repeats: tuple[float, ...]) -> list[Life]:
    watched, taken = repeats[WATCHED], repeats[WATCHED_SECONDS]
    found = []
    for index, seconds in enumerate(LIVES_SECONDS):
        first = FIRST_LIFE + EACH_LIFE * index
        right, wrong, saved = repeats[first : first + EACH_LIFE]
        hits = right + wrong
        found.append(Life(seconds, hits / watched, wrong / hits if hits else 0.0, saved / (taken or 1.0)))
    return found


def advise_cache(facts: Facts) -> Recommendation | Unknown:
    if not facts.repeats:
        return Unknown("cache", "no supervisor runs that looked at answers", "needs `oatie start`")
    watched = int(facts.repeats[WATCHED])
    if watched < FEWEST_WATCHED:
        return Unknown(
            "cache",
            f"{watched} GET requests were watched",
            f"needs {FEWEST_WATCHED - watched} more of them",
        )
    found = lives(facts.repeats)
    safe = [life for life in found if life.wrong <= MOST_WRONG]
    most = max((life.saved for life in safe), default=0.0)
    best = next((life for life in safe if life.saved >= NEARLY_AS_GOOD * most), None)
    numbers: dict[str, float | int | str | None] = {"get_requests_watched": watched}
    for life in found:
        numbers |= {
            f"hit_share_{life.seconds:g}s": round(life.hits, 4),
            f"stale_share_of_hits_{life.seconds:g}s": round(life.wrong, 4),
            f"time_saved_share_{life.seconds:g}s": round(life.saved, 4),
        }
    evidence = Evidence(
        numbers=numbers,
        window=f"{watched} GET requests that were watched since the supervisor started",
        formula="the shortest life that saves 0.9 of the most that one with stale hits <= 1 % saves;"
        f" worth it from {WORTH_A_CACHE:.0%} of the time on",
        source="a cache in each worker, played beside the real answers: same address, same headers, answer"
        " kept for that long and compared with the real one (after SHARDS, Waldspurger et al. 2015)",
    )
    if best is None or best.saved < WORTH_A_CACHE:
        return Recommendation(
            type="cache",
            priority="low",
            title="No cache of answers is worth its while",
            description=_nothing_gained(found),
            action="nothing to do",
            estimated_impact=f"a cache would save {most:.0%} of the time of GET requests at the most",
            complexity="low",
            confidence=CONFIDENCE["B"],
            evidence=evidence,
            value=0.0,
        )
    return Recommendation(
        type="cache",
        priority="medium" if best.saved >= 0.5 else "low",
        title=f"Keep answers to GET requests for {best.seconds:g} s",
        description=f"{best.hits:.0%} of them came again within that time, and {1 - best.wrong:.2%} of those"
        " would have been given what they really got. Answers that set a cookie or forbid it, and what is"
        " not 200, do not count as hits.",
        action=f"Cache-Control: max-age={best.seconds:g} and a cache in front, or a memo"
        f" of {best.seconds:g} s in the application",
        estimated_impact=f"saves about {best.saved:.0%} of the time that GET requests take",
        complexity="medium: a setting of the proxy or of the application",
        confidence=CONFIDENCE["B"],
        evidence=evidence,
        value=best.seconds,
    )


def _nothing_gained(found: list[Life]) -> str:
    longest = found[-1]
    told = f"{longest.hits:.0%} of the GET requests came again within {longest.seconds:g} s"
    if longest.wrong > MOST_WRONG:
        return f"{told}, and {longest.wrong:.0%} of those got another answer."
    return f"{told}; answers that set a cookie or forbid it do not count."
