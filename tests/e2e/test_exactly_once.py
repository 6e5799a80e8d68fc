"""The hunt for duplicates: hundreds of jobs, lost replies, hidden jobs, killed controllers; each job runs exactly once.

A run is repeated with its seed: ``HUNT_SEED=7 make test ARGS="-k exactly_once"``, or at full length and with other
faults by ``python -m dev.chaos --seed 7``.
"""

import os
import random
from pathlib import Path

import msgspec
import pytest

from dev.chaos.hunt import Plan, hunt
from dev.emulators.faults import Faults

PLANS = {
    # AlreadyExists is what tells a lost reply here, also while reads do not show the job yet.
    "gcp": Plan(
        provider="gcp",
        jobs=500,
        kills=5,
        controllers=2,
        faults=Faults(lost_replies=0.33, lost_requests=0.05, throttled=0.01),
        seed=0,
    ),
    # A search does not show a job at once: who takes over in that moment must not submit it again.
    "aws": Plan(
        provider="aws",
        jobs=500,
        kills=10,
        controllers=2,
        faults=Faults(lost_replies=0.33, lost_requests=0.02, hidden_seconds=2.5),
        seed=0,
        settle=4.0,
    ),
    # TaskExists tells a lost reply; the jobs that tasks share are made again and again as well.
    "azure": Plan(
        provider="azure",
        jobs=500,
        kills=5,
        controllers=1,
        faults=Faults(lost_replies=0.33, lost_requests=0.05, throttled=0.01),
        seed=0,
    ),
}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("provider", sorted(PLANS))
async def test_each_job_runs_exactly_once_whatever_is_lost_and_whoever_is_killed(provider: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("HUNT_SEED", "") or random.randrange(2**32))
    lines = [f"seed: {seed}"]
    plan = msgspec.structs.replace(PLANS[provider], seed=seed)
    outcome = await hunt(plan, tmp_path, lines.append)
    print(*lines, sep="\n")
    verdict = outcome.verdict
    assert verdict.disagreements == [], lines
    assert (verdict.jobs, verdict.cloud_jobs, verdict.duplicates, verdict.lost) == (plan.jobs, plan.jobs, 0, 0), lines
    assert outcome.kills == plan.kills
    assert not [line for line in lines if "unexpected failure" in line], lines
