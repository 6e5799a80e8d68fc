"""Having a JennahJob's tasks at the service, exactly once, however often it is tried."""

from collections import OrderedDict
from collections.abc import Callable

import msgspec
from azure.batch import models

from controller.cloud_settings import AzureSettings
from controller.domain import reasons, redaction
from controller.domain.errors import AlreadyExists, JennahError, NotFound, Permanent, Retryable, Unavailable
from controller.ports import SubmitRequest
from controller.providers.azure import calls, observation, places, pools, request, rules
from controller.providers.azure.catalogue import Catalogue
from controller.providers.azure.connection import AzureConnection, NotMade
from controller.providers.azure.ending import Ending
from controller.providers.azure.places import Place
from controller.providers.azure.pools import Pool
from controller.providers.azure.shared_jobs import SharedJobs

Clean = Callable[[str], str]
"""Takes the secrets out of a text."""

REMEMBERED = 1000
"""Sets that are under way."""
GENERATIONS = 5
"""Shared jobs that may be ended under one submission before it is left to a later try."""


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """What is at the service."""

    where: Place
    display_name: str | None = None
    """The tasks', where they were made by this call; None where some of them were there already: then they are to be
    looked at."""
    count: int | None = None
    """The tasks below this index were made. None: that is not known."""


class Submission:
    """Chooses the pool, has the shared job, makes the tasks."""

    def __init__(
        self, connection: AzureConnection, catalogue: Catalogue, shared: SharedJobs, settings: AzureSettings
    ) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._shared = shared
        self._settings = settings
        self._ending = Ending(connection)
        self._made: OrderedDict[tuple[str, str], int] = OrderedDict()
        """How many tasks of a set are known to have been made by a try that was cut off: the next one goes on there."""

    async def submit(self, wanted: SubmitRequest) -> Submitted:
        """Have a JennahJob's tasks made; of a set as many as may be under way at once, the first ones."""
        spec = wanted.spec
        rules.check(spec, wanted.resources, wanted.sizing, wanted.env)
        noted = wanted.destination.pool if wanted.destination is not None else None
        chosen = noted or pools.choose(spec, self._settings)
        is_from_spec = spec.azure is not None and spec.azure.pool == chosen
        pool = await self._catalogue.pool(chosen, is_from_spec=is_from_spec)
        shared = places.shared_job(self._settings, pool.id, spec.priority, wanted.created_at)
        refused: tuple[int, calls.JobEnded] | None = None
        for _ in range(GENERATIONS):
            first = places.place(shared.id(0), wanted.external_name, spec.completions)
            # What cannot be is refused before a job is made for it.
            next(request.tasks(wanted, first, pool, self._settings))
            generation = await self._shared.generation(shared)
            if refused is not None and refused[0] == generation:  # disabled, say: what waits in it is to go on there
                raise Unavailable(f"the Azure job {shared.id(generation)!r} takes no tasks: {refused[1]}")
            for earlier in range(generation):
                where = places.place(shared.id(earlier), wanted.external_name, spec.completions)
                if await self._has_any(where):
                    return Submitted(where=where)
            where = places.place(shared.id(generation), wanted.external_name, spec.completions)
            try:
                return await self._make(where, pool, wanted)
            except (calls.JobEnded, NotFound) as error:
                self._shared.ended(shared, generation)
                if isinstance(error, calls.JobEnded):
                    refused = generation, error
                continue
        raise Unavailable(f"Azure jobs such as {shared.id(0)!r} are ended by somebody as soon as they are made")

    async def submit_more(self, where: Place, pool_id: str, wanted: SubmitRequest, start: int, stop: int) -> None:
        """Have those tasks of a set made, in the shared job that the others are in, which runs on that pool by now.
        What is there already is passed over. Raises Retryable where it takes none: what became of it, rounds tell."""
        pool = await self._catalogue.pool(pool_id, is_from_spec=False)
        clean = self._cleaner(wanted)
        try:
            await self._make_some(where, pool, wanted, clean, start, stop)
        except (calls.JobEnded, NotFound) as error:
            raise Retryable(f"the Azure job {where.job_id!r} takes no tasks: {clean(str(error))}") from None
        except JennahError as error:
            error.args = (clean(str(error)),)
            raise error from None

    async def _has_any(self, where: Place) -> bool:
        first, last = next(where.task_ids), where.last_id
        if await self._connection.task(where.job_id, first) is not None:
            return True
        return last != first and await self._connection.task(where.job_id, last) is not None

    def _cleaner(self, wanted: SubmitRequest) -> Clean:
        """What takes the secrets of a request out of an error, where the service may have quoted it."""
        secrets = [*wanted.env.values(), self._settings.output_url]
        if self._settings.registry is not None:
            secrets.append(self._settings.registry.password)
        secrets = [text for text in secrets if text]

        return lambda text: redaction.without_values(text, secrets)

    async def _make(self, where: Place, pool: Pool, wanted: SubmitRequest) -> Submitted:
        """Begin. Raises JobEnded, NotFound where the shared job takes no tasks. No error has a secret in it."""
        clean = self._cleaner(wanted)
        self._shared.begin(where.job_id)
        try:
            return await self._make_first(where, pool, wanted, clean)
        except JennahError as error:
            error.args = (clean(str(error)),)
            raise error from None

    async def _make_first(self, where: Place, pool: Pool, wanted: SubmitRequest, clean: Clean) -> Submitted:
        try:
            if not where.is_set:
                [task] = request.tasks(wanted, where, pool, self._settings)
                is_new = await self._make_one(where, task, clean)
                return Submitted(where=where, display_name=task.display_name if is_new else None)
            if await self._connection.task(where.job_id, where.last_id) is not None:
                return Submitted(where=where, count=where.count)
            count = request.window(wanted.spec)
            name = await self._make_some(where, pool, wanted, clean, 0, count)
            return Submitted(where=where, display_name=name, count=count)
        except calls.Refused as error:
            if where.is_set:
                await self._ending.terminate(where, wanted.uid)
            raise calls.Refused(f"Azure Batch refused the job: {error}", code=error.code) from None

    async def _make_one(self, where: Place, task: models.BatchTaskCreateOptions, clean: Clean) -> bool:
        try:
            await self._connection.create_task(where.job_id, task, clean)
        except AlreadyExists:
            return False
        except calls.Conflict:
            if await self._connection.task(where.job_id, str(task.id)) is None:
                raise
            return False
        return True

    async def _make_some(
        self, where: Place, pool: Pool, wanted: SubmitRequest, clean: Clean, start: int, stop: int
    ) -> str | None:
        """Those tasks of a set, in order and in calls of up to a hundred. What is there already is passed over, so that
        a try that was cut off is gone on with. Their display name, if all of them are new."""
        key = (where.job_id, where.stem)
        try:
            name = await self._go_on(where, pool, wanted, clean, start, stop)
        except Permanent:  # refused, or the shared job takes none or has gone
            self._made.pop(key, None)
            raise
        self._made.pop(key, None)
        return name

    async def _go_on(
        self, where: Place, pool: Pool, wanted: SubmitRequest, clean: Clean, start: int, stop: int
    ) -> str | None:
        key = (where.job_id, where.stem)
        begin = max(self._made.get(key, start), start)
        is_new, name = begin == 0, None
        for chunk in request.chunks(request.tasks(wanted, where, pool, self._settings, start=begin, stop=stop)):
            name = chunk[0].display_name
            failed = await self._connection.create_tasks(where.job_id, chunk, clean)
            for task_id, fault in failed.items():
                is_there = fault.code == "TaskExists"
                if not fault.code:
                    is_there = await self._connection.task(where.job_id, task_id) is not None
                if not is_there:
                    raise _failure(fault)
                if is_new:
                    await self._check(where, task_id, wanted.uid)
                is_new = False
            begin += len(chunk)
            self._made[key] = begin
            while len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
        return name if is_new else None

    async def _check(self, where: Place, task_id: str, uid: str) -> None:
        task = await self._connection.task(where.job_id, task_id)
        if task is not None and observation.uid_of(task) != uid:
            raise Permanent(
                f"the task {task_id!r} exists already and belongs to another JennahJob", reason=reasons.NAME_TAKEN
            )


def _failure(fault: NotMade) -> JennahError:
    """One task of a call that was not made: the call itself went well. Only what is the request's fault is refused."""
    error = calls.meaning(400, fault.code, fault.words)
    is_service = not fault.is_refused or fault.code in ("ServerError", "InternalError", "OperationTimedOut", "")
    if is_service and isinstance(error, calls.Refused):
        return Retryable(f"a task could not be made, it is tried again: {fault.words or fault.code}")
    return error
