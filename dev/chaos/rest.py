"""Waiting until all has come to rest: each job has ended, is gone where it shall be, and nothing is in doubt."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from controller.domain.job import Job, parse
from controller.kube import paths
from controller.kube.client import items_of
from controller.stores.postgres import PostgresStore
from dev.chaos.ledgers import Circumstances, cloud_ledger, going_on, has_no_trace, job_name, may_stay_open
from dev.chaos.servers import Servers
from dev.chaos.workload import TENANT, Asked, Workload
from dev.emulators.control import LedgerEntry

LOOK_SECONDS = 1.0
ORPHAN_SWEEP_SECONDS = 10
FOLLOWED_SECONDS = 4 * ORPHAN_SWEEP_SECONDS
"""How long jobs without an object are waited for that may be where nobody looks any more."""


async def wait(
    servers: Servers, workload: Workload, case: Circumstances, left_over: set[str], say: Callable[[str], None]
) -> dict[str, Job]:
    """The objects by job id, once that is so. `left_over`: is told meanwhile of which jobs it is not, by job id."""
    asked = {one.name: one for one in workload.asked}
    gone = to_go(workload.asked, case)
    told: tuple[int, ...] = ()
    quiet_since: float | None = None
    store = PostgresStore(servers.database_url())
    await store.open()
    try:
        while True:
            raw = items_of(await servers.client().get(paths.jobs(servers.namespace)))
            jobs = {job.job_id: job for job in map(parse, raw)}
            open_jobs = {name for name, job in jobs.items() if not job.is_finished}
            doubts = {name for name, job in jobs.items() if job.status.submission is not None}
            left: tuple[int, ...] = (len(open_jobs), len(doubts), len(gone & jobs.keys()))
            left_over.clear()
            left_over |= open_jobs | doubts | (gone & jobs.keys())
            if left_over:
                quiet_since = None
            else:
                # What has no object goes on for a while where Kubernetes does not show it.
                quiet_since = quiet_since or time.monotonic()
                entries = await cloud_ledger(servers.cloud_control)
                rows = {row.job_id for row in (await store.list_jobs(TENANT)).jobs if not row.status.is_terminal}
                going = unfinished(rows, entries)
                left = (*left, len(going))
                left_over |= going.keys()
                is_followed = time.monotonic() - quiet_since < FOLLOWED_SECONDS
                if not going or (not is_followed and all(_may_stay(name, asked, jobs, going, case) for name in going)):
                    return jobs
            if told != left:
                told = left
                what = ("have not ended", "were in doubt", "are to go", "cloud jobs or rows of such go on")
                say(f"{len(jobs)} objects: " + ", ".join(f"{n} {text}" for n, text in zip(left, what, strict=False)))
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await store.close()


def to_go(asked: Sequence[Asked], case: Circumstances) -> set[str]:
    """Jobs whose objects must go. One that was deleted and came back with a restored Kubernetes ends, and stays."""
    return {one.name for one in asked if one.expires or (one.goes and one.name not in case.restored.revived)}


def unfinished(rows: set[str], entries: Sequence[LedgerEntry]) -> dict[str, list[LedgerEntry]]:
    """By name the cloud jobs of what has not ended, by the service or by its row (`rows`: those that are open)."""
    by_name: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        by_name[job_name(entry)].append(entry)
    return {
        name: found
        for name, found in by_name.items()
        if any(map(going_on, found)) or (name in rows and not has_no_trace(found))
    }


def _may_stay(
    name: str,
    asked: Mapping[str, Asked],
    jobs: Mapping[str, Job],
    going: Mapping[str, Sequence[LedgerEntry]],
    case: Circumstances,
) -> bool:
    return name in asked and may_stay_open(asked[name], jobs.get(name), going[name], case)
