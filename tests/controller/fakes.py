"""Fakes of the ports, in memory: what they do is what the ports' contract says, with faults on demand."""

import asyncio
import heapq
import itertools
import math
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta

import msgspec

from controller.domain import names, reasons
from controller.domain.destination import Destination
from controller.domain.errors import Conflict, NotFound, Permanent, Retryable
from controller.domain.job import Job, JobSpec, Metadata, parse, status_to_wire
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Recorded, Transition
from controller.domain.tenants import TenantPolicy, TenantSpec
from controller.ports import Environment, JobRef, Observation, OwnedJob, SubmitRequest

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """Time that moves only by `advance`."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = itertools.count()

    def now(self) -> datetime:
        return START + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + seconds, next(self._count), wake))
        await wake

    def pause(self, seconds: float) -> None:
        """Let that time pass while nobody runs, as for a stopped process: who sleeps wakes with the next `advance`."""
        self._seconds += seconds

    async def advance(self, seconds: float) -> None:
        """Let that time pass; whoever sleeps meanwhile wakes in order."""
        end = self._seconds + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, wake = heapq.heappop(self._sleepers)
            self._seconds = max(self._seconds, due)
            if not wake.done():
                wake.set_result(None)
            await settle()
        self._seconds = end
        await settle()


async def settle() -> None:
    """Let every task run until all of them wait."""
    for _ in range(50):
        await asyncio.sleep(0)


class Crash(BaseException):
    """The process dies here: nothing after this point is run."""


class FaultPoints:
    """Named points in the fakes; a test makes one of them crash or raise."""

    def __init__(self) -> None:
        self._faults: dict[str, list[BaseException | None]] = defaultdict(list)

    def arm(self, point: str, fault: BaseException, *, passes: int = 0) -> None:
        """Have that fault the next time the point is reached, after it was passed unharmed so many times."""
        self._faults[point] += [*([None] * passes), fault]

    def reach(self, point: str) -> None:
        fault = self._faults[point].pop(0) if self._faults[point] else None
        if fault is not None:
            raise fault


class AlwaysLeader:
    """`ports.Leadership` of a controller that runs alone."""

    def is_leader(self) -> bool:
        return True

    async def wait_until_leader(self) -> None:
        return


class FakeProvider:
    """A service in memory whose jobs move when the test says so."""

    def __init__(self, faults: FaultPoints | None = None, name: str = "local") -> None:
        self.name = name
        self.region = "nowhere"
        self.names_are_ids = True
        self.cancel_erases = False
        self.remembers_seconds = math.inf
        self.queue = "queue"
        """Where new jobs go by the settings."""
        self.jobs: dict[str, Observation] = {}
        self.submissions: list[SubmitRequest] = []
        self.more: list[tuple[int, int]] = []
        """The tasks of sets that were asked for later: from this index to before that one."""
        self.cancelled: list[str] = []
        self.deleted: list[str] = []
        self.unlisted: set[str] = set()
        """Names that `unclaimed` leaves out, as it may those that were claimed before."""
        self.observed = 0
        self.faults = faults or FaultPoints()

    @property
    def site(self) -> Destination:
        return Destination(provider=self.name, region=self.region)

    def destination(self, spec: JobSpec, namespace: str) -> Destination:
        return msgspec.structs.replace(self.site, queue=self.queue)

    async def open(self) -> None:
        return

    async def prepare(self, request: SubmitRequest) -> None:
        self.faults.reach("prepare")

    async def submit(self, request: SubmitRequest) -> Observation:
        if request.begun is not None:
            return self._submit_more(request, request.begun)
        self.faults.reach("before submit")
        known = self.jobs.get(request.external_name)
        if known is not None and known.uid != request.uid:
            raise Permanent("another's job has that name", reason=reasons.NAME_TAKEN)
        if known is None:
            self.submissions.append(request)
            self.jobs[request.external_name] = Observation(
                external_name=request.external_name,
                uid=request.uid,
                resource_path=f"fake/{request.external_name}",
                phase=Phase.SCHEDULED,
                submitted_at=START,
                is_unreleased=True,
            )
        self.faults.reach("before release")
        self.jobs[request.external_name] = msgspec.structs.replace(
            self.jobs[request.external_name], is_unreleased=False
        )
        self.faults.reach("after submit")
        return self.jobs[request.external_name]

    def _submit_more(self, request: SubmitRequest, begun: Observation) -> Observation:
        self.faults.reach("before submit more")
        known = self.jobs[request.external_name]
        assert begun.tasks is not None and begun.tasks.submitted is not None and known.tasks is not None
        end = begun.tasks.submitted + begun.tasks_due
        self.more.append((begun.tasks.submitted, end))
        tasks = msgspec.structs.replace(known.tasks, submitted=max(end, known.tasks.submitted or 0))
        self.jobs[request.external_name] = msgspec.structs.replace(known, tasks=tasks, tasks_due=0, is_at_rest=False)
        self.faults.reach("after submit more")
        return msgspec.structs.replace(begun, tasks=tasks, tasks_due=0, is_at_rest=False)

    async def get(self, ref: JobRef) -> Observation | None:
        self.faults.reach("get")
        return self.jobs.get(ref.external_name)

    async def find(self, ref: JobRef) -> Sequence[Observation]:
        seen = await self.get(ref)
        return [seen] if seen is not None and seen.uid == ref.uid else []

    async def observe(self, refs: Collection[JobRef]) -> Mapping[str, Observation]:
        self.faults.reach("observe")
        self.observed += 1
        return {ref.external_name: self.jobs[ref.external_name] for ref in refs if ref.external_name in self.jobs}

    async def unclaimed(self, claimed: Set[str], *, ended_since: datetime | None = None) -> Sequence[OwnedJob]:
        self.faults.reach("unclaimed")
        return [
            _owned(job, self.submissions)
            for job in self._all()
            if (not job.has_ended or (ended_since and job.completed_at and job.completed_at >= ended_since))
            and job.uid not in claimed
            and job.external_name not in self.unlisted
        ]

    def _all(self) -> Iterable[Observation]:
        return self.jobs.values()

    async def cancel(self, ref: JobRef, *, reason: str) -> bool:
        self.faults.reach("cancel")
        self.cancelled.append(ref.external_name)
        job = self.jobs.get(ref.external_name)
        if job is not None and job.is_unreleased:
            del self.jobs[ref.external_name]
            return True
        if self.cancel_erases and job is not None:
            self.jobs[ref.external_name] = msgspec.structs.replace(job, is_cancelling=True)
        self.faults.reach("after cancel")
        return ref.external_name in self.jobs

    async def delete(self, ref: JobRef) -> None:
        self.faults.reach("before delete job")
        self.deleted.append(ref.external_name)
        self.faults.reach("after delete job")

    async def close(self) -> None:
        return

    def move(self, phase: Phase | None, **facts: object) -> None:
        """Bring every job to that phase."""
        for name, job in self.jobs.items():
            self.jobs[name] = msgspec.structs.replace(job, phase=phase, **facts)


def _owned(job: Observation, submissions: Iterable[SubmitRequest]) -> OwnedJob:
    request = next(one for one in submissions if one.uid == job.uid)
    return OwnedJob(
        seen=job,
        has_ended=job.has_ended,
        namespace=request.namespace,
        tenant_id=request.tenant_id,
        job_id=request.job_id,
        is_left_alone=request.spec.deletion_policy == "Orphan",
    )


class FakeService(FakeProvider):
    """A service in memory that names its jobs itself: each submission is a new job, shown after `hidden` seconds."""

    def __init__(self, faults: FaultPoints | None = None, clock: FakeClock | None = None) -> None:
        super().__init__(faults)
        self.names_are_ids = False
        self.cancel_erases = False
        self.hidden = 0.0
        self._clock = clock or FakeClock()
        self.made: list[tuple[float, Observation]] = []
        """Every job that was ever made: when, and how it stands."""
        self.queue_of: dict[str, str | None] = {}
        """By path: where each was sent, and is found by its name."""
        self.stopped: list[tuple[float, SubmitRequest]] = []
        """Calls of processes that were stopped, or died, before they had sent anything: since when."""

    async def submit(self, request: SubmitRequest) -> Observation:
        try:
            self.faults.reach("before submit")
        except Crash:
            self.stopped.append((self._clock.monotonic(), request))
            raise
        if request.send_by is not None and self._clock.monotonic() > request.send_by:
            raise Retryable("too late: nothing was sent")
        self.submissions.append(request)
        made = Observation(
            external_name=request.external_name,
            uid=request.uid,
            resource_path=f"fake/{request.external_name}/{len(self.made)}",
            phase=Phase.PENDING,
            submitted_at=self._clock.now(),
        )
        self.made.append((self._clock.monotonic(), made))
        self.queue_of[made.resource_path] = self._queue(request)
        self.faults.reach("after submit")
        return made

    async def find(self, ref: JobRef) -> Sequence[Observation]:
        self.faults.reach("find")
        now = self._clock.monotonic()
        return [
            job
            for at, job in self.made
            if at + self.hidden <= now
            and (job.external_name, job.uid) == (ref.external_name, ref.uid)
            and self.queue_of.get(job.resource_path, self.queue) == self._queue(ref)
        ]

    def _queue(self, asked: SubmitRequest | JobRef) -> str | None:
        return asked.destination.queue if asked.destination is not None else self.queue

    async def get(self, ref: JobRef) -> Observation | None:
        self.faults.reach("get")
        if ref.resource_path is None:
            return next(iter(await self.find(ref)), None)
        now = self._clock.monotonic()
        shown = (job for at, job in self.made if at + self.hidden <= now)
        return next((job for job in shown if job.resource_path == ref.resource_path), None)  # whosever it is

    async def observe(self, refs: Collection[JobRef]) -> Mapping[str, Observation]:
        self.faults.reach("observe")
        self.observed += 1
        found = {ref.external_name: await self.get(ref) for ref in refs if ref.resource_path}
        return {name: job for name, job in found.items() if job is not None}

    async def cancel(self, ref: JobRef, *, reason: str) -> bool:
        self.faults.reach("cancel")
        self.cancelled.append(ref.resource_path or "")
        self.made = [
            (at, msgspec.structs.replace(job, phase=Phase.CANCELLED))
            if job.resource_path == ref.resource_path and not job.has_ended
            else (at, job)
            for at, job in self.made
        ]
        self.faults.reach("after cancel")
        return True

    def _all(self) -> Iterable[Observation]:
        return [job for _, job in self.made]

    def move(self, phase: Phase | None, **facts: object) -> None:
        self.made = [
            (at, job if job.has_ended else msgspec.structs.replace(job, phase=phase, **facts)) for at, job in self.made
        ]


class FakeRecord:
    """The database: the laws of `ports.JobStore.record`, for what the reconciler uses of it."""

    def __init__(self, faults: FaultPoints | None = None) -> None:
        self.rows: dict[tuple[str, str], JobRow] = {}
        self.owners: dict[tuple[str, str], str] = {}
        self.deleted: set[str] = set()
        self.destinations: dict[str, str] = {}
        self.audit: dict[str, list[tuple[int, Phase | None, Phase]]] = defaultdict(list)
        self.faults = faults or FaultPoints()

    async def write(self, transitions: Sequence[Transition]) -> Recorded:
        self.faults.reach("before record")
        for transition in transitions:
            self._apply(transition)
        self.faults.reach("after record")
        last = transitions[-1]
        number, _, phase = self.audit[last.uid][-1]
        path = self.rows[last.row.tenant_id, last.row.job_id].resource_path
        return Recorded(number=number, phase=phase, resource_path=path, destination=self.destinations.get(last.uid))

    def _apply(self, transition: Transition) -> None:
        audit, row = self.audit[transition.uid], transition.row
        if transition.uid in self.deleted:
            raise Permanent("it was deleted", reason=reasons.JOB_DELETED)
        owner = self.owners.setdefault((row.tenant_id, row.job_id), transition.uid)
        if owner != transition.uid:
            raise Permanent("another object's", reason=reasons.RECORD_REJECTED)
        if transition.destination is not None:
            self.destinations.setdefault(transition.uid, transition.destination)
        if audit and audit[-1][0] == transition.number:
            old = self.rows[row.tenant_id, row.job_id]  # the same transition again: only facts that were NULL
            facts = {name: getattr(row, name) for name in row.__struct_fields__ if getattr(old, name) is None}
            self.rows[row.tenant_id, row.job_id] = msgspec.structs.replace(old, **facts)
        if audit and (audit[-1][0] >= transition.number or audit[-1][2].is_terminal or audit[-1][2] is row.status):
            return
        audit.append((transition.number, audit[-1][2] if audit else transition.from_phase, row.status))
        self.rows[row.tenant_id, row.job_id] = row

    async def get_job(self, tenant_id: str, job_id: str) -> JobRow | None:
        self.faults.reach("get row")
        return self.rows.get((tenant_id, job_id))

    async def delete_job(self, tenant_id: str, job_id: str, *, uid: str) -> bool:
        self.faults.reach("delete row")
        self.deleted.add(uid)
        was_there = self.owners.get((tenant_id, job_id)) == uid
        if was_there:
            del self.owners[tenant_id, job_id], self.rows[tenant_id, job_id]
            self.audit.pop(uid, None)
            self.destinations.pop(uid, None)
        self.faults.reach("after delete row")
        return was_there


class FakeResources:
    """The API server: objects with versions, guarded writes, events."""

    def __init__(self, faults: FaultPoints | None = None) -> None:
        self.objects: dict[tuple[str, str], Job] = {}
        self.events: list[tuple[str, str]] = []
        self.event_messages: list[str] = []
        """In the order of `events`."""
        self.writes = 0
        self.reads = 0
        self.env: Environment | Exception = Environment(values={}, shown={})
        self.labels = {names.LABEL_TENANT: "tenant"}
        """Of every namespace."""
        self.tenant: TenantSpec | Exception = TenantSpec(trusted=True)
        """The policy of every tenant."""
        self.faults = faults or FaultPoints()
        self.changed: Callable[[Job], None] = lambda job: None
        self.removed: Callable[[str], None] = lambda key: None
        self._version = 0

    def create(self, name: str = "job", *, namespace: str = "default", held: bool = True, **spec: object) -> Job:
        metadata = Metadata(
            name=name,
            namespace=namespace,
            uid=str(uuid.uuid4()),
            creation_timestamp=START,
            finalizers=(names.FINALIZER,) if held else (),
        )
        fields = {"image": "img", "tenant_id": "tenant", "job_id": name, **spec}
        return self._store(Job(metadata=metadata, spec=JobSpec(**fields)))

    def edit(self, job: Job, *, metadata: Mapping[str, object] | None = None, **spec: object) -> Job:
        current = self.current(job)
        return self._store(
            msgspec.structs.replace(
                current,
                metadata=msgspec.structs.replace(current.metadata, **(metadata or {})),
                spec=msgspec.structs.replace(current.spec, **spec),
            )
        )

    def edit_status(self, job: Job, **fields: object) -> Job:
        """As somebody does by hand."""
        current = self.current(job)
        return self._store(msgspec.structs.replace(current, status=msgspec.structs.replace(current.status, **fields)))

    def current(self, job: Job) -> Job:
        return self.objects[job.metadata.namespace, job.metadata.name]

    async def get(self, namespace: str, name: str) -> Job | None:
        self.reads += 1
        return self.objects.get((namespace, name))

    async def newest_version(self, namespace: str) -> int:
        return self._version

    async def hold(self, job: Job, labels: Mapping[str, str]) -> Job:
        self.faults.reach("hold")
        self._guard(job)
        held = self.edit(job, metadata={"finalizers": (names.FINALIZER,), "labels": dict(labels)})
        self.faults.reach("after hold")
        return held

    async def release(self, job: Job) -> None:
        self.faults.reach("release")
        self._guard(job)
        self.writes += 1
        del self.objects[job.metadata.namespace, job.metadata.name]
        self.faults.reach("after release")

    async def write_status(self, job: Job, status: Mapping[str, object]) -> Job:
        self.faults.reach("before status")
        current = self._guard(job)
        merged = _merge(status_to_wire(current.status), status)
        raw = {"metadata": {"name": "x"}, "spec": {"image": "x"}, "status": merged}
        self.writes += 1
        stored = self._store(msgspec.structs.replace(current, status=parse(raw).status))
        self.faults.reach("after status")
        return stored

    async def delete(self, job: Job) -> None:
        self.faults.reach("before delete object")
        self.writes += 1
        self.edit(job, metadata={"deletion_timestamp": START})
        self.faults.reach("after delete object")

    def force_off(self, job: Job, *, unseen: bool = False) -> None:
        """The object goes at once, as with its finalizers taken off; `unseen`: while nobody watches."""
        del self.objects[job.metadata.namespace, job.metadata.name]
        if not unseen:
            self.removed(job.key)

    async def uids(self, namespaces: Collection[str]) -> Set[str]:
        self.faults.reach("uids")
        return {job.key for job in self.objects.values() if not namespaces or job.metadata.namespace in namespaces}

    async def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        return self.labels

    async def tenant_policy(self, tenant_id: str) -> TenantPolicy:
        if isinstance(self.tenant, Exception):
            raise self.tenant
        return TenantPolicy(tenant_id=tenant_id, source="JennahTenant test", spec=self.tenant)

    async def environment(self, job: Job) -> Environment:
        if isinstance(self.env, Exception):
            raise self.env
        return self.env

    def post_event(self, job: Job, *, kind: str, reason: str, message: str) -> None:
        self.events.append((kind, reason))
        self.event_messages.append(message)

    def _guard(self, job: Job) -> Job:
        current = self.objects.get((job.metadata.namespace, job.metadata.name))
        if current is None:
            raise NotFound("gone")
        if current.metadata.resource_version != job.metadata.resource_version:
            raise Conflict("a newer version exists")
        return current

    def _store(self, job: Job) -> Job:
        self._version += 1
        metadata = msgspec.structs.replace(job.metadata, resource_version=str(self._version))
        stored = msgspec.structs.replace(job, metadata=metadata)
        self.objects[job.metadata.namespace, job.metadata.name] = stored
        self.changed(stored)
        return stored


def _merge(old: Mapping[str, object], patch: Mapping[str, object]) -> dict[str, object]:
    merged = dict(old)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            before = merged.get(name)
            merged[name] = _merge(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged
