"""Google Cloud Batch: the adapter. What requests and answers mean is in `request` and `observation`.

Names are ids here: a submission is repeated by the same name and request id until its outcome is known, and a job that
exists already is adopted if it carries our uid.
"""

import asyncio
import functools
import logging
from collections.abc import Collection, Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Any

import msgspec
from google.cloud import batch_v1

from controller.cloud_settings import GcpSettings
from controller.domain import reasons, redaction
from controller.domain.destination import Destination
from controller.domain.errors import (
    AlreadyExists,
    ConfigError,
    Forbidden,
    JennahError,
    NotFound,
    Permanent,
    Retryable,
    Unavailable,
    Unreachable,
)
from controller.domain.job import JobSpec
from controller.ports import Clock, JobRef, Observation, OwnedJob, SubmitRequest
from controller.providers import destinations
from controller.providers.gcp import bulk, calls, clients, details, observation, places, remarks, request
from controller.providers.gcp.unclaimed import Unclaimed
from controller.providers.limits import TokenBucket

log = logging.getLogger(__name__)

BREATH = 500
"""Jobs that are mapped before others get the event loop again."""
STALE_AFTER = timedelta(seconds=30)
"""A job that a create call answers with and that is older was made by an earlier one: the answer may be that one's."""
PLACE_SEEN_SECONDS = 60.0
"""How long it is taken as known that jobs can be listed."""


