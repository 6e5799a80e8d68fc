"""The calls of the service that are made, one method each. All workers share one client and its rate limits.

There are three limits, none of which waits for another: mutations; reads of single jobs, which submissions and
cancellations make too; and what the rounds do that observe all jobs: their reads (`in_round`), and the ending of old
shared jobs and of tasks that lost their node too often. So a large delete that the service throttles does not keep the
rounds from seeing what happens.

Tasks and jobs are read by requests of our own through the SDK's pipeline: its models take too long (see `wire`), and it
does not tell the service's time, which the next look for changes is counted from.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec
from azure.batch import models
from azure.core.rest import HttpRequest

from controller.cloud_settings import AzureSettings
from controller.domain.errors import NotFound, Throttled
from controller.ports import Clock
from controller.providers.azure import calls, clients, pools, sdk_faults, wire
from controller.providers.azure.pools import Pool
from controller.providers.limits import TokenBucket

log = logging.getLogger(__name__)

T = TypeVar("T")

API_VERSION = "2025-06-01"
PAGE_SIZE = 1000
"""The most that the service gives at once."""

_PREFIX = re.compile(r"startswith\(id,'[^']*'\)(?: and )?")

ROUND_TRIES = 4
"""How often a round asks again where the service throttles: of a long list one page would fail each time."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an answer and the service's time when it was given; None where it did not say."""

    body: bytes
    at: datetime | None


class NotMade(msgspec.Struct, frozen=True, kw_only=True):
    """One task that a call for many did not make."""

    code: str
    """The service's; "" for none."""
    words: str
    is_refused: bool
    """Whether the fault is the request's (clienterror), and not the service's."""


