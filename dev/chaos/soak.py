"""Run after run, the clouds by turns, each with a seed of its own; what they add up to is written after each."""

import os
import platform
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from dev.chaos.plan import STEADY_FAULTS, Plan
from dev.chaos.run import Outcome
from dev.chaos.run import run as run_once
from dev.chaos.servers import new_folder

RESULT = Path(__file__).parents[2] / "bench" / "results" / "soak.json"
RUN_SECONDS = 240.0
JOBS_A_SECOND = {"kubernetes": 3.0}
"""Its API server does the work of a service as well."""
_JOBS_A_SECOND = 7.0
BACKUP_AGE_SECONDS = 60.0
TTL_SECONDS = 5
"""Of ended jobs, in every second run of a provider."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the soak, in short."""

    provider: str
    seed: int
    jobs: int
    kills: int
    seconds: float
    duplicates: int
    ended_duplicates: int
    lost: int
    forgotten: int
    left_open: int
    disagreements: list[str]


class Sum(msgspec.Struct, kw_only=True):
    """The whole soak."""

    jobs: int = 0
    kills: int = 0
    """SIGKILLs of operators."""
    duplicates: int = 0
    ended_duplicates: int = 0
    lost: int = 0
    forgotten: int = 0
    """Jobs that a restored Kubernetes does not have, see `Verdict`."""
    left_open: int = 0
    disagreements: int = 0
    surprises: list[str] = []
    faults: dict[str, int] = {}
    """Everything that was done, by name."""
    seeds: list[int] = []
    seconds: float = 0.0
    runs: list[Run] = []
    machine: dict[str, str | int | None] = {}
    at: str = ""


async def run(seconds: float, seed: int, result: Path, say: Callable[[str], None]) -> int:
    """Until that time is over; the exit code: 0 where nothing was lost, doubled or told wrong."""
    begun, number, total = time.monotonic(), 0, Sum(machine=_machine())
    while time.monotonic() - begun < seconds:
        providers = sorted(STEADY_FAULTS)
        provider = providers[number % len(providers)]
        length = min(RUN_SECONDS, max(seconds - (time.monotonic() - begun), 30.0))
        plan = Plan(
            provider=provider,
            seed=(seed + number) % 2**32,
            jobs=round(length * JOBS_A_SECOND.get(provider, _JOBS_A_SECOND)),
            seconds=length,
            faults=STEADY_FAULTS[provider],
            backup_age=BACKUP_AGE_SECONDS,
            ttl=TTL_SECONDS if number // len(providers) % 2 else 0,
        )
        say(f"run {number}: {provider}, seed {plan.seed}, {plan.jobs} jobs")
        with new_folder() as folder:
            outcome = await run_once(plan, Path(folder), say)
        _add(total, outcome)
        total.seconds, total.at = round(time.monotonic() - begun), datetime.now(UTC).isoformat(timespec="seconds")
        result.write_text(msgspec.json.format(msgspec.json.encode(total), indent=2).decode() + "\n")
        verdict = outcome.verdict
        say(
            f"run {number}: {verdict.jobs} jobs, {outcome.kills} kills, {verdict.duplicates} duplicates, "
            f"{verdict.lost} lost, {verdict.forgotten} forgotten, "
            f"{len(verdict.disagreements)} disagreements, {len(outcome.surprises)} surprises"
        )
        for line in (*verdict.disagreements, *outcome.surprises):
            say(f"  {line}")
        number += 1
    is_good = not (total.duplicates or total.lost or total.disagreements or total.surprises)
    return 0 if is_good else 1


def _add(total: Sum, outcome: Outcome) -> None:
    verdict = outcome.verdict
    total.jobs += verdict.jobs
    total.kills += outcome.kills
    total.duplicates += verdict.duplicates
    total.ended_duplicates += verdict.ended_duplicates
    total.lost += verdict.lost
    total.forgotten += verdict.forgotten
    total.left_open += len(verdict.left_open)
    total.disagreements += len(verdict.disagreements)
    total.surprises += outcome.surprises
    total.faults = dict(sorted((Counter(total.faults) + Counter(outcome.deeds)).items()))
    total.seeds.append(outcome.plan.seed)
    total.runs.append(
        Run(
            provider=outcome.plan.provider,
            seed=outcome.plan.seed,
            jobs=verdict.jobs,
            kills=outcome.kills,
            seconds=outcome.seconds,
            duplicates=verdict.duplicates,
            ended_duplicates=verdict.ended_duplicates,
            lost=verdict.lost,
            forgotten=verdict.forgotten,
            left_open=len(verdict.left_open),
            disagreements=verdict.disagreements,
        )
    )


def _machine() -> dict[str, str | int | None]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kopf": version("kopf"),
        "kubernetes": version("kubernetes"),
    }
