"""A batch service that takes no time: in the operator's process, so that what is measured is the operator.

`InstantProvider` is a `ports.BatchProvider` whose jobs go the way that a cloud's go: waiting when they are submitted,
running when they are next looked at, ended when they are looked at once their time is over. `python -m
dev.bench.operator` runs the operator on it. Jobs of which it has not heard run for ever: an operator that starts finds
seeded ones as they were left.
"""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from datetime import UTC, datetime

import msgspec

from controller.domain.destination import Destination
from controller.domain.job import JobSpec
from controller.domain.phases import Phase
from controller.ports import JobRef, Observation, OwnedJob, SubmitRequest

NAME = "gcp"
"""It stands in for a service that lets the caller name the job: its settings and its timing are the operator's."""
REGION = "bench-1"
SITE = Destination(provider=NAME, region=REGION)


def observation(external_name: str, uid: str, phase: Phase, at: datetime) -> Observation:
    """How a job stands that was submitted at that time: the same for the same arguments."""
    return Observation(
        external_name=external_name,
        uid=uid,
        resource_path=f"projects/bench/locations/{REGION}/jobs/{external_name}",
        phase=phase,
        submitted_at=at,
        started_at=None if phase is Phase.PENDING else at,
        completed_at=at if phase.is_terminal else None,
        exit_code=0 if phase.is_terminal else None,
        console_url=f"https://console.example/jobs/{external_name}",
    )


class InstantProvider:
    """See the module. `calls` counts what was asked, `submitted` has the wall clock's time by job id."""

    name = NAME
    region = REGION
    site = SITE

    def __init__(self, *, run_seconds: float, names_are_ids: bool = True, now: Callable[[], float] = time.time) -> None:
        """`run_seconds`: how long a job runs."""
        self.names_are_ids = names_are_ids
        self.cancel_erases = False
        self.remembers_seconds = math.inf
        self.calls: dict[str, int] = {}
        self.submitted: dict[str, float] = {}
        self._run_seconds = run_seconds
        self._now = now
        self._jobs: dict[str, Observation] = {}
        self._begun: dict[str, float] = {}

    def destination(self, spec: JobSpec, namespace: str) -> Destination:
        return self.site

    async def open(self) -> None:
        return

    async def close(self) -> None:
        return

    async def prepare(self, request: SubmitRequest) -> None:
        return

    async def submit(self, request: SubmitRequest) -> Observation:
        self._count("submit")
        name, now = request.external_name, self._now()
        if name not in self._jobs:
            self.submitted[request.job_id] = now
            self._jobs[name] = observation(name, request.uid, Phase.PENDING, datetime.fromtimestamp(now, UTC))
        return self._jobs[name]

    async def find(self, ref: JobRef) -> Sequence[Observation]:
        self._count("find")
        return [self._jobs[ref.external_name]] if ref.external_name in self._jobs else []

    async def get(self, ref: JobRef) -> Observation | None:
        self._count("get")
        return self._jobs.get(ref.external_name)

    async def observe(self, refs: Collection[JobRef]) -> Mapping[str, Observation]:
        self._count("observe")
        now = self._now()
        return {ref.external_name: self._look(ref, now) for ref in refs}

    async def unclaimed(self, claimed: Set[str], *, ended_since: datetime | None = None) -> Sequence[OwnedJob]:
        self._count("unclaimed")
        return ()

    async def cancel(self, ref: JobRef, *, reason: str) -> bool:
        self._count("cancel")
        return self.end(ref.external_name)

    async def delete(self, ref: JobRef) -> None:
        self._count("delete")
        self._jobs.pop(ref.external_name, None)

    def end(self, external_name: str) -> bool:
        """Have a job completed now; whether there is one."""
        job = self._jobs.get(external_name)
        if job is not None and not job.has_ended:
            done = datetime.fromtimestamp(self._now(), UTC)
            self._jobs[external_name] = msgspec.structs.replace(
                job, phase=Phase.COMPLETED, completed_at=done, exit_code=0
            )
        return job is not None

    def _look(self, ref: JobRef, now: float) -> Observation:
        """How the job stands; time has gone on for it."""
        name = ref.external_name
        job = self._jobs.get(name)
        if job is None:
            at = ref.submitted_at or datetime.fromtimestamp(now, UTC)
            job = self._jobs[name] = observation(name, ref.uid, Phase.RUNNING, at)
        elif job.phase is Phase.PENDING:
            begun = datetime.fromtimestamp(now, UTC)
            self._begun[name] = now
            job = self._jobs[name] = msgspec.structs.replace(job, phase=Phase.RUNNING, started_at=begun)
        elif name in self._begun and now - self._begun[name] >= self._run_seconds:
            del self._begun[name]
            self.end(name)
            job = self._jobs[name]
        return job

    def _count(self, call: str) -> None:
        self.calls[call] = self.calls.get(call, 0) + 1
