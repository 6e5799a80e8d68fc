"""From an accepted job to one that is at the service: the record is asked, the environment read, the service called."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from controller.domain import conditions, reasons
from controller.domain.errors import (
    Conflict,
    EnvironmentMissing,
    Invalid,
    JennahError,
    NotLeading,
    Permanent,
    Retryable,
)
from controller.domain.job import Job, JobStatus
from controller.domain.phases import Phase
from controller.domain.resources import Profiles, resolve
from controller.ports import BatchProvider, Clock, Environment, JobRecord, JobResources, Observation, SubmitRequest
from controller.reconcile import statuses
from controller.reconcile.decide import Unseen
from controller.reconcile.draft import Draft
from controller.reconcile.intents import Intents
from controller.reconcile.observer import Observer, ref_of
from controller.reconcile.recorder import Recorder, log_fields

log = logging.getLogger(__name__)

ENV_PATIENCE_SECONDS = 2.0
"""The API creates the job first and its Secret right after: so long nothing is written about its absence."""
ENV_RETRY_SECONDS = 0.05
ENV_LOOK_AGAIN_SECONDS = 1.0
MORE_AGAIN_SECONDS = 30.0
"""The pause after the next tasks of a set were refused: somebody must change something first."""


class ReconcileSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the loop needs to know beside the policy of `decide`."""

    default_provider: str
    profiles: Profiles
    api_namespace: str
    """Where the API creates jobs of any tenant."""
    env_wait_seconds: float = 60.0
    redact_env: bool = False


class Submitting:
    """What the reconciler does for `actions.Submit`. Drafts are changed, and written where a caller could not."""

    def __init__(
        self,
        *,
        resources: JobResources,
        store: JobRecord,
        recorder: Recorder,
        intents: Intents,
        observers: Mapping[str, Observer],
        provider_of: Callable[[Job], BatchProvider],
        clock: Clock,
        settings: ReconcileSettings,
        settle_seconds: float,
    ) -> None:
        """`settle_seconds`: from a submission until the service must show its job."""
        self._resources = resources
        self._store = store
        self._recorder = recorder
        self._intents = intents
        self._observers = observers
        self._provider_of = provider_of
        self._clock = clock
        self._settings = settings
        self._settle_seconds = settle_seconds
        self._outage = ""
        """Why jobs cannot be recorded, as it was told."""

    async def is_first(self, draft: Draft) -> bool:
        """Whether the record agrees that the job is to be submitted; False: it knew better, decide again.

        It is asked before the service, because it refuses a second object with the same job id, and knows of an
        end that Kubernetes has lost. A database that is down holds no job back: it delays the record only.
        """
        try:
            is_first = await self._recorder.record(draft)
        except (NotLeading, Conflict):
            raise  # nothing is known of the database
        except Retryable as error:
            if self._outage != str(error):
                self._outage = str(error)
                log.warning("jobs are submitted before they are recorded: %s", error)
            return True
        self._outage = ""
        return is_first

    async def learn_the_end(self, draft: Draft) -> None:
        """The record has an end that Kubernetes has lost: its facts are the row's and those that the service tells.

        Raises Retryable while the service need not show or tell them yet.
        """
        now = self._clock.now()
        row = await self._store.get_job(draft.job.status.tenant_id or "", draft.job.job_id)
        if row is not None:
            draft.set_status(statuses.ended_as(draft.job.status, row), now)
        job = draft.job
        seen = await self._provider_of(job).get(ref_of(job))
        since = (now - (job.status.completed_at or now)).total_seconds()
        if seen is None and 0 <= since < self._settle_seconds:
            raise Retryable("the job has ended, and the service does not show it yet")
        if seen is None or seen.uid != job.key:
            return
        if seen.phase is None and not (seen.is_cancelling or seen.is_being_deleted):
            raise Retryable("the job has ended, and the service does not tell yet how")
        if seen.phase is job.status.phase:
            undated = msgspec.structs.replace(job.status, completed_at=None)  # the service knows when
            draft.set_status(statuses.observed(msgspec.structs.replace(job, status=undated), seen, now), now)

    async def submit(self, draft: Draft) -> tuple[Observation | Unseen, float | None]:
        """What the service has afterwards, and the seconds to wait where the environment is not complete yet."""
        job = draft.job
        try:
            environment = await self._environment(job)
        except EnvironmentMissing as missing:
            now = self._clock.now()
            limit, led = self._settings.env_wait_seconds, self._intents.doubt(job).led
            wait = wait_for_environment(job, missing, now, limit, led)
            draft.set_status(wait.status, now)
            return Unseen.ABSENT, None if draft.job.is_finished else wait.seconds
        except Invalid as refused:
            draft.finish(Phase.FAILED, reason=refused.reason, message=str(refused), now=self._clock.now())
            return Unseen.ABSENT, None
        draft.env = shown_environment(environment, redact=self._settings.redact_env)
        provider = self._provider_of(job)
        try:
            request = request_for(job, environment, self._settings.profiles)
            if not provider.names_are_ids and await self._was_lost(draft):
                return Unseen.ABSENT, None
            seen = await self._intents.submit(draft, provider, request)
        except Conflict:
            raise  # another controller was faster: nothing was sent
        except NotLeading:
            await self._recorder.flush(draft)  # leading again by now: the intent is withdrawn, nothing was sent
            raise
        except Permanent as refused:
            draft.finish(Phase.FAILED, reason=refused.reason, message=str(refused), now=self._clock.now())
            return Unseen.ABSENT, None
        except Retryable as failed:
            doubted = draft.job.status.submission
            reason = reasons.SUBMITTING if doubted and doubted.is_open else reasons.PROVIDER_ERROR
            draft.mark(conditions.SUBMITTED, False, reason=reason, message=str(failed), now=self._clock.now())
            await self._recorder.flush(draft)
            raise
        self._observers[provider.name].note(seen)
        log.info("submitted", extra=log_fields(job))
        draft.events.append(("Normal", reasons.SUBMITTED, f"{provider.name} has the job: {seen.resource_path}"))
        return seen, None

    async def submit_more(self, draft: Draft, seen: Observation) -> Observation:
        """Have the next tasks of a set made that stands like that; how it stands then.

        What runs is never failed for what keeps the others from being made: a condition says what it is, and it is
        tried again. Raises Retryable.
        """
        job = draft.job
        provider = self._provider_of(job)
        try:
            environment = await self._resources.environment(job)
            request = request_for(job, environment, self._settings.profiles)
            more = await self._intents.submit(draft, provider, msgspec.structs.replace(request, begun=seen))
        except (Conflict, NotLeading):
            raise
        except (EnvironmentMissing, Permanent) as refused:
            reason = refused.reason if isinstance(refused, Permanent) else reasons.WAITING_FOR_ENVIRONMENT
            await self._tell_that_it_stalls(draft, reason, refused)
            raise Retryable(f"the next tasks cannot be submitted: {refused}", delay=MORE_AGAIN_SECONDS) from refused
        except Retryable as failed:
            await self._tell_that_it_stalls(draft, reasons.PROVIDER_ERROR, failed)
            raise
        self._observers[provider.name].note(more)
        return more

    async def _tell_that_it_stalls(self, draft: Draft, reason: str, error: JennahError) -> None:
        draft.mark(conditions.PROGRESSING, False, reason=reason, message=str(error), now=self._clock.now())
        await self._recorder.flush(draft)

    async def _environment(self, job: Job) -> Environment:
        """The job's environment. Raises EnvironmentMissing, Invalid."""
        try:
            return await self._resources.environment(job)
        except (EnvironmentMissing, Invalid):
            if not job.wants_end:
                raise
            # It is submitted again only to be ended for sure; its Secret may have gone with the namespace.
            return Environment(values={}, shown={})

    async def _was_lost(self, draft: Draft) -> bool:
        """Whether there is a cloud job of a status that was emptied: then it is searched for, not submitted."""
        job = draft.job
        if job.status.submission is not None:
            return False
        try:
            row = await self._store.get_job(job.status.tenant_id or "", job.job_id)
            is_known = row is not None and row.resource_path is not None
        except Retryable:
            # A database that is down holds no job back; the service is asked where this is not the object's first pass.
            is_known = draft.was_held and bool(await self._provider_of(job).find(ref_of(job)))
        if not is_known:
            return False
        now = self._clock.now()
        draft.set_status(statuses.in_doubt(job, now), now)
        return True


