"""SubmitJob: one JennahJob for one job id, however often and by however many replicas it is asked for.

Order of writes: job, then its Secret and its first row (design §6). Every step may be repeated: who retries
a submission that died in between completes it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from api import mapping
from api.completion import Completions, once_more
from api.errors import RecordUnreadable
from api.objects import JobObjects
from api.recording import SubmissionRecorder
from api.rows import Rows
from api.secrets import EnvSecrets
from controller.domain import resources
from controller.domain.errors import AlreadyExists, Permanent, Retryable
from controller.domain.job import EnvFromSource, Job, JobSpec, Metadata, ObjectRef
from controller.domain.phases import Phase
from controller.domain.records import JobRow, Transition, blanked
from controller.ports import Clock, JobStore

TAKEN: Final = "the name of the job's object is already in use"
DIFFERENT: Final = "job_id is already in use by a different request"
BEING_DELETED: Final = "the job of that job_id is being deleted; try again later or with another job_id"

REQUESTED: Final = (
    "image_uri", "commands", "name", "resource_profile", "machine_type", "boot_disk_size_gb", "use_spot_vms",
    "service_account", "max_retries", "env_vars_json",
)  # fmt: skip
"""The columns that every request decides: they tell whether a row is that of the same request."""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A valid request. `env_vars` are secret."""

    spec: JobSpec
    env_vars: Mapping[str, str]
    tenant_id: str
    job_id: str
    may_exist: bool
    """Whether the job id may have been used before: not one that was made up for this call."""

    @property
    def object_name(self) -> str:
        return mapping.object_name(self.spec)


