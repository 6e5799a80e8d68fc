"""The parts limit, life and peer: the same jobs in three ways, which take turns on servers of their own."""

import functools
from collections.abc import Awaitable, Callable, Sequence
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


async def measure(
    ways: Sequence[str], *, jobs: int, peer_jobs: int, rounds: int, database: str, kubeconfig: Path | None, say: Say
) -> dict[str, dict[str, object]]:
    """The figures of those ways. Each round has a turn of each, so that they meet the same machine."""
    turns: dict[str, list[Turn]] = {way: [] for way in ways}
    concurrency, patches = 0, float(len(limit.LIFE))
    for number in range(rounds):
        for way in ways:
            if way == "limit" and not concurrency:
                concurrency = await best_concurrency(max(jobs // 4, 20), kubeconfig, say)
            take_turn: dict[str, Way] = {
                "limit": functools.partial(limit.take_turn, concurrency=concurrency, patches=patches),
                "life": life.take_turn,
                "peer": peer.take_turn,
            }
            async with installation(kubeconfig=kubeconfig, database=database) as made:
                turn = await take_turn[way](made, peer_jobs if way == "peer" else jobs)
            turns[way].append(turn)
            if way == "life":
                patches = turn.counts_a_job["status_patches"]
            say(f"round {number + 1} of {rounds}: {way}: {turn.per_second:.0f} jobs/s")
    found = {way: summary(turns[way]) for way in ways}
    if "limit" in ways:
        found["limit"]["concurrency"] = concurrency
    if "life" in ways:
        found["life"] |= {"callers": life.CALLERS, "database": database}
        found["life"] |= {f"ratio_to_{way}": ratio(turns["life"], turns[way]) for way in ways if way != "life"}
        if "limit" in ways:
            found["life"]["cpu_ratio_to_limit"] = cpu_ratio(turns["life"], turns["limit"])
        found["life"]["aims"] = AIMS
    return found


async def best_concurrency(jobs: int, kubeconfig: Path | None, say: Say) -> int:
    """With how many jobs at once the bare client is fastest."""
    rates: dict[int, float] = {}
    async with installation(kubeconfig=kubeconfig) as made:
        for concurrency in limit.CONCURRENCIES:
            rates[concurrency] = (await limit.take_turn(made, jobs, concurrency)).per_second
    say("limit: " + ", ".join(f"{rate:.0f} jobs/s with {number} at once" for number, rate in rates.items()))
    return max(rates, key=lambda number: rates[number])