class AzureConnection:
    """One account. Makes its client with the first call. Errors of all methods as in `calls.make`."""

    def __init__(self, settings: AzureSettings, clock: Clock) -> None:
        self._settings = settings
        self._mutations = TokenBucket(settings.mutations_per_second, clock)
        self._reads = TokenBucket(settings.reads_per_second, clock)
        self._rounds = TokenBucket(settings.reads_per_second, clock)
        self._client: clients.Client | None = None
        self._refused: set[tuple[str, str]] = set()
        """Filters that a list does not take, without their values."""

    # --- reading -----------------------------------------------------------------------------------------

    async def task(self, job_id: str, task_id: str, *, in_round: bool = False) -> wire.Task | None:
        """One task; None where there is no such task, or no such job."""
        path = f"/jobs/{job_id}/tasks/{task_id}"
        try:
            return await self._read("get_task", path, wire.TASK_FIELDS, wire.Task, in_round=in_round)
        except NotFound:
            return None

    async def tasks(
        self, job_id: str, query: str, link: str, *, in_round: bool = False
    ) -> tuple[wire.TaskPage, datetime | None]:
        """A page of a job's tasks, those that `query` is true of and perhaps others (`_list`), and the service's time.
        `link`: that of the page before. Raises NotFound where there is no such job."""
        path = f"/jobs/{job_id}/tasks"
        answer = await self._list("list_tasks", path, wire.TASK_FIELDS, query, link, in_round=in_round)
        return _decoded(answer.body, wire.TaskPage), answer.at

    async def job(self, job_id: str, *, in_round: bool = False) -> wire.Job | None:
        """One shared job; None where there is none."""
        try:
            return await self._read("get_job", f"/jobs/{job_id}", wire.JOB_FIELDS, wire.Job, in_round=in_round)
        except NotFound:
            return None

    async def jobs(self, query: str, *, in_round: bool = False) -> list[wire.Job]:
        """All jobs that `query` is true of, and perhaps others (`_list`)."""
        return (await self.jobs_and_time(query, in_round=in_round))[0]

    async def jobs_and_time(self, query: str, *, in_round: bool = False) -> tuple[list[wire.Job], datetime | None]:
        """The same, and the service's time when it gave the first page."""
        found: list[wire.Job] = []
        link, first = "", None
        while True:
            answer = await self._list("list_jobs", "/jobs", wire.JOB_FIELDS, query, link, in_round=in_round)
            page = _decoded(answer.body, wire.JobPage)
            found += page.value
            link, first = page.next_link, first or answer.at
            if not link:
                return found, first

    async def pool(self, pool_id: str, *, in_round: bool = False) -> Pool:
        """One pool. Raises NotFound."""
        path = f"/pools/{quote(pool_id, safe='')}"
        return pools.pool(await self._read("get_pool", path, wire.POOL_FIELDS, wire.Pool, in_round=in_round))

    async def pools(self) -> list[Pool]:
        """All pools of the account, for a round."""
        found: list[Pool] = []
        link = ""
        while True:
            answer = await self._list("list_pools", "/pools", wire.POOL_FIELDS, "", link, in_round=True)
            page = _decoded(answer.body, wire.PoolPage)
            found += [pools.pool(one) for one in page.value]
            link = page.next_link
            if not link:
                return found

    # --- making and ending -------------------------------------------------------------------------------

    async def create_job(self, job: models.BatchJobCreateOptions) -> None:
        client = self._open().batch
        await calls.make("create_job", self._mutations, lambda: client.create_job(job))

    async def create_task(self, job_id: str, task: models.BatchTaskCreateOptions, clean: Callable[[str], str]) -> None:
        client = self._open().batch
        await calls.make("create_task", self._mutations, lambda: client.create_task(job_id, task), clean=clean)

    async def create_tasks(
        self, job_id: str, tasks: Sequence[models.BatchTaskCreateOptions], clean: Callable[[str], str]
    ) -> Mapping[str, NotMade]:
        """Make up to 100 tasks. By task id, what went wrong with it."""
        client = self._open().batch
        group = models.BatchTaskGroup(task_values=list(tasks))
        made = await calls.make(
            "create_tasks", self._mutations, lambda: client.create_task_collection(job_id, group), clean=clean
        )
        results: dict[str, NotMade] = {}
        for one in made.result_values or ():
            status = str(getattr(one.status, "value", one.status)).lower()
            if status != models.BatchTaskAddStatus.SUCCESS.value:
                words = one.error.message.value if one.error and one.error.message else ""
                results[one.task_id] = NotMade(
                    code=str(one.error.code or "") if one.error else "",
                    words=clean(str(words or ""))[: calls.MESSAGE_MAX],
                    is_refused=status == models.BatchTaskAddStatus.CLIENT_ERROR.value,
                )
        return results

    async def terminate_task(self, job_id: str, task_id: str, *, in_round: bool = False) -> None:
        client = self._open().batch
        bucket = self._rounds if in_round else self._mutations
        await calls.make("terminate_task", bucket, lambda: client.terminate_task(job_id, task_id))

    async def delete_task(self, job_id: str, task_id: str) -> None:
        client = self._open().batch
        await calls.make("delete_task", self._mutations, lambda: client.delete_task(job_id, task_id))

    async def terminate_job(self, job_id: str, reason: str) -> None:
        client = self._open().batch
        await calls.make("terminate_job", self._rounds, lambda: sdk_faults.terminate_job(client, job_id, reason))

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    # --- one request -------------------------------------------------------------------------------------

    async def _read(self, method: str, path: str, fields: Sequence[str], kind: type[T], *, in_round: bool = False) -> T:
        answer = await self._get(method, path, {"$select": ",".join(fields)}, in_round=in_round)
        return _decoded(answer.body, kind)

    async def _list(
        self, method: str, path: str, fields: Sequence[str], query: str, link: str, *, in_round: bool
    ) -> Answer:
        """A page of a list. Filters only make lists shorter: callers know their own. So where the service refuses the
        beginning of ids, which is documented and was never tried, or all of a filter, it is left out from then on."""
        ways = list(dict.fromkeys((query, _PREFIX.sub("", query), "")))
        known = [way for way in ways if (method, _shape(way)) not in self._refused]
        for way in known:
            try:
                answer = await self._get(method, path, _list_parameters(fields, way, link), in_round=in_round)
            except calls.Refused as error:
                if link or way == ways[-1]:
                    raise
                refused = error
                continue
            for other in known[: known.index(way)]:
                self._refused.add((method, _shape(other)))
                log.warning("%s cannot be filtered by %r, more is read than is needed: %s", method, other, refused)
            return answer
        raise AssertionError("unreachable")

    async def _get(self, method: str, path: str, parameters: Mapping[str, str], *, in_round: bool = False) -> Answer:
        client = self._open().batch
        quoted = {name: quote(text, safe="") for name, text in {**parameters, "api-version": API_VERSION}.items()}

        async def call() -> Answer:
            request = HttpRequest("GET", path, params=quoted, headers={"Accept": "application/json"})
            response = await client.send_request(request)
            return Answer(body=response.content, at=_moment(response.headers.get("Date")))

        if not in_round:
            return await calls.make(method, self._reads, call)
        for _ in range(ROUND_TRIES - 1):
            try:
                return await calls.make(method, self._rounds, call)
            except Throttled:
                continue  # the rate limit makes the pause
        return await calls.make(method, self._rounds, call)

    def _open(self) -> clients.Client:
        if self._client is None:
            self._client = clients.make(self._settings)
        return self._client


def _shape(query: str) -> str:
    return re.sub(r"'[^']*'", "''", query)


def _decoded(body: bytes, kind: type[T]) -> T:
    """Raises Unavailable for an answer that is none."""
    try:
        return wire.decoded(body, kind)
    except msgspec.MsgspecError as error:
        raise calls.translated(error) from None


def _list_parameters(fields: Sequence[str], query: str, link: str) -> dict[str, str]:
    """Of a link only the parameters are taken: the host is ours."""
    if link:
        return dict(parse_qsl(urlsplit(link).query))
    parameters = {"maxresults": str(PAGE_SIZE), "$select": ",".join(fields)}
    return {**parameters, "$filter": query} if query else parameters


def _moment(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except ValueError:
        return None
