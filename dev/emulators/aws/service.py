"""What the operations do, as providers.md §2 says of the real service. No HTTP here, and no faults."""

import base64
import itertools
import re
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from dev.emulators import commands
from dev.emulators.aws import checks, outcomes
from dev.emulators.aws import jobs as lives
from dev.emulators.aws.checks import QUEUES, ClientFault, QueueSpec, Wire
from dev.emulators.aws.jobs import Job
from dev.emulators.control import LedgerEntry

ACCOUNT = "123456789012"
PAYLOAD_BYTES = 30 * 1024
DEFINITION_BYTES = 24 * 1024
RETENTION_SECONDS = 24 * 3600.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_FILTERS = {"JOB_NAME", "JOB_DEFINITION", "BEFORE_CREATED_AT", "AFTER_CREATED_AT", "SHARE_IDENTIFIER"}


class Service:
    """The state of a stand-in: queues, definitions, jobs."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        region: str = "eu-west-1",
        queues: Sequence[QueueSpec] = QUEUES,
        step_seconds: float = 0.05,
        hidden: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.region = region
        self.queues = {queue.name: queue for queue in queues}
        self.definitions: dict[str, list[Wire]] = defaultdict(list)
        self.jobs: dict[str, Job] = {}
        self._clock = clock
        self._step = step_seconds
        self._hidden = hidden
        self._numbers = itertools.count(1)
        self._by_queue: dict[str, list[Job]] = defaultdict(list)

    def call(self, operation: str, wanted: Wire) -> Wire:
        """The reply. Raises ClientFault, NotImplementedError."""
        method: Callable[[Wire], Wire] | None = _OPERATIONS.get(operation, lambda *_: None)(self)
        if method is None:
            raise NotImplementedError(operation)
        return method(wanted)

    def ledger(self) -> list[LedgerEntry]:
        """Every job that there is, seen or not."""
        now = self._clock()
        return [
            LedgerEntry(
                id=job.id,
                name=job.name,
                uid=job.request.get("tags", {}).get("jennah-uid", ""),
                state=job.state(now),
                created_at=job.created,
                ran_seconds=job.ran_seconds(now),
                exit_code=job.life.runs[-1].exit_code if job.life.runs and job.state(now) in lives.ENDED else None,
            )
            for job in self.jobs.values()
        ]

    # --- queues and definitions ------------------------------------------------------------------------

    def describe_job_queues(self, wanted: Wire) -> Wire:
        names = wanted.get("jobQueues") or list(self.queues)
        found = [self.queues[name] for name in map(_last, names) if name in self.queues]
        return {"jobQueues": [self._queue(queue) for queue in found]}

    def describe_compute_environments(self, wanted: Wire) -> Wire:
        names = wanted.get("computeEnvironments") or [f"{name}-machines" for name in self.queues]
        found = [self.queues.get(_last(name).removesuffix("-machines")) for name in names]
        return {"computeEnvironments": [self._environment(queue) for queue in found if queue]}

    def register_job_definition(self, wanted: Wire) -> Wire:
        name = wanted["jobDefinitionName"]
        if not _NAME.fullmatch(name):
            raise ClientFault("Job definition name must match ^[A-Za-z0-9][A-Za-z0-9_-]*$")
        if len(msgspec.json.encode(wanted)) > DEFINITION_BYTES:
            raise ClientFault("Job definition is larger than 24 KiB")
        if wanted["type"] != "container":
            raise ClientFault("only containers are played here")
        platform = (wanted.get("platformCapabilities") or ["EC2"])[0]
        container = wanted.get("containerProperties") or {}
        if not container.get("image"):
            raise ClientFault("containerProperties.image must not be null")
        checks.check_sizes(container.get("resourceRequirements", ()), platform)
        if platform == "FARGATE" and not container.get("executionRoleArn"):
            raise ClientFault("executionRoleArn is required for Fargate")
        if platform != "FARGATE" and ("networkConfiguration" in container or "ephemeralStorage" in container):
            raise ClientFault("networkConfiguration and ephemeralStorage are for Fargate only")
        if platform == "FARGATE" and (container.get("linuxParameters") or {}).get("sharedMemorySize"):
            raise ClientFault("sharedMemorySize is not for Fargate")
        checks.check_program(container)
        if container.get("secrets") and not container.get("executionRoleArn"):
            raise ClientFault("executionRoleArn is required for secrets")
        revision = len(self.definitions[name]) + 1
        arn = self._arn("job-definition", f"{name}:{revision}")
        self.definitions[name].append({**wanted, "revision": revision, "status": "ACTIVE", "jobDefinitionArn": arn})
        return {"jobDefinitionName": name, "jobDefinitionArn": arn, "revision": revision}

    def deregister_job_definition(self, wanted: Wire) -> Wire:
        self._definition(wanted["jobDefinition"])["status"] = "INACTIVE"
        return {}

    def describe_job_definitions(self, wanted: Wire) -> Wire:
        name, status = wanted.get("jobDefinitionName"), wanted.get("status")
        every = [one for revisions in self.definitions.values() for one in revisions]
        found = [
            one
            for one in every
            if (name is None or one["jobDefinitionName"] == name) and (status is None or one["status"] == status)
        ]
        page, token = _page(found, wanted, 100, lambda one: every.index(one))
        return _with_token({"jobDefinitions": page}, token)

    # --- jobs ------------------------------------------------------------------------------------------

    def submit_job(self, wanted: Wire) -> Wire:
        """A new job with every call: there is no token."""
        if not _NAME.fullmatch(wanted["jobName"]):
            raise ClientFault("Job name should match valid pattern")
        if len(msgspec.json.encode(wanted)) > PAYLOAD_BYTES:
            raise ClientFault("The request payload is larger than 30 KiB")
        queue = self.queues.get(_last(wanted["jobQueue"]))
        if queue is None:
            raise ClientFault(f"JobQueue {wanted['jobQueue']} not found")
        if queue.state != "ENABLED":
            raise ClientFault(f"Cannot submit to job queue {queue.name}: it is in the {queue.state} state")
        definition = self._definition(wanted["jobDefinition"])
        if definition["status"] != "ACTIVE":
            raise ClientFault(f"JobDefinition {wanted['jobDefinition']} is not ACTIVE")
        platform = "FARGATE" if queue.platform.startswith("FARGATE") else "EC2"
        if platform not in (definition.get("platformCapabilities") or ["EC2"]):
            raise ClientFault(f"the job definition cannot run on {platform}")
        checks.check_submission(wanted, queue, platform, definition)
        now, number = self._clock(), next(self._numbers)
        job_id = str(uuid.uuid4())
        container = definition["containerProperties"]
        plan = commands.plan(wanted.get("containerOverrides", {}).get("command") or container.get("command") or ())
        retries = wanted.get("retryStrategy") or definition.get("retryStrategy") or {}
        timeout = (wanted.get("timeout") or definition.get("timeout") or {}).get("attemptDurationSeconds")
        tag = (wanted.get("tags") or {}).get(outcomes.FAULT, "")
        group = (container.get("logConfiguration") or {}).get("options", {}).get("awslogs-group", "")
        job = Job(
            number=number,
            id=job_id,
            arn=self._arn("job", job_id),
            name=wanted["jobName"],
            queue=self._arn("job-queue", queue.name),
            definition=definition["jobDefinitionArn"],
            created=now,
            visible=now + self._hidden(),
            request=wanted,
            container=container,
            size=(wanted.get("arrayProperties") or {}).get("size"),
            life=lives.refused(now, outcomes.TOO_LONG, self._step)
            if checks.overrides_length(wanted) > checks.OVERRIDES_CHARS
            else lives.lay_out(
                now,
                step=self._step,
                outcomes=outcomes.outcomes(plan, timeout, tag, group),
                attempts=retries.get("attempts", 1),
                rules=retries.get("evaluateOnExit") or (),
                has_capacity=queue.has_capacity,
                stream=f"{definition['jobDefinitionName']}/default/{job_id}",
            ),
        )
        self.jobs[job_id] = job
        self._by_queue[queue.name].append(job)
        return {"jobArn": job.arn, "jobId": job_id, "jobName": job.name}

    def list_jobs(self, wanted: Wire) -> Wire:
        kinds = [name for name in ("jobQueue", "arrayJobId", "multiNodeJobId") if wanted.get(name)]
        if len(kinds) != 1:
            raise ClientFault("Exactly one of jobQueue, arrayJobId and multiNodeJobId must be given")
        now = self._clock()
        if kinds == ["arrayJobId"]:
            return self._list_children(wanted, now)
        name = _last(wanted["jobQueue"])
        if name not in self.queues:
            raise ClientFault(f"Job queue {wanted['jobQueue']} does not exist")
        seen = (job for job in reversed(self._by_queue[name]) if job.visible <= now and not self._is_gone(job, now))
        filters = wanted.get("filters") or []
        if filters:
            found = self._filtered(seen, filters, wanted, now)
            limit = 100
        else:
            state = wanted.get("jobStatus") or "RUNNING"
            found = [job for job in seen if job.state(now) == state]
            limit = 1000
        page, token = _page(found, wanted, limit, lambda job: -job.number)
        return _with_token({"jobSummaryList": [job.summary(now) for job in page]}, token)

    def describe_jobs(self, wanted: Wire) -> Wire:
        ids = wanted["jobs"]
        if len(ids) > 100:
            raise ClientFault("Maximum number of jobs supported is 100")
        now = self._clock()
        found = []
        for wanted_id in dict.fromkeys(map(_last, ids)):
            job_id, _, index = wanted_id.partition(":")
            job = self.jobs.get(job_id)
            if job is None or job.visible > now or self._is_gone(job, now):
                continue
            if not index:
                found.append(job.detail(now))
            elif index.isdecimal() and int(index) < (job.size or 0):
                found.append(job.child_detail(int(index), now))
        return {"jobs": found}

    def cancel_job(self, wanted: Wire) -> Wire:
        """Does nothing to a job that starts or runs."""
        now = self._clock()
        job = self.jobs.get(_last(wanted["jobId"]))
        if job is not None and job.life.state(now) in lives.NOT_STARTED:
            job.cancelled = now
            job.life.cut(now, wanted["reason"])
        return {}

    def terminate_job(self, wanted: Wire) -> Wire:
        """Ends a job that runs, a moment later, and cancels one that does not yet."""
        now = self._clock()
        job = self.jobs.get(_last(wanted["jobId"]))
        if job is None or job.life.state(now) in lives.ENDED:
            return {}
        at = now if job.life.state(now) in lives.NOT_STARTED else now + self._step
        job.life.cut(at, wanted["reason"])
        if job.life.end_reason == wanted["reason"] and job.terminated is None:
            job.terminated = now
        return {}

    def terminate_jobs(self, wanted: Wire) -> Wire:
        if len(wanted["jobs"]) > 50:
            raise ClientFault("Maximum number of jobs supported is 50")
        for job_id in wanted["jobs"]:
            self.terminate_job({"jobId": job_id, "reason": wanted["reason"]})
        return {"successful": list(wanted["jobs"]), "errors": []}

    # --- parts -----------------------------------------------------------------------------------------

    def _list_children(self, wanted: Wire, now: float) -> Wire:
        job = self.jobs.get(_last(wanted["arrayJobId"]))
        state = wanted.get("jobStatus") or "RUNNING"
        indexes: Iterable[int] = ()
        if job is not None and job.size and job.visible <= now and job.life.state(now) == state:
            indexes = range(job.size)
        page, token = _page(list(indexes), wanted, 1000, lambda index: index)
        children = [job.child_summary(index, now) for index in page] if job else []
        return _with_token({"jobSummaryList": children}, token)

    def _filtered(self, seen: Iterable[Job], filters: list[Wire], wanted: Wire, now: float) -> list[Job]:
        if len(filters) != 1 or filters[0].get("name") not in _FILTERS:
            raise ClientFault("Exactly one known filter can be used at a time")
        kind, values = filters[0]["name"], filters[0].get("values") or []
        if len(values) != 1:
            raise ClientFault("A filter takes one value")
        [value] = values
        match kind:
            case "JOB_NAME":
                return [job for job in seen if _matches(job.name.lower(), value.lower())]
            case "JOB_DEFINITION":
                names = ((job, job.definition.rpartition("/")[2].partition(":")[0]) for job in seen)
                return [job for job, name in names if job.definition == value or _matches(name, value)]
            case "SHARE_IDENTIFIER":
                state = wanted.get("jobStatus")
                of_share = [job for job in seen if job.request.get("shareIdentifier") == value]
                return [job for job in of_share if state is None or job.state(now) == state]
            case "BEFORE_CREATED_AT":
                return [job for job in seen if job.created * 1000 < float(value)]
        return [job for job in seen if job.created * 1000 > float(value)]

    def _definition(self, wanted: str) -> Wire:
        name, _, revision = _last(wanted).partition(":")
        revisions = self.definitions.get(name, [])
        for one in reversed(revisions):
            if str(one["revision"]) == revision or (not revision and one["status"] == "ACTIVE"):
                return one
        raise ClientFault(f"JobDefinition {wanted} not found")

    def _is_gone(self, job: Job, now: float) -> bool:
        return job.life.steps[-1][1] in lives.ENDED and job.life.steps[-1][0] + RETENTION_SECONDS < now

    def _queue(self, queue: QueueSpec) -> Wire:
        wire: Wire = {
            "jobQueueName": queue.name,
            "jobQueueArn": self._arn("job-queue", queue.name),
            "state": queue.state,
            "status": "VALID",
            "priority": 1,
            "jobQueueType": "ECS_FARGATE" if queue.platform.startswith("FARGATE") else "ECS",
            "computeEnvironmentOrder": [
                {"order": 1, "computeEnvironment": self._arn("compute-environment", f"{queue.name}-machines")}
            ],
        }
        if queue.has_policy:
            wire["schedulingPolicyArn"] = self._arn("scheduling-policy", "fair")
        return wire

    def _environment(self, queue: QueueSpec) -> Wire:
        name = f"{queue.name}-machines"
        return {
            "computeEnvironmentName": name,
            "computeEnvironmentArn": self._arn("compute-environment", name),
            "type": "MANAGED",
            "state": "ENABLED",
            "status": "VALID",
            "computeResources": {"type": queue.platform, "maxvCpus": 256, "subnets": ["subnet-1"]},
        }

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:batch:{self.region}:{ACCOUNT}:{kind}/{name}"


_OPERATIONS: Mapping[str, Callable[[Service], Callable[[Wire], Wire]]] = {
    "SubmitJob": lambda service: service.submit_job,
    "ListJobs": lambda service: service.list_jobs,
    "DescribeJobs": lambda service: service.describe_jobs,
    "DescribeJobQueues": lambda service: service.describe_job_queues,
    "DescribeComputeEnvironments": lambda service: service.describe_compute_environments,
    "DescribeJobDefinitions": lambda service: service.describe_job_definitions,
    "RegisterJobDefinition": lambda service: service.register_job_definition,
    "DeregisterJobDefinition": lambda service: service.deregister_job_definition,
    "CancelJob": lambda service: service.cancel_job,
    "TerminateJob": lambda service: service.terminate_job,
    "TerminateJobs": lambda service: service.terminate_jobs,
}


def _page(found: Sequence[Any], wanted: Wire, limit: int, place: Callable[[Any], int]) -> tuple[list[Any], str | None]:
    """One page of what is in the order of `place`, and the token of the next."""
    size = min(wanted.get("maxResults") or limit, limit)
    if size < 1:
        raise ClientFault("maxResults must be at least 1")
    token = wanted.get("nextToken")
    try:
        after = int(base64.urlsafe_b64decode(token)) if token else None
    except ValueError:
        raise ClientFault("nextToken is not valid") from None
    rest = [one for one in found if after is None or place(one) > after]
    page = list(rest[:size])
    more = base64.urlsafe_b64encode(str(place(page[-1])).encode()).decode() if len(rest) > size else None
    return page, more


def _with_token(reply: Wire, token: str | None) -> Wire:
    return {**reply, "nextToken": token} if token else reply


def _matches(name: str, wanted: str) -> bool:
    return name.startswith(wanted[:-1]) if wanted.endswith("*") else name == wanted


def _last(arn: str) -> str:
    """The name in an ARN, or the name itself."""
    return arn.rpartition("/")[2] if arn.startswith("arn:") else arn
