"""One Batch account: pools, jobs and tasks, and the rules of providers.md §3."""

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from dev.emulators.azure import tasks as lives
from dev.emulators.azure.pools import POOLS, PoolSpec, shown
from dev.emulators.azure.tasks import ACTIVE, COMPLETED, NEVER, Task, stamp
from dev.emulators.control import LedgerEntry

Wire = dict[str, Any]

ACTIVE_JOBS = 100
"""The quota of active jobs and schedules that new accounts have."""
MAX_COLLECTION = 100
MAX_BODY = 1_000_000
MAX_DISPLAY_NAME = 1024
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Fault(Exception):
    """The service says no."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Job(msgspec.Struct, kw_only=True):
    """An Azure job."""

    id: str
    wire: Wire
    created: float
    state: str = ACTIVE
    changed: float
    modified: float
    ends_by_itself: bool = False
    reason: str = ""
    ended: float = 0.0
    tasks: dict[str, Task] = {}


class Service:
    """The account."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        pools: Sequence[PoolSpec] = POOLS,
        active_jobs: int = ACTIVE_JOBS,
        step_seconds: float = 0.05,
        hidden: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.clock = clock
        self.pools = {pool.name.lower(): pool for pool in pools}
        self.active_jobs = active_jobs
        self.most_active = 0
        """The most active jobs that there ever were at once."""
        self.quota_refusals = 0
        self.jobs: dict[str, Job] = {}
        self._all: list[tuple[str, Task]] = []
        self._step = step_seconds
        self._hidden = hidden
        self.url = ""

    # --- pools -------------------------------------------------------------------------------------------

    def get_pool(self, name: str) -> Wire:
        pool = self.pools.get(name.lower())
        if pool is None:
            raise Fault(404, "PoolNotFound", "The specified pool does not exist.")
        return shown(pool, self.url)

    def list_pools(self) -> list[Wire]:
        return [self.get_pool(name) for name in list(self.pools)]

    def put_pool(self, pool: PoolSpec) -> None:
        """For tests: make a pool, or change one; what waits for it begins."""
        self.pools[pool.name.lower()] = pool
        self._move(pool.name, self.clock() if pool.has_nodes and pool.state == ACTIVE else NEVER)

    def delete_pool(self, name: str) -> None:
        """For tests: tasks that run on it are put back, and wait with the others."""
        del self.pools[name.lower()]
        self._move(name, NEVER)

    def preempt(self, job_id: str, task_id: str) -> None:
        """For tests: the node of that task is taken back, and another comes at once."""
        task = self._task(self._job(job_id), task_id)
        task.put_back(self.clock(), self.clock(), self._step)

    def _move(self, pool: str, ready: float) -> None:
        now = self.clock()
        for job in self.jobs.values():
            if job.wire["poolInfo"]["poolId"].lower() == pool.lower() and job.state != COMPLETED:
                for task in job.tasks.values():
                    if task.state(now) != COMPLETED:
                        task.put_back(now, ready, self._step)

    # --- jobs --------------------------------------------------------------------------------------------

    def create_job(self, wire: Wire) -> None:
        job_id = _checked_id(wire)
        if job_id.lower() in self.jobs:
            raise Fault(409, "JobExists", "The specified job already exists.")
        if not (wire.get("poolInfo") or {}).get("poolId"):
            raise Fault(400, "MissingRequiredProperty", "A required property was not specified in the request body.")
        if not -1000 <= wire.get("priority", 0) <= 1000:
            raise Fault(400, "OutOfRangePriority", "The specified Priority value is out of range.")
        now = self.clock()
        active = sum(self._settled(job).state != COMPLETED for job in list(self.jobs.values()))
        if active >= self.active_jobs:
            self.quota_refusals += 1
            raise Fault(409, "ActiveJobAndScheduleQuotaReached", "The active job and job schedule quota was reached.")
        self.most_active = max(self.most_active, active + 1)
        self.jobs[job_id.lower()] = Job(
            id=job_id,
            wire=wire,
            created=now,
            changed=now,
            modified=now,
            ends_by_itself=wire.get("onAllTasksComplete") == "terminatejob",
        )

    def get_job(self, job_id: str) -> Wire:
        return self._shown(self._job(job_id))

    def list_jobs(self) -> list[Wire]:
        return [self._shown(self._settled(job)) for job in list(self.jobs.values())]

    def update_job(self, job_id: str, wire: Wire) -> None:
        job = self._open_job(job_id)
        job.ends_by_itself = wire.get("onAllTasksComplete") == "terminatejob"
        job.wire = {**job.wire, **wire}
        job.modified = self.clock()

    def terminate_job(self, job_id: str, reason: str) -> None:
        self._end(self._open_job(job_id), reason or "UserTerminate")

    def delete_job(self, job_id: str) -> None:
        job = self._job(job_id)
        if job.state != COMPLETED:
            self._end(job, "UserTerminate")
        for task in job.tasks.values():
            task.removed = self.clock()
        del self.jobs[job.id.lower()]

    def set_state(self, job_id: str, state: str) -> None:
        """For tests: disabled, terminating and the like."""
        job = self._job(job_id)
        job.state, job.changed, job.modified = state, self.clock(), self.clock()

    # --- tasks -------------------------------------------------------------------------------------------

    def create_task(self, job_id: str, wire: Wire) -> None:
        job = self._open_job(job_id)
        task_id = _checked_id(wire)
        if task_id.lower() in job.tasks:
            raise Fault(409, "TaskExists", "The specified task already exists.")
        self._check_task(job, wire)
        now = self.clock()
        task = lives.made(len(self._all) + 1, wire, created=now, visible=now + self._hidden())
        job.tasks[task_id.lower()] = task
        self._all.append((job.id, task))
        pool = self._pool(job)
        task.lay_out(now if pool is not None and pool.has_nodes else NEVER, self._step)

    def create_tasks(self, job_id: str, wires: Sequence[Wire]) -> list[Wire]:
        self._open_job(job_id)
        if len(wires) > MAX_COLLECTION:
            raise Fault(400, "InvalidRequestBody", "More than 100 tasks were specified.")
        results = []
        for wire in wires:
            result: Wire = {"taskId": wire.get("id", ""), "status": "success"}
            try:
                self.create_task(job_id, wire)
            except Fault as fault:
                error = {"code": fault.code, "message": {"lang": "en-US", "value": str(fault)}}
                result = {**result, "status": "clienterror", "error": error}
            results.append(result)
        return results

    def get_task(self, job_id: str, task_id: str) -> Wire:
        job = self._job(job_id)
        return self._task(job, task_id).shown(self.clock(), self._url(job))

    def list_tasks(self, job_id: str) -> tuple[Callable[[Task], Wire], list[Task]]:
        """What shows a task, and all tasks in order of their creation."""
        job, now = self._job(job_id), self.clock()
        url = self._url(job)
        return lambda task: task.shown(now, url), [task for task in job.tasks.values() if task.visible <= now]

    def terminate_task(self, job_id: str, task_id: str) -> None:
        job = self._job(job_id)
        task = self._task(job, task_id)
        now = self.clock()
        if task.state(now) == COMPLETED:
            raise Fault(409, "TaskCompleted", "The specified task is already in a completed state.")
        if job.state == COMPLETED:
            raise Fault(409, "JobCompleted", "The specified job is already in a completed state.")
        task.cut(now)

    def delete_task(self, job_id: str, task_id: str) -> None:
        job = self._job(job_id)
        task = self._task(job, task_id)
        if task.state(self.clock()) != COMPLETED:
            task.cut(self.clock())
        task.removed = self.clock()
        del job.tasks[task_id.lower()]

    def get_file(self, job_id: str, task_id: str, name: str) -> str:
        """What a task wrote: nothing is run here, so it is its command line."""
        task = self._task(self._job(job_id), task_id)
        if not task.has_started(self.clock()):
            raise Fault(409, "OperationInvalidForCurrentState", "The task has not run on a node yet.")
        if name not in ("stdout.txt", "stderr.txt"):
            raise Fault(404, "FileNotFound", "The specified file does not exist.")
        return f"{name}: {task.wire.get('commandLine', '')}\n"

    def ledger(self) -> list[LedgerEntry]:
        """What really ran: one entry for a task, or for a set of tasks in one job."""
        now = self.clock()
        sets: dict[tuple[str, str], list[Task]] = {}
        for job_id, task in self._all:
            is_set = "tasks=1 " not in f"{task.wire.get('displayName', '')} "
            sets.setdefault((job_id, task.uid if is_set else f"{task.uid}/{task.number}"), []).append(task)
        return [_entry(job_id, found, now) for (job_id, _), found in sets.items()]

    # --- small helpers -----------------------------------------------------------------------------------

    def _pool(self, job: Job) -> PoolSpec | None:
        return self.pools.get(job.wire["poolInfo"]["poolId"].lower())

    def _check_task(self, job: Job, wire: Wire) -> None:
        pool = self._pool(job)
        if "commandLine" not in wire:
            raise Fault(400, "MissingRequiredProperty", "A required property was not specified in the request body.")
        if pool is not None and pool.takes_containers != bool(wire.get("containerSettings")):
            raise Fault(400, "ContainerSettingsMismatch", "The container settings do not fit the pool.")
        container = wire.get("containerSettings") or {}
        mounts = container.get("containerHostBatchBindMounts")
        has_folder = mounts is None or any(one.get("source") == "Task" for one in mounts)
        if container and not has_folder and container.get("workingDirectory") != "containerImageDefault":
            raise Fault(400, "InvalidPropertyValue", "The task's folder is not mounted and cannot be worked in.")
        if len(wire.get("displayName") or "") > MAX_DISPLAY_NAME:
            raise Fault(400, "InvalidPropertyValue", "The display name has more than 1024 characters.")
        if ((wire.get("constraints") or {}).get("maxTaskRetryCount") or 0) < -1:
            raise Fault(400, "InvalidPropertyValue", "maxTaskRetryCount is less than -1.")
        if pool is not None and not 1 <= wire.get("requiredSlots", 1) <= pool.slots:
            raise Fault(400, "InvalidPropertyValue", "requiredSlots is more than the pool's nodes have.")
        names = [one.get("name") for one in wire.get("environmentSettings") or ()]
        if len(names) != len(set(names)):
            raise Fault(400, "InvalidPropertyValue", "An environment variable was given twice.")

    def _end(self, job: Job, reason: str) -> None:
        """Running tasks are ended; those that wait stay active for ever."""
        now = self.clock()
        for task in job.tasks.values():
            if task.state(now) == ACTIVE:
                task.freeze(now)
            elif task.state(now) != COMPLETED:
                task.cut(now)
        job.state, job.changed, job.modified, job.ended, job.reason = COMPLETED, now, now, now, reason

    def _settled(self, job: Job) -> Job:
        """The job, ended if it was to end with its tasks and they have ended."""
        if job.ends_by_itself and job.state == ACTIVE:
            now = self.clock()
            if all(task.state(now) == COMPLETED for task in job.tasks.values()):
                self._end(job, "AllTasksComplete")
        return job

    def _job(self, job_id: str) -> Job:
        job = self.jobs.get(job_id.lower())
        if job is None:
            raise Fault(404, "JobNotFound", "The specified job does not exist.")
        return self._settled(job)

    def _open_job(self, job_id: str) -> Job:
        job = self._job(job_id)
        codes = {COMPLETED: "JobCompleted", "terminating": "JobTerminating", "deleting": "JobBeingDeleted"}
        if job.state in codes:
            raise Fault(409, codes[job.state], f"The specified job is in the state {job.state}.")
        return job

    def _task(self, job: Job, task_id: str) -> Task:
        task = job.tasks.get(task_id.lower())
        if task is None or task.visible > self.clock():
            raise Fault(404, "TaskNotFound", "The specified task does not exist.")
        return task

    def _shown(self, job: Job) -> Wire:
        info: Wire = {"startTime": stamp(job.created), "poolId": job.wire["poolInfo"]["poolId"]}
        if job.state == COMPLETED:
            info |= {"endTime": stamp(job.ended), "terminateReason": job.reason}
        return {
            **job.wire,
            "url": self._url(job),
            "eTag": "0x1",
            "creationTime": stamp(job.created),
            "lastModified": stamp(job.modified),
            "state": job.state,
            "stateTransitionTime": stamp(job.changed),
            "onAllTasksComplete": "terminatejob" if job.ends_by_itself else "noaction",
            "executionInfo": info,
        }

    def _url(self, job: Job) -> str:
        return f"{self.url}/jobs/{job.id}"


