"""The three ledgers after a run, and what does not agree in them."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import aiohttp
import msgspec

from controller.domain.job import Job
from controller.domain.records import JobRow, TransitionRow
from dev.emulators.control import LedgerEntry


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has shown."""

    jobs: int
    cloud_jobs: int
    """Jobs that the service ever made; more than `jobs` where a duplicate was made."""
    duplicates: int
    """JennahJobs of which more than one cloud job ran."""
    ended_duplicates: int
    """Second cloud jobs that were ended before they had done anything."""
    lost: int
    """JennahJobs without a cloud job, or without an end."""
    disagreements: list[str]
    """What Kubernetes, the database and the service say differently; one line each."""

    @property
    def is_good(self) -> bool:
        return not (self.duplicates or self.lost or self.disagreements)


async def cloud_ledger(control: str) -> list[LedgerEntry]:
    """What really ran at the stand-in whose side door that is."""
    async with aiohttp.ClientSession() as http, http.get(f"http://{control}/ledger") as response:
        return msgspec.json.decode(await response.read(), type=list[LedgerEntry])


def compare(
    jobs: Sequence[Job],
    rows: Mapping[str, JobRow],
    audits: Mapping[str, Sequence[TransitionRow]],
    cloud: Iterable[LedgerEntry],
) -> Verdict:
    """The verdict over those objects, their rows and audit rows by job id, and the service's own ledger."""
    by_uid: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in cloud:
        by_uid[entry.uid].append(entry)
    ran_twice, never_ran, ended, wrong = 0, 0, 0, []
    for job in jobs:
        entries = by_uid.get(job.key, [])
        ran = [entry for entry in entries if entry.ran_seconds > 0]
        ran_twice += len(ran) > 1
        ended += len(entries) - max(len(ran), 1) if entries else 0
        never_ran += not entries or not job.is_finished
        wrong += _faults(job, rows.get(job.job_id), audits.get(job.job_id, ()), ran)
    return Verdict(
        jobs=len(jobs),
        cloud_jobs=sum(map(len, by_uid.values())),
        duplicates=ran_twice,
        ended_duplicates=ended,
        lost=never_ran,
        disagreements=wrong,
    )


def _faults(job: Job, row: JobRow | None, audit: Sequence[TransitionRow], ran: Sequence[LedgerEntry]) -> list[str]:
    name, phase, found = job.metadata.name, job.status.phase, []
    if row is None:
        return [f"{name}: the database has no row"]
    if row.status is not phase:
        found.append(f"{name}: {phase} in Kubernetes, {row.status} in the database")
    path = [(one.from_status, one.to_status) for one in audit]
    if any(before[1] != after[0] for before, after in itertools.pairwise(path)):
        found.append(f"{name}: the audit rows are no path: {path}")
    if [to for _, to in path].count(row.status.value.upper()) > 1 and row.status.is_terminal:
        found.append(f"{name}: ended twice: {path}")
    if len(ran) == 1 and ran[0].exit_code is not None and ran[0].exit_code != job.status.exit_code:
        found.append(f"{name}: exit code {ran[0].exit_code} at the service, {job.status.exit_code} in Kubernetes")
    return found
