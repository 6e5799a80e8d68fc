"""The parts limit, life and peer: the same jobs in three ways, which take turns on servers of their own."""

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from dev.bench import life, limit, peer
from dev.bench.installation import Installation, installation
from dev.bench.turns import Turn, cpu_ratio, ratio, summary

WAYS = ("life", "limit", "peer")
"""In this order: the limit makes as many status patches as life has just made."""
AIMS = {
    "ratio_to_limit": 0.7,
    "ratio_to_peer": 5,
    "kubernetes_writes_beyond_create_and_secret": 3,
    "controller_cpu_ms_a_job": 3,
    "ms_until_acknowledged_at_10_callers": {"p50": 20, "p99": 100},
}

Say = Callable[[str], None]
Way = Callable[[Installation, int], Awaitable[Turn]]
Make = Callable[..., AbstractAsyncContextManager[Installation]]


async def measure(
    ways: Sequence[str],
    *,
    jobs: int,
    peer_jobs: int,
    rounds: int,
    databases: Sequence[str],
    kubeconfig: Path | None,
    say: Say,
    cpu_per_write: float = 0.0,
) -> dict[str, dict[str, object]]:
    """The figures of those ways. Each round has a turn of each, so that they meet the same machine.

    life is measured with each of the databases, and limit after each life, with as many status patches.
    `cpu_per_write`: milliseconds of the API server's, see `dev.kubeapi.cost`.
    The figures of both are those with the first, life's of the others are in it by name.
    """
    make = functools.partial(installation, kubeconfig=kubeconfig, cpu_per_write=cpu_per_write)
    turns: dict[tuple[str, str], list[Turn]] = {}
    concurrency, patches = 0, float(len(limit.ALL))
    order = [(way, database) for database in databases for way in ways if way != "peer"]
    order += [("peer", databases[0])] if "peer" in ways else []
    for number in range(rounds):
        for way, database in order:
            if way == "limit" and not concurrency:
                concurrency = await best_concurrency(make, max(jobs // 4, 20), say)
            take_turn: dict[str, Way] = {
                "limit": functools.partial(limit.take_turn, concurrency=concurrency, patches=patches),
                "life": life.take_turn,
                "peer": peer.take_turn,
            }
            async with make(database=database) as made:
                turn = await take_turn[way](made, peer_jobs if way == "peer" else jobs)
            turns.setdefault((way, database), []).append(turn)
            if way == "life":
                patches = turn.counts_a_job["status_patches"]
            on = {"life": f" on {database}", "limit": f" with {patches:.2f} status patches"}.get(way, "")
            say(f"round {number + 1} of {rounds}: {way}{on}: {turn.per_second:.0f} jobs/s")
    first = databases[0]
    found = {way: summary(turns[way, first]) for way in ways}
    if "limit" in ways:
        found["limit"]["concurrency"] = concurrency
    if "life" in ways:
        found["life"] |= {"callers": life.CALLERS, "database": first, **_ratios(turns, first)}
        for database in databases[1:]:
            found["life"][database] = summary(turns["life", database]) | _ratios(turns, database)
        found["life"]["aims"] = AIMS
    return found


def _ratios(turns: Mapping[tuple[str, str], Sequence[Turn]], database: str) -> dict[str, float]:
    """Of life with that database to each other way, by rate and by CPU."""
    mine = turns["life", database]
    others = {way: found for (way, on), found in turns.items() if way == "peer" or (way == "limit" and on == database)}
    by_rate = {f"ratio_to_{way}": ratio(mine, turns) for way, turns in others.items()}
    return by_rate | {f"cpu_ratio_to_{way}": cpu_ratio(mine, turns) for way, turns in others.items()}


async def best_concurrency(make: Make, jobs: int, say: Say) -> int:
    """With how many jobs at once the bare client is fastest."""
    rates: dict[int, float] = {}
    async with make() as made:
        for concurrency in limit.CONCURRENCIES:
            rates[concurrency] = (await limit.take_turn(made, jobs, concurrency)).per_second
    say("limit: " + ", ".join(f"{rate:.0f} jobs/s with {number} at once" for number, rate in rates.items()))
    return max(rates, key=lambda number: rates[number])
