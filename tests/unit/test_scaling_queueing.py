"""The models of the workers: against exact recursions, and against a simulation that knows no formula."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable

import pytest

from oatie_ops import scaling_engine
from oatie_ops.scaling.queueing import repairman, throughput

TIMES = tuple(itertools.product((0.001, 0.005, 0.02, 0.05), (0.0, 0.002, 0.04, 0.2)))
SIMULATED = 30_000  # requests


def mean_value_analysis(places: int, cores: int, cpu: float, wait: float) -> float:
    """Exact load-dependent MVA (Reiser and Lavenberg 1980): one station of ``cores``, one that only waits."""
    chances = [1.0] + [0.0] * places  # of so many at the station, seen with one customer fewer
    done = 0.0
    for customers in range(1, places + 1):
        stay = sum(n / (min(n, cores) / cpu) * chances[n - 1] for n in range(1, customers + 1))
        done = customers / (stay + wait)
        chances = [
            0.0,
            *(done / (min(n, cores) / cpu) * chances[n - 1] for n in range(1, customers + 1)),
            *chances[customers + 1 :],
        ]
        chances[0] = max(0.0, 1.0 - sum(chances))
    return done


@pytest.mark.parametrize("cores", [1, 2, 4])
@pytest.mark.parametrize("places", [1, 2, 3, 5, 8])
def test_the_repairman_is_exact_mean_value_analysis(places: int, cores: int) -> None:
    for cpu, wait in TIMES:
        exact = mean_value_analysis(places, cores, cpu, wait)
        assert repairman(places, cores, cpu, wait) == pytest.approx(exact, rel=1e-6), (cpu, wait)


def simulate(workers: int, slots: int, cores: float, cpu: float, wait: float, seed: int) -> float:
    """Every worker computes for one of its requests at a time; those that compute share the cores."""
    chance = random.Random(seed)
    computing = [slots] * workers
    waiting: list[tuple[float, int]] = []
    now, done = 0.0, 0
    while done < SIMULATED:
        active = [worker for worker, requests in enumerate(computing) if requests]
        ends = now + chance.expovariate(min(len(active), cores) / cpu) if active else math.inf
        if waiting and waiting[0][0] < ends:
            now, worker = heapq.heappop(waiting)
            computing[worker] += 1
            continue
        now, worker = ends, chance.choice(active)
        done += 1
        computing[worker] -= 1
        heapq.heappush(waiting, (now + (chance.expovariate(1 / wait) if wait else 0.0), worker))
    return done / now


@pytest.mark.parametrize(
    ("workers", "slots", "cores", "cpu_ms", "wait_ms"),
    [
        (1, 1, 2, 10, 40),
        (5, 1, 2, 10, 40),
        (13, 1, 2, 10, 40),
        (4, 1, 2, 10, 10),
        (8, 1, 2, 5, 45),
        (3, 1, 2, 20, 5),
        (8, 1, 2, 50, 200),
        (6, 1, 1.5, 2, 3),
        (1, 10, 2, 10, 90),
        (2, 4, 2, 10, 40),
        (4, 2, 2, 46, 95),
        (4, 10, 2, 5, 150),
        (4, 16, 2, 5, 149),
        (8, 16, 2, 32, 31),
    ],
)
def test_the_model_is_what_a_simulation_does(
    workers: int, slots: int, cores: float, cpu_ms: float, wait_ms: float
) -> None:
    simulated = simulate(workers, slots, cores, cpu_ms / 1000, wait_ms / 1000, seed=7)
    said = throughput(workers, slots, cores, cpu_ms / 1000, wait_ms / 1000)
    assert said == pytest.approx(simulated, rel=0.05)


def loops(clients: int, workers: int, cpu: Callable[[random.Random], float], wait: float) -> float:
    """The first event loop that is free takes the next request, computes, and lets it wait beside others."""
    chance = random.Random(11)
    coming = [chance.uniform(0, wait) for _ in range(clients)]
    heapq.heapify(coming)
    free = [0.0] * workers
    ends = 0.0
    for _ in range(SIMULATED):
        begins = max(heapq.heappop(coming), free[0])
        ends = begins + cpu(chance)
        heapq.heapreplace(free, ends)
        heapq.heappush(coming, ends + wait)
    return SIMULATED / ends


@pytest.mark.parametrize(
    ("clients", "workers", "cpu_ms", "wait_ms"),
    [(6, 1, 10, 40), (12, 2, 10, 40), (12, 2, 20, 100), (3, 1, 10, 40), (40, 4, 5, 45), (100, 2, 10, 40)],
)
def test_event_loops_are_between_times_that_are_alike_and_exponential_ones(
    clients: int, workers: int, cpu_ms: float, wait_ms: float
) -> None:
    cpu, wait = cpu_ms / 1000, wait_ms / 1000
    said = throughput(workers, None, workers, cpu, wait, clients=clients)
    erlang = loops(clients, workers, lambda chance: chance.gammavariate(2, cpu / 2), wait)
    assert said == pytest.approx(erlang, rel=0.05)
    for times in (lambda _: cpu, lambda chance: chance.expovariate(1 / cpu)):
        assert said == pytest.approx(loops(clients, workers, times, wait), rel=0.1)


def test_too_few_clients_keep_nobody_busy() -> None:
    # An event loop without bounds does what the processors allow, but no more than its clients ask for.
    assert throughput(2, None, 2, 0.001, 0.2) == pytest.approx(2000)
    assert throughput(2, None, 2, 0.001, 0.2, clients=8) == pytest.approx(8 / 0.201, rel=0.01)
    assert throughput(2, None, 2, 0.01, 0.04, clients=400) == pytest.approx(200)
    # Two requests at four workers that do one after the other, and more than they can have in hand.
    assert throughput(4, 1, 2, 0.01, 0.04, clients=2) == pytest.approx(repairman(2, 2, 0.01, 0.04))
    assert throughput(4, 1, 2, 0.01, 0.04, clients=24) == throughput(4, 1, 2, 0.01, 0.04)


def test_hundreds_of_workers_and_threads_overflow_nothing() -> None:
    assert throughput(2000, 40, 2, 0.01, 1.0) == pytest.approx(200)
    assert throughput(300, 8, 64, 0.01, 0.0) == pytest.approx(6400)


def test_programs_ask_the_engine() -> None:
    assert scaling_engine.predict_throughput(5, 0.010, 0.040, cores=2) == pytest.approx(97.7, abs=0.1)
    assert scaling_engine.predict_throughput(1, 0.010, 0.040, cores=2, at_a_time=None) == pytest.approx(100)
    assert scaling_engine.predict_throughput(2, 0.010, 0.0) <= 200
    for wrong in ({"workers": 0}, {"cpu_seconds": -1.0}, {"cores": 0.0}, {"at_a_time": 0}, {"clients": 0}):
        with pytest.raises(ValueError, match=r"workers|times"):
            scaling_engine.predict_throughput(
                **{"workers": 1, "cpu_seconds": 1.0, "wait_seconds": 0.0} | wrong
            )  # type: ignore[arg-type]
