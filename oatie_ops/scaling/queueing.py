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
BISECTIONS = 50
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
    workers: int,
    slots: int | None,
    cores: float,
    cpu_seconds: float,
    wait_seconds: float,
    *,
    clients: int | None = None,
) -> float:
    """Requests per second of so many worker processes, each with all the work that it can take.

    ``slots``: requests that one worker has in hand at a time: 1 where it does one after the other, the number
    of its threads, None for an event loop that awaits (any number). ``clients``: those that ask, each with
    its next request, over a new connection, as soon as it has an answer; None: always enough of them.
    A worker computes on one core at a time (the interpreter's lock), all together on ``cores``.
    """
    if clients is not None:
        return _by_clients(
            clients, workers, slots, cores=cores, cpu_seconds=cpu_seconds, wait_seconds=wait_seconds
        )
    if slots is None:
        return min(workers, cores) / cpu_seconds if cpu_seconds > 0 else math.inf
    if slots == 1 or cpu_seconds <= 0:
        return repairman(workers * slots, cores, cpu_seconds, wait_seconds)
    return workers * _one_of(workers, slots, cores, cpu_seconds, wait_seconds)


def _by_clients(
    clients: int, workers: int, slots: int | None, *, cores: float, cpu_seconds: float, wait_seconds: float
) -> float:
    if slots is not None and clients >= workers * slots:
        return throughput(workers, slots, cores, cpu_seconds, wait_seconds)
    # Whoever is free takes the next connection (`oatie_ops.supervisor.accepting`).
    most = repairman(clients, min(workers, cores), cpu_seconds, wait_seconds)
    if slots is not None or cpu_seconds <= 0:
        return most
    # An event loop does one piece of computing after the other, so it counts how much they differ: their
    # squared coefficient of variation is taken as half, between exponential times and times all alike.
    alike = min(clients / (cpu_seconds + wait_seconds), min(workers, cores) / cpu_seconds)
    return (most + alike) / 2


def _one_of(workers: int, slots: int, cores: float, cpu_seconds: float, wait_seconds: float) -> float:
    """What one worker does that competes for the cores with others of its kind (mean-field decomposition).

    Seen from one worker, the others compute independently of it and of each other, each for the share
    ``busy`` of the time; it gets all of a core, or its part of those that there are. With that speed it is a
    repairman of its own, which gives a share in turn; the share wanted is the one that gives itself. Exact
    where there is a core for every worker, and where all always compute; else within 3 % of a simulation.
    """
    if workers <= cores:
        return repairman(slots, 1.0, cpu_seconds, wait_seconds)
    low, high = 0.0, 1.0
    done = 0.0
    for _ in range(BISECTIONS):
        busy = (low + high) / 2
        speed = _speed(workers, cores, busy)
        done = repairman(slots, 1.0, cpu_seconds / speed, wait_seconds)
        if done * cpu_seconds / speed > busy:
            low = busy
        else:
            high = busy
    return done


def _speed(workers: int, cores: float, busy: float) -> float:
    """The mean of min(1, cores / computing workers), as one sees it that computes itself."""
    others = workers - 1
    speed = 0.0
    for n in range(workers):
        # in logarithms, as the binomial coefficients of a thousand workers overflow
        choose = math.lgamma(others + 1) - math.lgamma(n + 1) - math.lgamma(others - n + 1)
        chance = math.exp(choose + n * math.log(busy) + (others - n) * math.log1p(-busy))
        speed += chance * min(1.0, cores / (n + 1))
    return speed


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
