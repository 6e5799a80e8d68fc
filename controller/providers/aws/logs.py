"""What a job wrote, from CloudWatch Logs. Called by ``jennah logs``; it makes clients of its own."""

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

from controller.domain.errors import NotFound
from controller.domain.job import Job
from controller.providers.aws import errors, observation
from controller.providers.aws.connection import Session
from controller.providers.aws.observation import NativeState

T = TypeVar("T")

EVENTS_A_PAGE = 10_000
DESCRIBE_PAGE = 100


async def lines(job: Job) -> AsyncIterator[str]:
    """The lines of all attempts, the first one first; those of an array's task begin with ``[INDEX] ``.

    Raises NotFound where the service has no such job any more, and, after all lines that there are, where a job or a
    task that ended has no log; Forbidden with the IAM action that is missing, Unavailable.
    """
    arn = job.status.resource_path or ""
    if arn.count(":") < 5:
        raise NotFound(f"the job {job.metadata.name!r} was not submitted to AWS Batch yet")
    region, job_id = arn.split(":")[3], arn.rpartition("/")[2]
    batch, logs = await asyncio.to_thread(_clients, region)
    missing: list[str] = []
    has_any = False
    try:
        found = await _describe(batch, [job_id], region)
        if not found:
            raise NotFound(f"AWS Batch in {region} no longer knows the job {job_id}")
        is_array = bool(found[0].get("arrayProperties", {}).get("size"))
        async for task in _tasks(batch, job_id, region) if is_array else _one(found[0]):
            prefix = f"[{task.get('arrayProperties', {}).get('index', '?')}] " if is_array else ""
            try:
                async for line in _of_task(logs, task, region):
                    yield f"{prefix}{line}"
                has_any = True
            except NotFound as error:
                if not is_array or task.get("status") in observation.ENDED:
                    missing.append(f"{prefix}{error}")
        if missing or not has_any:
            more = f" (and of {len(missing) - 1} tasks more)" if len(missing) > 1 else ""
            raise NotFound((missing[0] if missing else "no task has a log yet") + more)
    finally:
        batch.close()
        logs.close()


async def _one(detail: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield detail


def _clients(region: str) -> tuple[Any, Any]:
    session = Session()
    batch = session.client("batch", region, os.environ.get("AWS_BATCH_ENDPOINT") or None)
    return batch, session.client("logs", region, os.environ.get("AWS_ENDPOINT_URL_LOGS") or None)


async def _tasks(batch: Any, job_id: str, region: str) -> AsyncIterator[dict[str, Any]]:
    """The details of an array's tasks that have started, by index."""
    ids: list[str] = []
    for state in (NativeState.RUNNABLE, NativeState.RUNNING, NativeState.SUCCEEDED, NativeState.FAILED):
        wanted: dict[str, Any] = {"arrayJobId": job_id, "jobStatus": state.value}
        while True:
            page = await _call(functools.partial(batch.list_jobs, **wanted), "batch:ListJobs", region)
            ids += [task["jobId"] for task in page["jobSummaryList"]]
            if not page.get("nextToken"):
                break
            wanted = {**wanted, "nextToken": page["nextToken"]}
    ids = sorted(set(ids), key=lambda task: int(task.rpartition(":")[2]))
    for start in range(0, len(ids), DESCRIBE_PAGE):
        for task in await _describe(batch, ids[start : start + DESCRIBE_PAGE], region):
            yield task


async def _describe(batch: Any, ids: list[str], region: str) -> list[dict[str, Any]]:
    """In the order of the ids."""
    reply = await _call(functools.partial(batch.describe_jobs, jobs=ids), "batch:DescribeJobs", region)
    found = {one["jobId"]: one for one in reply["jobs"]}
    return [found[job_id] for job_id in ids if job_id in found]


async def _of_task(logs: Any, detail: Mapping[str, Any], region: str) -> AsyncIterator[str]:
    """Raises NotFound, with the reason, where no attempt has a log."""
    container = detail.get("container", {})
    options = container.get("logConfiguration", {}).get("options", {})
    group = options.get("awslogs-group", observation.DEFAULT_LOG_GROUP)
    attempts = (attempt.get("container", {}) for attempt in detail.get("attempts", ()))
    streams = [one["logStreamName"] for one in (*attempts, container) if one.get("logStreamName")]
    why, has_any = "", False
    for stream in dict.fromkeys(streams):
        try:
            async for line in _of_stream(logs, group, stream, region):
                yield line
            has_any = True
        except NotFound as error:
            why = _missing(group, stream, str(error))
    if not has_any:
        told = "; ".join(dict.fromkeys(text for text in (container.get("reason"), detail.get("statusReason")) if text))
        state = f"the job is {detail.get('status')}{f' ({told})' if told else ''}"
        raise NotFound(f"{why or 'there is no log'}: {state}")


def _missing(group: str, stream: str, words: str) -> str:
    if "group" in words.lower():
        remedy = "make it, or give the execution role logs:CreateLogGroup"
        return f"the log group {group} does not exist ({remedy})"
    return f"the log group {group} has no stream {stream}: the container did not start, or the stream was removed"


async def _of_stream(logs: Any, group: str, stream: str, region: str) -> AsyncIterator[str]:
    """All pages; the last one's token is its own. Raises NotFound."""
    wanted = {"logGroupName": group, "logStreamName": stream, "startFromHead": True, "limit": EVENTS_A_PAGE}
    token = ""
    while True:
        more = {"nextToken": token} if token else {}
        page = await _call(functools.partial(logs.get_log_events, **wanted, **more), "logs:GetLogEvents", region)
        for event in page["events"]:
            yield str(event["message"]).rstrip("\n")
        if page["nextForwardToken"] == token:
            return
        token = page["nextForwardToken"]


async def _call(send: Callable[[], T], action: str, region: str) -> T:
    """One request in a thread. Raises our errors."""
    service, _, operation = action.partition(":")

    def caught() -> T:
        with errors.caught():
            return send()

    try:
        return await asyncio.to_thread(caught)
    except errors.Failed as failed:
        if failed.failure.code == "ResourceNotFoundException":
            raise NotFound(failed.failure.words) from None
        raise errors.translated(failed.failure, operation, region, service=service) from None
