"""Chaos: everything is killed, cut off and delayed at random; each job runs exactly once, and all ledgers agree.

A run is repeated with its seed: ``CHAOS_SEED=7 make test ARGS="-k exactly_once"``, or at any length and with other
faults by ``python -m dev.chaos --seed 7``.
"""

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from dev.chaos.plan import STEADY_FAULTS, Plan
from dev.chaos.run import Outcome, run
from dev.emulators.faults import Faults

HUNTS = {
    # AlreadyExists is what tells a lost reply here, also while reads do not show the job yet.
    "gcp": (5, Faults(lost_replies=0.33, lost_requests=0.05, throttled=0.01)),
    # A search does not show a job at once: who takes over in that moment must not submit it again.
    "aws": (10, Faults(lost_replies=0.33, lost_requests=0.02, hidden_seconds=2.5)),
    # TaskExists tells a lost reply; the jobs that tasks share are made again and again as well.
    "azure": (5, Faults(lost_replies=0.33, lost_requests=0.05, throttled=0.01)),
}
"""Kills, and what the service does wrong all the time."""


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("CHAOS_SEED", "") or random.randrange(2**32))


async def outcomes(plans: Sequence[Plan], folder: Path) -> list[Outcome]:
    """All at once: they mostly wait."""

    async def one(plan: Plan) -> Outcome:
        mine = folder / plan.provider
        mine.mkdir()
        return await run(plan, mine, lambda line: print(f"{plan.provider}: {line}"))

    print(f"seed: {plans[0].seed}")
    found = await asyncio.gather(*(one(plan) for plan in plans))
    for plan, outcome in zip(plans, found, strict=True):
        assert outcome.verdict.disagreements == []
        assert outcome.surprises == []
        assert (outcome.verdict.jobs, outcome.verdict.duplicates, outcome.verdict.lost) == (plan.jobs, 0, 0)
    return found


@pytest.mark.timeout(500)
async def test_five_hundred_jobs_run_exactly_once_whatever_is_lost_and_whoever_is_killed(
    seed: int, tmp_path: Path
) -> None:
    plans = [
        Plan(
            provider=provider,
            seed=seed,
            jobs=500,
            seconds=0,
            kills=kills,
            deeds={"kill": 1},
            faults=faults,
            wishes=False,
        )
        for provider, (kills, faults) in HUNTS.items()
    ]
    for plan, outcome in zip(plans, await outcomes(plans, tmp_path), strict=True):
        assert outcome.kills >= plan.kills
        assert outcome.verdict.cloud_jobs == plan.jobs


@pytest.mark.timeout(500)
async def test_a_minute_of_everything_that_can_break(seed: int, tmp_path: Path) -> None:
    plans = [
        Plan(provider=provider, seed=seed, jobs=150, seconds=60, faults=faults, ttl=3 if provider == "gcp" else 0)
        for provider, faults in STEADY_FAULTS.items()
        if provider != "kubernetes"  # its API server does the work of a service as well: too much for one machine
    ]
    await outcomes(plans, tmp_path)
