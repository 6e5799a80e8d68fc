"""TerminateJob for one, TerminateJobs for many at once: calls of a few milliseconds are gathered (providers.md §2e)."""

import asyncio

from controller.domain.errors import Forbidden, Permanent, Retryable, Throttled, Unavailable
from controller.ports import Clock
from controller.providers.aws.connection import AwsConnection
from controller.providers.aws.errors import Refused

GATHER_SECONDS = 0.02
JOBS_A_CALL = 50
_PLAIN = ("ClientException", "ValidationException")


class Ending:
    """Ends jobs by id. One that is unknown or ended is no error."""

    def __init__(self, connection: AwsConnection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._waiting: dict[str, dict[str, asyncio.Future[None]]] = {}
        self._has_bulk = True
        self._tasks: set[asyncio.Task[None]] = set()

    async def end(self, job_id: str, reason: str) -> None:
        """Ask for that job's end. Raises Retryable."""
        group = self._waiting.setdefault(reason, {})
        if not group:
            task = asyncio.create_task(self._flush(reason))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        future = group.get(job_id)
        if future is None:
            future = group[job_id] = asyncio.get_running_loop().create_future()
            future.add_done_callback(_seen)
        await asyncio.shield(future)

    async def close(self) -> None:
        """Leave what was not sent yet."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _flush(self, reason: str) -> None:
        await self._gather()
        group = self._waiting.pop(reason)
        ids = list(group)
        try:
            for start in range(0, len(ids), JOBS_A_CALL):
                part = ids[start : start + JOBS_A_CALL]
                for job_id, error in (await self._end_all(part, reason)).items():
                    future = group[job_id]
                    if not future.done():
                        future.set_exception(error) if error else future.set_result(None)
        finally:
            for future in group.values():
                if not future.done():  # this task was cancelled
                    future.set_exception(Unavailable("the connection to AWS Batch is closed"))

    async def _gather(self) -> None:
        await self._clock.sleep(GATHER_SECONDS)

    async def _end_all(self, ids: list[str], reason: str) -> dict[str, Exception | None]:
        """What came of each: None, or its error."""
        if len(ids) > 1 and self._has_bulk:
            try:
                return await self._end_in_bulk(ids, reason)
            except Refused as error:
                # Refused for one of them, perhaps: then the others are ended by themselves.
                self._has_bulk = not error.failure.is_unknown_operation
            except Retryable as error:
                return dict.fromkeys(ids, error)
        outcomes = await asyncio.gather(*(self._end_one(job_id, reason) for job_id in ids), return_exceptions=True)
        errors = (one if isinstance(one, Exception) else None for one in outcomes)
        return dict(zip(ids, errors, strict=True))

    async def _end_in_bulk(self, ids: list[str], reason: str) -> dict[str, Exception | None]:
        reply = await self._connection.call("TerminateJobs", {"jobs": ids, "reason": reason})
        outcomes: dict[str, Exception | None] = dict.fromkeys(ids)
        outcomes |= {one.job: _error_of(one.code or "") for one in reply.errors if one.job in outcomes}
        return outcomes

    async def _end_one(self, job_id: str, reason: str) -> None:
        try:
            await self._connection.call("TerminateJob", {"jobId": job_id, "reason": reason})
        except Permanent:
            pass  # unknown, or ended: what comes of it is observed


def _error_of(code: str) -> Exception | None:
    """The error of one job in a bulk reply; None for one that is unknown or ended."""
    if code in _PLAIN:
        return None
    if "Throttl" in code or code == "TooManyRequestsException":
        return Throttled(f"AWS Batch asks for fewer calls: TerminateJobs ({code})")
    if "AccessDenied" in code:
        return Forbidden(f"AWS Batch refuses our credentials: batch:TerminateJob is needed ({code})")
    return Unavailable(f"AWS Batch failed: TerminateJobs ({code})")


def _seen(future: "asyncio.Future[None]") -> None:
    if not future.cancelled():
        future.exception()
