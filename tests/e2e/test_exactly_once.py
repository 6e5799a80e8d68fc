"""Chaos: everything is killed, cut off and delayed at random; each job runs exactly once, and all ledgers agree.

A run is repeated with its seed: ``CHAOS_SEED=7 make test ARGS="-k exactly_once"``, or at any length and with other
faults by ``python -m dev.chaos --seed 7``.
"""

import os
import random
from pathlib import Path

import msgspec
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


async def outcome_of(plan: Plan, folder: Path) -> Outcome:
    lines: list[str] = []
    try:
        outcome = await run(plan, folder, lines.append)
    finally:
        print(f"seed: {plan.seed}", *lines, sep="\n")
    assert outcome.verdict.disagreements == []
    assert outcome.surprises == []
    assert (outcome.verdict.jobs, outcome.verdict.duplicates, outcome.verdict.lost) == (plan.jobs, 0, 0)
    return outcome


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("CHAOS_SEED", "") or random.randrange(2**32))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("provider", sorted(HUNTS))
async def test_five_hundred_jobs_run_exactly_once_whatever_is_lost_and_whoever_is_killed(
    provider: str, seed: int, tmp_path: Path
) -> None:
    kills, faults = HUNTS[provider]
    plan = Plan(provider=provider, seed=seed, jobs=500, seconds=0, kills=kills, deeds={"kill": 1}, faults=faults)
    outcome = await outcome_of(msgspec.structs.replace(plan, wishes=False), tmp_path)
    assert outcome.kills == kills
    assert outcome.verdict.cloud_jobs == plan.jobs


@pytest.mark.timeout(400)
@pytest.mark.parametrize("provider", sorted(STEADY_FAULTS))
async def test_a_minute_of_everything_that_can_break(provider: str, seed: int, tmp_path: Path) -> None:
    plan = Plan(provider=provider, seed=seed, jobs=150, seconds=60, faults=STEADY_FAULTS[provider])
    await outcome_of(plan, tmp_path)
