"""The stand-in of the service: its methods on jobs in memory, without any network."""

import random
import string
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import grpc
from google.longrunning import operations_pb2

from dev.emulators.control import LedgerEntry
from dev.emulators.faults import Dice
from dev.emulators.gcp import filters, refusals
from dev.emulators.gcp.jobs import ENDED, Delays, SimJob, is_spot, new_message
from dev.emulators.gcp.masks import MaskMode, masked
from dev.emulators.gcp.messages import (
    JobState,
    ListJobsResponse,
    ListTasksResponse,
    OperationMetadata,
)
from dev.emulators.gcp.omissions import Omission, without
from dev.emulators.gcp.refusals import Refusal
from dev.emulators.gcp.runs import PREEMPTED

MAX_PAGE = 1000
REPLAY_SECONDS = 60 * 60.0
"""How long a request_id that was used is remembered: its repeat does nothing (providers.md §1a)."""
UID_LABEL = "jennah-uid"


class BatchService:
    """Jobs by resource name. `now` is seconds since 1970, and may be a test's own."""

    def __init__(
        self,
        dice: Dice,
        *,
        delays: Delays | None = None,
        preempted: float = 0.0,
        mask_mode: MaskMode = "honour",
        omitted: Collection[Omission] = (),
        tasks_late_seconds: float = 0.0,
        unreachable: Collection[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.dice = dice
        self.preempted = preempted
        """The share of attempts on spot VMs that lose theirs."""
        self.mask_mode: MaskMode = mask_mode
        self.omitted: set[Omission] = set(omitted)
        """What is left out of answers."""
        self.tasks_late_seconds = tasks_late_seconds
        """A job's tasks are NOT_FOUND until so long after its creation."""
        self.unreachable: list[str] = list(unreachable)
        """What ListJobs says it could not read."""
        self._delays = delays or Delays()
        self._now = now
        self._jobs: dict[str, SimJob] = {}
        self._ever: list[SimJob] = []
        self._created: list[float] = []
        self._requests: dict[str, tuple[float, str]] = {}
        self._operations: dict[str, tuple[SimJob, JobState]] = {}

    # --- the methods of google.cloud.batch.v1.BatchService --------------------------------------------

    def create_job(self, request: Any) -> Any:
        refusals.check_create(request)
        now = self._now()
        repeated = self._requests.get(request.request_id) if request.request_id else None
        if repeated is not None and now - repeated[0] < REPLAY_SECONDS and repeated[1] in self._jobs:
            return without(self._jobs[repeated[1]].read(now), self.omitted, is_create=True)
        job_id = request.job_id or "job-" + "".join(random.choices(string.ascii_lowercase, k=12))
        name = f"{request.parent}/jobs/{job_id}"
        known = self._jobs.get(name)
        if known is not None and not known.is_gone(now):
            raise Refusal(grpc.StatusCode.ALREADY_EXISTS, f"Resource '{name}' already exists")
        visible_at = now + self.dice.up_to(self.dice.faults.hidden_seconds)
        message = new_message(request, name)
        job = SimJob(
            message,
            now=now,
            visible_at=visible_at,
            delays=self._delays,
            preempted=self._preempts_spot if is_spot(message) else _never,
        )
        self._jobs[name] = job
        self._ever.append(job)
        self._created.append(now)
        if request.request_id:
            self._requests[request.request_id] = (now, name)
        return without(job.read(now), self.omitted, is_create=True)

    def get_job(self, request: Any) -> Any:
        return without(self._visible(request.name).read(self._now()), self.omitted)

    def list_jobs(self, request: Any, mask: str = "") -> Any:
        refusals.check_parent(request.parent)
        matches = filters.of_jobs(request.filter)
        size = _page_size(request.page_size)
        candidates = self._in_order(request.order_by)
        begin = _token(request.page_token, len(self._ever))
        prefix, now = f"{request.parent}/jobs/", self._now()
        answer = ListJobsResponse(unreachable=self.unreachable)
        # A token is a place in the order of creation, so jobs that are made meanwhile shift no page.
        for place, job in candidates:
            if begin is not None and not begin(place):
                continue
            if not job.name.startswith(prefix) or job.visible_at > now or job.is_gone(now):
                continue
            message = job.read(now)
            if not matches(message):
                continue
            if len(answer.jobs) == size:
                answer.next_page_token = f"{'-' if request.order_by == 'create_time desc' else '+'}{place}"
                break
            answer.jobs.append(without(message, self.omitted))
        return masked(answer, mask, self.mask_mode)

    def cancel_job(self, request: Any) -> Any:
        refusals.check_request_id(request.request_id)
        job, now = self._visible(request.name), self._now()
        if job.state(now) in ENDED or job.state(now) == JobState.DELETION_IN_PROGRESS:
            raise Refusal(
                grpc.StatusCode.FAILED_PRECONDITION, f"{job.name} is {job.state(now).name} and cannot be cancelled"
            )
        job.cancel(now)
        return self._operation(job, "cancel", JobState.CANCELLED)

    def delete_job(self, request: Any) -> Any:
        refusals.check_request_id(request.request_id)
        job = self._visible(request.name)
        job.delete(self._now())
        return self._operation(job, "delete", JobState.DELETION_IN_PROGRESS)

    def get_task(self, request: Any) -> Any:
        group, _, index = request.name.rpartition("/tasks/")
        job = self._with_group(group)
        if not index.isdecimal() or int(index) not in job.visible_tasks(self._now()):
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Resource '{request.name}' was not found")
        return job.task(int(index), self._now())

    def list_tasks(self, request: Any) -> Any:
        job, now = self._with_group(request.parent), self._now()
        matches, size = filters.of_tasks(request.filter), _page_size(request.page_size)
        if request.page_token and not request.page_token.isdecimal():
            raise refusals.invalid("invalid page_token")
        answer = ListTasksResponse()
        for index in job.visible_tasks(now)[int(request.page_token or 0) :]:
            task = job.task(index, now)
            if not matches(task):
                continue
            if len(answer.tasks) == size:
                answer.next_page_token = str(index)
                break
            answer.tasks.append(task)
        return answer

    def get_operation(self, request: Any) -> Any:
        """Of google.longrunning.Operations."""
        if request.name not in self._operations:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Operation '{request.name}' was not found")
        job, aim = self._operations[request.name]
        now = self._now()
        done = job.is_gone(now) if aim == JobState.DELETION_IN_PROGRESS else job.state(now) == aim
        return operations_pb2.Operation(name=request.name, done=done)

    # --- the side door ---------------------------------------------------------------------------------

    def ledger(self) -> Sequence[LedgerEntry]:
        """Every job that there ever was, as it really is."""
        now = self._now()
        return [
            LedgerEntry(
                id=job.read(now).uid,
                name=job.name.rpartition("/")[2],
                uid=job.read(now).labels.get(UID_LABEL, ""),
                state="DELETED" if job.is_gone(now) else job.state(now).name,
                created_at=job.created_at,
                ran_seconds=job.ran_seconds(now),
                exit_code=job.exit_code(now),
            )
            for job in self._ever
        ]

    def preempt(self, external_name: str, code: int = PREEMPTED) -> None:
        """Take the VMs of that job; by the code, in another way than as spot VMs."""
        for job in self._ever:
            if job.name.endswith(f"/jobs/{external_name}"):
                job.preempt(self._now(), code)

    # --- small helpers ---------------------------------------------------------------------------------

    def _visible(self, name: str) -> SimJob:
        job, now = self._jobs.get(name), self._now()
        if job is None or job.is_gone(now) or job.visible_at > now:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Resource '{name}' was not found")
        return job

    def _with_group(self, group: str) -> SimJob:
        name, _, rest = group.partition("/taskGroups/")
        job = self._visible(name)
        if rest != "group0" or self._now() < job.created_at + self.tasks_late_seconds:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"Resource '{group}' was not found")
        return job

    def _in_order(self, order_by: str) -> Any:
        """Pairs of place and job. Places count in the order of the answer's key."""
        match order_by:
            case "" | "create_time":
                return enumerate(self._ever)
            case "create_time desc":
                return ((place, self._ever[place]) for place in range(len(self._ever) - 1, -1, -1))
            case "name" | "name desc":
                ordered = sorted(self._ever, key=lambda job: job.name, reverse=order_by.endswith("desc"))
                return enumerate(ordered)
        raise refusals.invalid(f"invalid order_by {order_by!r}")

    def _operation(self, job: SimJob, verb: str, aim: JobState) -> Any:
        name = f"{job.name.partition('/jobs/')[0]}/operations/operation-{len(self._operations)}"
        self._operations[name] = (job, aim)
        operation = operations_pb2.Operation(name=name)
        operation.metadata.Pack(OperationMetadata(target=job.name, verb=verb, api_version="v1"))
        return operation

    def _preempts_spot(self, seconds: float) -> float | None:
        return self.dice.up_to(seconds) if self.dice.hits(self.preempted) else None


def _never(seconds: float) -> float | None:
    return None


def _page_size(asked: int) -> int:
    if asked < 0:
        raise refusals.invalid("page_size must not be negative")
    return min(asked or MAX_PAGE, MAX_PAGE)


def _token(text: str, count: int) -> Callable[[int], bool] | None:
    """Which places are left by a page token; None for the first page."""
    if not text:
        return None
    sign, digits = text[0], text[1:]
    if sign not in "+-" or not digits.isdecimal() or int(digits) >= count:
        raise refusals.invalid("invalid page_token")
    place = int(digits)
    return (lambda index: index <= place) if sign == "-" else (lambda index: index >= place)