class Submissions:
    """Called by the service; the only place that creates jobs."""

    def __init__(
        self,
        *,
        objects: JobObjects,
        secrets: EnvSecrets,
        store: JobStore,
        recorder: SubmissionRecorder,
        rows: Rows,
        clock: Clock,
        admit: Callable[[JobSpec, str], Awaitable[None]],
    ) -> None:
        """`admit` raises NotAllowed for a spec that the policy of that tenant refuses."""
        self._objects = objects
        self._secrets = secrets
        self._store = store
        self._recorder = recorder
        self._rows = rows
        self._clock = clock
        self._admit = admit
        self._completions = Completions()

    async def submit(self, submission: Submission) -> Phase:
        """Have the job; its phase. Raises AlreadyExists for another request's job id.

        A caller that gives up meanwhile leaves a whole submission, not a job whose Secret never comes.
        """
        return await self._completions.run(self._submit(submission))

    async def repeated(self, submission: Submission) -> Phase | None:
        """The phase of the job that the same request made before; None where there is none, or nobody can tell now.

        For a request that is refused today: of a job that was taken it must not be said that it was not.
        """
        try:
            known = await self._known(submission)
            if known is None and (existing := await self._existing(submission)) is not None:
                known = await self._join(existing, submission)
        except (AlreadyExists, Retryable):
            return None
        return known

    async def close(self) -> None:
        """Let submissions end whose callers have gone."""
        await self._completions.close()

    async def _submit(self, submission: Submission) -> Phase:
        if submission.may_exist:
            known = await self._known(submission)
            if known is not None:
                return known
        await self._admit(submission.spec, submission.tenant_id)
        body = mapping.job_object(
            submission.spec,
            namespace=self._objects.namespace,
            at=self._clock.now(),
            is_new_id=not submission.may_exist,
        )
        try:
            job = await once_more(lambda: self._objects.create(body), self._clock)
        except AlreadyExists:
            existing = await self._objects.get(submission.object_name)
            if existing is None:
                raise AlreadyExists(BEING_DELETED) from None
            return await self._join(existing, submission)
        if not submission.env_vars:
            return await self._record(job, submission, is_new=True)
        recording = self._record(job, submission, is_new=True)
        _, phase = await asyncio.gather(self._write_secret(job, submission), recording)
        return phase

    async def _known(self, submission: Submission) -> Phase | None:
        """The phase of the same submission made before; None where there is nothing of that job id yet.

        Looked at before anything is created: a job whose object is gone must not run again. Raises AlreadyExists for
        another request, RecordUnreadable where only the record can tell and does not.
        """
        unreadable: Retryable | None = None
        row: JobRow | None = None
        try:
            row = await self._store.get_job(submission.tenant_id, submission.job_id)
        except Retryable as error:
            unreadable = error
        if row is None and unreadable is None:
            # Under its name of today it would be found by creating it.
            existing = await self._objects.of_earlier_releases(submission.tenant_id, submission.job_id)
            return None if existing is None else await self._join(existing, submission)
        existing = await self._existing(submission)
        if existing is not None:
            return await self._join(existing, submission)
        if row is None:  # that there is no object says nothing: it may have been deleted, or have expired
            raise RecordUnreadable(f"job {submission.job_id}: {unreadable}") from unreadable
        return self._of_row(row, submission)

    async def _existing(self, submission: Submission) -> Job | None:
        return await self._objects.own(submission.tenant_id, submission.job_id, submission.spec.display_name)

    async def _join(self, existing: Job, submission: Submission) -> Phase:
        """The same request again: complete what the first one left undone. Raises AlreadyExists for another."""
        if existing.spec.tenant_id != submission.tenant_id:
            raise AlreadyExists(TAKEN)
        if existing.is_being_deleted:
            raise AlreadyExists(BEING_DELETED)
        wanted = _requested(submission.spec, submission.object_name)
        if existing.job_id != submission.job_id or _requested(existing.spec, existing.metadata.name) != wanted:
            raise AlreadyExists(DIFFERENT)
        await self._write_secret(existing, submission)  # first: it tells whether the values are the same as well
        return await self._record(existing, submission)

    async def _write_secret(self, job: Job, submission: Submission) -> None:
        name = mapping.env_secret(job.spec, job.metadata.name)  # an earlier try's, where it made the job
        if name is None:
            return
        try:
            await once_more(lambda: self._secrets.ensure(job, name, submission.env_vars), self._clock)
        except AlreadyExists:
            raise AlreadyExists(DIFFERENT) from None

    async def _record(self, job: Job, submission: Submission, *, is_new: bool = False) -> Phase:
        """Transition 0. The record may be further than the object's status, or not be reachable now.

        `is_new`: this call made the object.
        """
        row = self._rows.first(job, submission.tenant_id, submission.env_vars)
        transition = Transition(
            uid=job.metadata.uid,
            number=0,
            from_phase=None,
            row=row,
            at=row.created_at,
            reason="Submitted through the API",
        )
        try:
            recorded = await self._recorder.record(transition)
        except Permanent:
            return await self._refused(job, submission, is_new=is_new)
        return recorded.phase if recorded is not None else job.status.phase or Phase.PENDING

    async def _refused(self, job: Job, submission: Submission, *, is_new: bool) -> Phase:
        """The answer where the record takes no row of that object.

        It may have given the job id to another object: of a different request at the same moment, or of a replica of
        an earlier release. That one alone is submitted; ours is taken back. Raises AlreadyExists for another request.
        """
        owner = await self._store.owner(submission.tenant_id, submission.job_id)
        if owner in (None, "", job.metadata.uid):
            return job.status.phase or Phase.PENDING  # refused for its values: the controller tells
        if is_new:
            await self._objects.purge(job)
        row = await self._store.get_job(submission.tenant_id, submission.job_id)
        if row is None:
            raise Retryable(f"the record of job {submission.job_id} has just changed")
        return self._of_row(row, submission)

    def _of_row(self, row: JobRow, submission: Submission) -> Phase:
        """The answer from the record alone: the object is gone, and the job must not run again."""
        unborn = Job(metadata=Metadata(name=submission.job_id), spec=submission.spec)
        wanted = self._rows.first(unborn, submission.tenant_id, submission.env_vars)
        if row.name == submission.object_name:  # as an operator of an earlier release tells what has no name
            row = msgspec.structs.replace(row, name=submission.job_id)
        if wanted.env_vars_json != row.env_vars_json and self._rows.redacts_env:
            # It may have been recorded with its values, before they were no longer kept: the names must do.
            row = msgspec.structs.replace(row, env_vars_json=blanked(row.env_vars_json))
        asked = {column: getattr(wanted, column) for column in REQUESTED} | _sizes(submission.spec)
        if any((getattr(row, column) or None) != (value or None) for column, value in asked.items()):
            raise AlreadyExists(DIFFERENT)
        return row.status


def _sizes(spec: JobSpec) -> dict[str, int]:
    """The columns of sizes that the request itself decides. What its profile or machine type gives is not among them:
    another release, or other settings, may have given something else to the same request."""
    wanted, sizes = spec.resources, {}
    if wanted and wanted.cpu is not None:
        sizes["cpu_millis"] = resources.cpu_millis(wanted.cpu)
    if wanted and wanted.memory is not None:
        sizes["memory_mib"] = resources.memory_mib(wanted.memory)
    if spec.active_deadline_seconds:
        sizes["max_run_duration_seconds"] = spec.active_deadline_seconds
    return sizes


def _requested(spec: JobSpec, object_name: str) -> JobSpec:
    """The spec without what may change after the submission, and without the name of the Secret: each try has one."""
    any_secret = (EnvFromSource(secret_ref=ObjectRef(name="")),)
    env_from = any_secret if mapping.env_secret(spec, object_name) else spec.env_from
    return msgspec.structs.replace(spec, cancel=None, suspend=False, ttl_seconds_after_finished=None, env_from=env_from)