class EnvironmentWait(msgspec.Struct, frozen=True, kw_only=True):
    """How a job goes on whose environment is incomplete: its next status, and the seconds until the next look."""

    status: JobStatus
    seconds: float


def request_for(job: Job, environment: Environment, profiles: Profiles) -> SubmitRequest:
    """The request for an accepted job. Raises Invalid for resources that do not exist."""
    return SubmitRequest(
        external_name=job.external_name,
        uid=job.key,
        job_id=job.job_id,
        tenant_id=job.status.tenant_id or "",
        spec=job.spec,
        resources=resolve(job.spec, profiles),
        env=environment.values,
        namespace=job.metadata.namespace,
        created_at=job.metadata.creation_timestamp or datetime.fromtimestamp(0, UTC),
    )


def wait_for_environment(
    job: Job, missing: EnvironmentMissing, now: datetime, limit: float, led: float
) -> EnvironmentWait:
    """Wait up to `limit` seconds for what is missing, counted from when it was first noted; then the job has failed.

    The note may be a former leader's, whose clock was behind: the `led` seconds of our own leadership count as well.
    """
    noted = conditions.find(job.status.conditions, conditions.ENVIRONMENT_READY)
    age = (now - (job.metadata.creation_timestamp or now)).total_seconds()
    if noted is None and age < min(ENV_PATIENCE_SECONDS, limit):
        return EnvironmentWait(status=job.status, seconds=ENV_RETRY_SECONDS)
    waited = min((now - noted.last_transition_time).total_seconds(), led) if noted else 0.0
    if waited >= limit:
        failed = statuses.moved(
            job,
            job.status,
            Phase.FAILED,
            reason=reasons.ENV_SECRET_MISSING,
            message=f"{missing} (waited {limit:g} s)",
            at=now,
            now=now,
        )
        return EnvironmentWait(status=failed, seconds=0.0)
    status = statuses.marked(
        job,
        conditions.ENVIRONMENT_READY,
        False,
        reason=reasons.WAITING_FOR_ENVIRONMENT,
        message=str(missing),
        now=now,
    )
    return EnvironmentWait(status=status, seconds=min(ENV_LOOK_AGAIN_SECONDS, max(limit - waited, 0.0)))


def shown_environment(environment: Environment, *, redact: bool) -> Mapping[str, str]:
    """What EnvVarsJson keeps: the names always, the values unless DB_REDACT_ENV."""
    return dict.fromkeys(environment.shown, "") if redact else environment.shown
