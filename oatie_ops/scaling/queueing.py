"""The queueing models behind the numbers. All pure; times in seconds.

Workers: the machine repairman M/M/c//N (Palm 1947; a closed network of c processors and N places that work
or wait). A place computes for ``cpu_seconds`` on one of ``cores`` processors and then waits for
``wait_seconds`` (a database, another service) without one; all places are busy, so its throughput is the
most that so many places can do.

Pools: Erlang's C formula (1917).
"""

from __future__ import annotations

import math

GOOD_SHARE = 0.95
MOST_WORKERS = 256
MOST_CONNECTIONS = 10_000


def repairman(places: int, cores: float, cpu_seconds: float, wait_seconds: float) -> float:
    """Requests per second that ``places`` do on ``cores`` (a fraction where a quota allows so much)."""
    if cpu_seconds <= 0:
        return math.inf if wait_seconds <= 0 else places / wait_seconds
    if wait_seconds <= 0:
        return min(places, cores) / cpu_seconds
    # weight[n]: n places compute or wait for a processor; in logarithms, as hundreds of places overflow.
    weight, total, busy = 0.0, 1.0, 0.0
    for n in range(1, places + 1):
        active = min(n, cores)
        weight += math.log((places - n + 1) / wait_seconds) - math.log(active / cpu_seconds)
        if weight > 500:  # what came before is nothing beside this
            total, busy = total * math.exp(-weight), busy * math.exp(-weight)
            weight = 0.0
        share = math.exp(weight)
        total += share
        busy += share * active
    return busy / total / cpu_seconds


def throughput(
    workers: int, slots: int | None, cores: float, cpu_seconds: float, wait_seconds: float
) -> float:
    """The most requests per second of so many worker processes.

    ``slots``: requests that one worker has in hand at a time (None: any number, an event loop that awaits).
    A worker computes on one core at a time (the interpreter's lock), all together on ``cores``.
    """
    if cpu_seconds <= 0:
        return math.inf if slots is None else repairman(workers * slots, cores, cpu_seconds, wait_seconds)
    limit = min(workers, cores) / cpu_seconds
    if slots is None:
        return limit
    each = workers * repairman(slots, 1.0, cpu_seconds, wait_seconds)
    together = repairman(workers * slots, min(workers, cores), cpu_seconds, wait_seconds)
    return min(each, together, limit)


def workers_for(slots: int | None, cores: float, cpu_seconds: float, wait_seconds: float, most: int) -> int:
    """The fewest that reach 95 % of what the cores can do; ``most`` where that is out of reach."""
    if cpu_seconds <= 0:
        return 1
    wanted = GOOD_SHARE * cores / cpu_seconds
    for workers in range(1, most + 1):
        if throughput(workers, slots, cores, cpu_seconds, wait_seconds) >= wanted:
            return workers
    return most


def erlang_c(servers: int, offered: float) -> float:
    """The probability that who comes has to wait; ``offered`` = arrivals x holding time."""
    if offered <= 0:
        return 0.0
    if offered >= servers:
        return 1.0
    blocked = 1.0
    for n in range(1, servers + 1):  # Erlang B, by its recursion
        blocked = offered * blocked / (n + offered * blocked)
    return servers * blocked / (servers - offered * (1 - blocked))


def waits_longer(servers: int, offered: float, holding_seconds: float, wait_seconds: float) -> float:
    """The probability of a wait above ``wait_seconds`` in M/M/c."""
    if offered >= servers:
        return 1.0
    return erlang_c(servers, offered) * math.exp(-(servers - offered) * wait_seconds / holding_seconds)


def pool_for(offered: float, holding_seconds: float, wait_seconds: float, chance: float) -> int:
    """The fewest connections with which a wait above ``wait_seconds`` is rarer than ``chance``."""
    servers = max(1, math.floor(offered) + 1)
    while servers < MOST_CONNECTIONS:
        if waits_longer(servers, offered, holding_seconds, wait_seconds) < chance:
            break
        servers += 1
    return servers