class GcpProvider:
    """`ports.BatchProvider` on Google Cloud Batch. All workers share its two rate limits."""

    name = "gcp"
    names_are_ids = True
    cancel_erases = False
    remembers_seconds = 60 * 86400.0
    """Jobs are deleted 60 days after their end (providers.md §1b, §1e)."""

    def __init__(self, settings: GcpSettings, clock: Clock) -> None:
        self.region = settings.region
        self.site = Destination(
            provider=self.name, project=settings.project, region=settings.region, instance=settings.instance
        )
        self._settings = settings
        self._clock = clock
        self._place = places.Place(project=settings.project, region=settings.region, instance=settings.instance)
        self._reads = TokenBucket(settings.reads_per_second, clock)
        self._mutations = TokenBucket(settings.mutations_per_second, clock)
        self._made: clients.Client | None = None
        self._making = asyncio.Lock()
        self._bulk = bulk.Bulk(self._place, self._list_page, clock)
        self._details = details.Details(clock, self._list_tasks)
        self._odd_states: set[int] = set()
        self._place_seen_at = -PLACE_SEEN_SECONDS
        self._unclaimed = Unclaimed(self._bulk, settings.instance, clock, lambda job: self._observation(job, None))

    def destination(self, spec: JobSpec, namespace: str) -> Destination:
        """The project and region of the settings, for every job."""
        return self.site

    async def open(self) -> None:
        """Ask for one job. Raises ConfigError that names the roles, or Unavailable."""
        try:
            await self._list_page("", "", 1, "")
        except Forbidden as error:
            raise calls.missing_rights(error) from error
        except (NotFound, calls.Refused) as error:
            where = f"BATCH_PROJECT_ID={self._place.project}, BATCH_REGION={self._place.region}"
            raise ConfigError([f"Google Cloud Batch does not take {where}: {error}"]) from error
        except Unavailable as error:
            if not self._settings.endpoint or "://" in self._settings.endpoint or type(error) is not Unavailable:
                raise
            told = (
                f"GCP_BATCH_ENDPOINT={self._settings.endpoint} is spoken to by gRPC; for REST write http:// before it"
            )
            raise Unavailable(f"{error} ({told})") from error

    async def prepare(self, request: SubmitRequest) -> None:
        """Nothing to do: names are ids here."""

    async def submit(self, request: SubmitRequest) -> Observation:
        destinations.check(self.site, [request])
        seen = await self._create(request)
        if seen.uid != request.uid:
            raise Permanent(
                f"{seen.resource_path} exists already and belongs to another JennahJob", reason=reasons.NAME_TAKEN
            )
        # Told here alone: they never change, and what a list tells of a job has no place for them.
        return msgspec.structs.replace(seen, remarks=remarks.remarks(request))

    async def find(self, ref: JobRef) -> Sequence[Observation]:
        seen = await self.get(ref)
        return [seen] if seen is not None and seen.uid == ref.uid else []

    async def get(self, ref: JobRef) -> Observation | None:
        destinations.check(self.site, [ref])
        try:
            return await self._observed(await self._get_job(self._path(ref)), ref.spec)
        except NotFound:
            await self._see_place()
            return None

    async def observe(self, refs: Collection[JobRef]) -> Mapping[str, Observation]:
        if not refs:
            return {}
        destinations.check(self.site, refs)
        specs = {ref.external_name: ref.spec for ref in refs}
        jobs = await self._find_all(refs)
        await self._details.ask(job for name, job in jobs.items() if observation.needs_tasks(job, specs[name]))
        seen: dict[str, Observation] = {}
        for number, (name, job) in enumerate(jobs.items()):
            seen[name] = self._observation(job, specs[name])
            if number % BREATH == 0:
                await asyncio.sleep(0)
        return seen

    async def _find_all(self, refs: Collection[JobRef]) -> dict[str, Any]:
        """The jobs by external name. One that cannot be read singly is left out: it is in doubt."""
        # Names of projects may come back as numbers, so a job is known to be elsewhere by its region only.
        here = [ref for ref in refs if places.region_of(self._path(ref)) == self.region]
        jobs, left = await self._bulk.find(here)
        left += [ref for ref in refs if places.region_of(self._path(ref)) != self.region]

        failures = 0

        async def get(ref: JobRef) -> None:
            nonlocal failures
            try:
                job = await self._get_if_there(ref)
            except (Retryable, calls.Refused):
                failures += 1
                if failures > bulk.FEW:  # it is the service, not some jobs: so many are not to be doubted at once
                    raise
                return
            if job is not None and observation.uid_of(job) == ref.uid:
                jobs[ref.external_name] = job

        await calls.for_each(get, left)
        return jobs

    async def unclaimed(self, claimed: Set[str], *, ended_since: datetime | None = None) -> Sequence[OwnedJob]:
        return await self._unclaimed.look(claimed, ended_since)

    async def cancel(self, ref: JobRef, *, reason: str) -> bool:
        """Ask, without waiting for the operation; whether the service knew the job. The service takes no reason."""
        destinations.check(self.site, [ref])
        client = await self._client()
        asked = batch_v1.CancelJobRequest(name=self._path(ref))  # no request_id: asking again is to be a new call
        try:
            await calls.make("cancel", self._mutations, lambda: client.cancel_job(asked))
        except NotFound:
            await self._see_place()
            return False
        except (calls.Refused, calls.Unimplemented):
            # What it answers for a job that has ended is not documented (providers.md §1e): look.
            job = await self._get_if_there(ref)
            if job is not None and not observation.is_over_soon(job):
                raise
            return job is not None
        return True

    async def delete(self, ref: JobRef) -> None:
        """Remove a job that has ended, its events and tasks with it. One that has not is left alone: there, deleting
        would end it."""
        destinations.check(self.site, [ref])
        job = await self._get_if_there(ref)
        phase = observation.PHASES.get(job.status.state) if job is not None else None
        if phase is None or not phase.is_terminal or observation.uid_of(job) != ref.uid:
            return
        client = await self._client()
        asked = batch_v1.DeleteJobRequest(name=self._path(ref), reason="removed by the Jennah controller")
        try:
            await calls.make("delete", self._mutations, lambda: client.delete_job(asked))
        except NotFound:
            return
        except calls.Refused:
            again = await self._get_if_there(ref)
            if again is not None and again.status.state != observation.State.DELETION_IN_PROGRESS:
                raise

    async def close(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            await made.close()

    # --- one method a call of the service --------------------------------------------------------------

    async def _create(self, submission: SubmitRequest) -> Observation:
        """The job as it is after the call, whoever made it."""
        client = await self._client()
        asked = request.create_request(submission, self._place)
        begun = self._clock.now()
        try:
            job = await calls.make("create", self._mutations, lambda: client.create_job(asked))
        except AlreadyExists:
            return await self._adopted(submission)
        except JennahError as error:
            # Not chained: the service may have quoted the environment, and a traceback would show its words.
            text = redaction.without_values(str(error), submission.env.values())
            if isinstance(error, calls.Refused):
                raise calls.Refused(f"Google Cloud Batch refused the job: {text}") from None
            if isinstance(error, NotFound):
                raise Unavailable(f"{self._place.parent} cannot take jobs: {text}") from None
            error.args = (text,)
            raise error from None
        created = observation.created_at(job)
        is_old = created is not None and begun - created > STALE_AFTER
        # What is answered to a repeated request_id is not documented; it may be less than the job.
        if is_old or not observation.uid_of(job):
            return await self._adopted(submission)
        return await self._observed(job, submission.spec)

    async def _adopted(self, submission: SubmitRequest) -> Observation:
        """The job of that name, which is there already. Raises Unavailable where it cannot be read yet."""
        path = self._place.path(submission.external_name)
        try:
            return await self._observed(await self._get_job(path), submission.spec)
        except NotFound:
            raise Unavailable(f"{path} exists and cannot be read yet") from None

    async def _get_job(self, path: str) -> Any:
        """The job. Raises NotFound."""
        client = await self._client()
        asked = batch_v1.GetJobRequest(name=path)
        return await calls.make("get", self._reads, lambda: client.get_job(asked))

    async def _get_if_there(self, ref: JobRef) -> Any | None:
        try:
            return await self._get_job(self._path(ref))
        except NotFound:
            return None

    async def _list_page(self, query: str, token: str, size: int, mask: str) -> bulk.Page:
        client = await self._client()
        asked = batch_v1.ListJobsRequest(
            parent=self._place.parent, filter=query, order_by="create_time desc", page_size=size, page_token=token
        )
        answer = await calls.make("list", self._reads, lambda: client.list_jobs(asked, mask))
        self._place_seen_at = self._clock.monotonic()
        return bulk.Page(jobs=answer.jobs, next_token=answer.next_page_token, unreachable=answer.unreachable)

    async def _list_tasks(self, group: str) -> list[Any]:
        """All tasks of a group; none where the job failed before it had any."""
        client = await self._client()
        tasks: list[Any] = []
        token = ""
        while True:
            asked = batch_v1.ListTasksRequest(parent=group, page_size=details.TASKS_PAGE_SIZE, page_token=token)
            try:
                page = await calls.make("list_tasks", self._reads, functools.partial(client.list_tasks, asked))
            except NotFound:
                return tasks
            tasks += page.tasks
            token = page.next_page_token
            if not token:
                return tasks

    # --- small helpers ---------------------------------------------------------------------------------

    async def _see_place(self) -> None:
        """See that jobs can be listed: of a project that has gone, too, a job is not found. Raises Unreachable."""
        if self._clock.monotonic() - self._place_seen_at < PLACE_SEEN_SECONDS:
            return
        try:
            await self._list_page("", "", 1, "")
        except (NotFound, calls.Refused) as error:
            raise Unreachable(f"{self._place.parent} cannot be read: {error}") from error

    async def _observed(self, job: Any, spec: JobSpec | None) -> Observation:
        if observation.needs_tasks(job, spec):
            await self._details.ask([job])
        return self._observation(job, spec)

    def _observation(self, job: Any, spec: JobSpec | None) -> Observation:
        state = job.status.state
        if state not in observation.PHASES and state not in self._odd_states:
            self._odd_states.add(state)
            log.warning("jobs in state %s are left as they were: that state is not known here", state)
        needs_tasks = observation.needs_tasks(job, spec)
        told = self._details.of(job) if needs_tasks else None
        return observation.observation(job, told, self._place, spec, held=needs_tasks and told is None)

    def _path(self, ref: JobRef) -> str:
        """Where the job was made, which may be another region than that of new jobs."""
        path = ref.resource_path or ""
        if places.region_of(path) and places.external_name(path) == ref.external_name:
            return path
        return self._place.path(ref.external_name)

    async def _client(self) -> clients.Client:
        """The client, made with the first call. Raises ConfigError where there are no credentials."""
        async with self._making:
            if self._made is None:
                self._made = await clients.make(self._settings.endpoint)
            return self._made