def _entry(job_id: str, found: Sequence[Task], now: float) -> LedgerEntry:
    """A task, or the set of those."""
    wanted = int(found[0].words.get("tasks", "1"))
    codes = [run.exit_code for task in found for run in task.runs[-1:] if run.stop <= now]
    success = 0 if len(codes) >= wanted else None
    began = [(task.created, 1) for task in found]
    ended = [(min(task.ends, task.removed or NEVER), -1) for task in found]
    at_once = itertools.accumulate(step for _, step in sorted(began + ended))
    return LedgerEntry(
        id=f"{job_id}/{found[0].id}",
        name=found[0].id.rpartition("-")[0] if wanted > 1 else found[0].id,
        uid=found[0].uid,
        state=_state(found, now),
        created_at=found[0].created,
        ran_seconds=sum(task.ran_seconds(now) for task in found),
        exit_code=next((code for code in codes if code), success),
        tasks=len({task.id.lower() for task in found}),
        tasks_made_again=len(found) - len({task.id.lower() for task in found}),
        most_at_once=max(at_once),
    )


def _checked_id(wire: Wire) -> str:
    found = wire.get("id", "")
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise Fault(400, "InvalidPropertyValue", "The id is not valid: letters, digits, '-' and '_', at most 64.")
    return found


def _state(tasks: Sequence[Task], now: float) -> str:
    states = {task.state(now) for task in tasks}
    return states.pop() if len(states) == 1 else "mixed"
