"""A turn: so many jobs led through their lives in one way. The ways take turns in the same run, and are compared."""

import statistics
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from dev.bench.results import percentiles

ENVIRONMENT = {"INPUT": "gs://bucket/input", "OUTPUT": "gs://bucket/output", "LEVEL": "info"}
"""Every job has a Secret."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one turn."""

    jobs: int
    seconds: float
    """From the first job's submission until the last is Completed."""
    milliseconds: dict[str, list[float]] = {}
    """Of each job, from its submission until what the name says."""
    cpu_ms_a_job: dict[str, float] = {}
    """By process."""
    counts_a_job: dict[str, float] = {}
    """Calls and writes."""

    @property
    def per_second(self) -> float:
        return self.jobs / self.seconds


TakeTurn = Callable[[int], Awaitable[Turn]]


def summary(turns: Sequence[Turn]) -> dict[str, object]:
    """The median of the turns; latencies of all their jobs together."""
    first = turns[0]
    return {
        "jobs_a_turn": first.jobs,
        "jobs_per_second": round(statistics.median(turn.per_second for turn in turns), 1),
        "jobs_per_second_of_turns": [round(turn.per_second, 1) for turn in turns],
        **{
            f"ms_until_{name}": percentiles([one for turn in turns for one in turn.milliseconds[name]])
            for name in first.milliseconds
        },
        "cpu_ms_a_job": _medians([turn.cpu_ms_a_job for turn in turns]),
        **{f"{name}_a_job": value for name, value in _medians([turn.counts_a_job for turn in turns]).items()},
    }


def ratio(ours: Sequence[Turn], others: Sequence[Turn]) -> float:
    """The median over the rounds: in one round they met the same machine."""
    rounds = zip(ours, others, strict=True)
    return round(statistics.median(mine.per_second / theirs.per_second for mine, theirs in rounds), 3)


def cpu_ratio(ours: Sequence[Turn], others: Sequence[Turn]) -> float:
    """How much less CPU a job takes the others than us, all processes together: a busy machine changes it little."""
    rounds = zip(ours, others, strict=True)
    return round(
        statistics.median(
            sum(theirs.cpu_ms_a_job.values()) / sum(mine.cpu_ms_a_job.values()) for mine, theirs in rounds
        ),
        3,
    )


def _medians(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]}
