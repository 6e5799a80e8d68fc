"""What is known of queues and job definitions, looked up once and remembered for a while."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from controller.domain import reasons
from controller.domain.errors import Permanent, Retryable
from controller.ports import Clock
from controller.providers.aws.connection import AwsConnection
from controller.providers.aws.errors import Refused
from controller.providers.aws.queues import Platform, Queue
from controller.providers.aws.wire import JobQueue

log = logging.getLogger(__name__)

T = TypeVar("T")

ACTIVE = "ACTIVE"
REMEMBER_SECONDS = 300.0
QUEUES_MAX = 1000
DEFINITIONS_MAX = 10_000
ENVIRONMENTS_A_CALL = 100


class Memory(Generic[T]):
    """Values by key, each looked up once at a time, forgotten after `REMEMBER_SECONDS`; the oldest go first."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._values: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[T]] = {}

    async def get(self, key: str, look_up: Callable[[], Awaitable[T]]) -> T:
        """The value; who comes while it is looked up waits for the same answer."""
        found = self._values.get(key)
        if found is not None and self._clock.monotonic() - found[0] < REMEMBER_SECONDS:
            return found[1]
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._look_up(key, look_up))
            task.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(task)  # another may wait for it when this caller is cancelled

    def forget(self, key: str) -> None:
        self._values.pop(key, None)

    async def close(self) -> None:
        """End the look-ups that are under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, key: str, look_up: Callable[[], Awaitable[T]]) -> T:
        value = await look_up()
        self._values[key] = (self._clock.monotonic(), value)
        self._values.move_to_end(key)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)
        return value

    def _done(self, key: str, task: asyncio.Task[T]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen: whoever waited has it


class Catalogue:
    """The queues and definitions of one account and region."""

    def __init__(self, connection: AwsConnection, clock: Clock) -> None:
        self._connection = connection
        self._queues: Memory[Queue] = Memory(clock, QUEUES_MAX)
        self._definitions: Memory[str] = Memory(clock, DEFINITIONS_MAX)
        self._lacking: set[str] = set()
        """Operations that the endpoint does not have."""

    async def queue(self, name: str, *, is_from_spec: bool) -> Queue:
        """What is known of that queue.

        Raises Permanent(INVALID_SPEC) for a queue of the spec that does not exist or that takes no such jobs,
        Retryable for one that takes none now, and what `AwsConnection.read` raises.
        """
        return await self._queues.get(name, lambda: self._find_queue(name, is_from_spec=is_from_spec))

    async def definition(self, parameters: Mapping[str, Any]) -> str:
        """``name:revision`` of an active definition with that name; it is registered where there is none."""
        name = str(parameters["jobDefinitionName"])
        return await self._definitions.get(name, lambda: self._find_definition(name, parameters))

    def forget_queue(self, name: str) -> None:
        self._queues.forget(name)

    def forget_definition(self, definition: str) -> None:
        """`definition` as `definition` returned it."""
        self._definitions.forget(definition.rpartition(":")[0])

    async def existing(self, names: Sequence[str]) -> dict[str, str]:
        """The ARNs of those of the queues that exist, by how they were named; without names of all queues. "" from an
        endpoint that knows no queues. Raises what `AwsConnection.read` raises."""
        found: dict[str, str] = {}
        wanted: dict[str, Any] = {"jobQueues": list(names)} if names else {}
        while True:
            reply = await self._read("DescribeJobQueues", wanted)
            if reply is None:
                return dict.fromkeys(names, "")
            for queue in reply.job_queues:
                found |= dict.fromkeys((queue.job_queue_name, queue.job_queue_arn), queue.job_queue_arn)
            if not reply.next_token:
                return {name: found[name] for name in names if name in found} if names else found
            wanted["nextToken"] = reply.next_token

    async def close(self) -> None:
        await self._queues.close()
        await self._definitions.close()

    async def _find_queue(self, name: str, *, is_from_spec: bool) -> Queue:
        reply = await self._read("DescribeJobQueues", {"jobQueues": [name]})
        if reply is None:
            return Queue(name=name, platform=Platform.EC2, has_policy=False)
        if not reply.job_queues:
            if is_from_spec:
                raise Permanent(f"spec.aws.jobQueue: there is no queue {name!r}", reason=reasons.INVALID_SPEC)
            raise Retryable(f"the queue {name!r} of AWS_JOB_QUEUE or AWS_JOB_QUEUES does not exist")
        queue: JobQueue = reply.job_queues[0]
        state, status = queue.state or "", queue.status or "VALID"
        if state != "ENABLED" or status != "VALID":
            raise Retryable(f"the queue {name!r} takes no jobs: it is {state} and {status}", delay=15.0)
        kind = queue.job_queue_type
        if kind in ("EKS", "SAGEMAKER_TRAINING"):
            raise Permanent(
                f"the queue {name!r} is one of {kind}, which cannot run these jobs", reason=reasons.INVALID_SPEC
            )
        kinds = await self._kinds(queue)
        # A queue's environments are all of one platform: the service sees to it.
        is_fargate = kind == "ECS_FARGATE" or bool(kinds & {"FARGATE", "FARGATE_SPOT"})
        return Queue(
            name=name,
            platform=Platform.FARGATE if is_fargate else Platform.EC2,
            has_policy=bool(queue.scheduling_policy_arn),
            is_spot=bool(kinds & {"SPOT", "FARGATE_SPOT"}) if kinds else None,
        )

    async def _kinds(self, queue: JobQueue) -> set[str]:
        """EC2, SPOT, FARGATE or FARGATE_SPOT: those of its compute environments that are told."""
        names = [one.compute_environment for one in queue.compute_environment_order or ()][:ENVIRONMENTS_A_CALL]
        reply = await self._read("DescribeComputeEnvironments", {"computeEnvironments": names}) if names else None
        resources = [one.compute_resources for one in reply.compute_environments] if reply is not None else []
        return {one.type for one in resources if one and one.type}

    async def _find_definition(self, name: str, parameters: Mapping[str, Any]) -> str:
        """The newest active revision. Two replicas may register one each: the same content, so either will do."""
        wanted: dict[str, Any] = {"jobDefinitionName": name, "status": ACTIVE, "maxResults": 100}
        revisions: list[int] = []
        while True:
            reply = await self._read("DescribeJobDefinitions", wanted)
            if reply is None:
                break
            found = (one for one in reply.job_definitions if one.job_definition_name == name)
            revisions += [one.revision for one in found if one.status in (ACTIVE, None)]
            if not reply.next_token:
                break
            wanted["nextToken"] = reply.next_token
        if not revisions:
            registered = await self._connection.call("RegisterJobDefinition", parameters)
            revisions.append(registered.revision)
        return f"{name}:{max(revisions)}"

    async def _read(self, operation: str, parameters: Mapping[str, Any]) -> Any:
        """The reply; None from an endpoint that does not have the operation, as stand-ins may not."""
        try:
            return await self._connection.read(operation, parameters)
        except Refused as refused:
            if not refused.failure.is_unknown_operation:
                raise
            if operation not in self._lacking:
                self._lacking.add(operation)
                log.warning("the endpoint has no %s: it is done without", operation)
            return None
