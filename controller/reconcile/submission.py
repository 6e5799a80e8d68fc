"""From an accepted job to one that is at the service: the environment is read, the record asked, the service called.

A job is sent only while status (`decide` sees to that) and the record both say that it never was, or where it may have
been sent. A record that cannot be read says nothing: the job waits, unless Kubernetes alone can tell that it is new.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from controller.domain import admission, conditions, reasons, redaction
from controller.domain.destination import Destination
from controller.domain.errors import (
    Conflict,
    EnvironmentMissing,
    Forbidden,
    Invalid,
    JennahError,
    NotLeading,
    Permanent,
    Retryable,
    Unavailable,
)
from controller.domain.job import Job, JobStatus
from controller.domain.phases import Phase
from controller.domain.records import Recorded
from controller.domain.resources import Profiles, resolve, size
from controller.domain.tenants import TenantPolicy
from controller.ports import Clock, Environment, JobRecord, JobResources, Observation, SubmitRequest
from controller.reconcile import statuses
from controller.reconcile.admitting import NotAllowedNow, admit
from controller.reconcile.decide import Policy, Unseen
from controller.reconcile.draft import Draft
from controller.reconcile.environments import shown_environment, wait_for_environment
from controller.reconcile.freshness import Freshness
from controller.reconcile.intents import Intents
from controller.reconcile.observer import ref_of
from controller.reconcile.recorder import Recorder, destination_of, log_fields
from controller.reconcile.sites import Sites

log = logging.getLogger(__name__)

RENEW_SECONDS = 600.0
MORE_AGAIN_SECONDS = 30.0
"""The pause after the next tasks of a set were refused: somebody must change something first."""


class ReconcileSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the loop needs to know beside the policy of `decide`."""

    default_provider: str
    profiles: Profiles
    api_namespace: str
    """Where the API creates jobs of any tenant."""
    env_wait_seconds: float = 60.0
    redact_env: bool = True
    default_identities: Mapping[str, str] = {}
    """What jobs run as that name no serviceAccount, and whose tenant's policy names none, by provider."""


class Submitting:
    """What the reconciler does for `actions.Submit`. Drafts are changed, and written where a caller could not."""

    def __init__(
        self,
        *,
        resources: JobResources,
        store: JobRecord,
        recorder: Recorder,
        intents: Intents,
        sites: Sites,
        freshness: Freshness,
        clock: Clock,
        settings: ReconcileSettings,
        policy: Policy,
    ) -> None:
        self._resources = resources
        self._store = store
        self._recorder = recorder
        self._intents = intents
        self._sites = sites
        self._freshness = freshness
        self._clock = clock
        self._settings = settings
        self._settle_seconds = policy.submit_settle
        self._intent_first = policy.intent_first
        self._outage = ""
        """Why jobs cannot be recorded, as it was told."""

    async def is_free(self, draft: Draft, destination: Destination | None) -> bool:
        """Whether the record agrees that the job is sent, there; False: it knew better, decide again.

        It refuses a second object with the same job id, and knows of a run that Kubernetes has lost. Where it is down,
        nothing is sent that may have been sent before: Unavailable is raised. The next tasks of a set that runs
        (`destination` None) are sent all the same: status knows which of them were made.
        """
        job = draft.job
        try:
            truth = await self._recorder.ask(draft, destination)
        except (NotLeading, Conflict):
            raise  # nothing is known of the database
        except Retryable as error:
            if not (job.is_submitted or self._freshness.is_new(job)):
                raise Unavailable(f"the job is not submitted before the record can be read: {error}") from error
            if self._outage != str(error):
                self._outage = str(error)
                log.warning("new jobs are submitted before they are recorded: %s", error)
            return True
        self._outage = ""
        if truth is None:
            await self.learn(draft)
            return False
        if job.status.destination is not None:
            return job.is_submitted or not await self._ran(draft, truth)
        known = destination_of(truth)
        if known is not None and known != destination:
            # A process before this one may have sent the job there: that counts from now on.
            log.info("the record knows that the job may have been sent to %s", known, extra=log_fields(job))
            now = self._clock.now()
            draft.set_status(statuses.sent_to(job.status, known), now)
            if known.provider in self._intent_first:
                draft.set_status(statuses.in_doubt(draft.job, now), now)
        return not await self._ran(draft, truth) and draft.job.status.destination is None

    async def _ran(self, draft: Draft, truth: Recorded) -> bool:
        """Whether the record proves a run that status does not know of; that is taken over then."""
        if truth.proves_a_run and not draft.job.is_submitted:
            await self.learn(draft)
            return True
        return False

    async def recall(self, draft: Draft) -> None:
        """Where a status proves a run and no longer says where, take that over from the record. Raises Retryable."""
        status = draft.job.status
        if not status.proves_a_run or status.resource_path is not None or status.destination is not None:
            return
        truth = await self._recorder.ask(draft, None)
        if truth is not None:
            draft.set_status(statuses.sent_to(draft.job.status, destination_of(truth)), self._clock.now())
        await self._take_over_the_row(draft)

    async def learn(self, draft: Draft) -> None:
        """Take over what the record knows of a run that Kubernetes has lost. Raises Retryable."""
        job = draft.job
        if job.is_finished:
            await self._learn_the_end(draft)
        elif not job.is_submitted:
            await self._take_over_the_row(draft)

    async def _take_over_the_row(self, draft: Draft) -> None:
        status = draft.job.status
        row = await self._store.get_job(status.tenant_id or "", draft.job.job_id)
        if row is None:
            raise Retryable("the record has just changed")
        draft.set_status(statuses.as_recorded(status, row), self._clock.now())

    async def _learn_the_end(self, draft: Draft) -> None:
        """The record has an end that Kubernetes has lost: its facts are the row's and those that the service tells.

        Raises Retryable while the service need not show or tell them yet.
        """
        now = self._clock.now()
        row = await self._store.get_job(draft.job.status.tenant_id or "", draft.job.job_id)
        if row is not None:
            draft.set_status(statuses.ended_as(draft.job.status, row), now)
        job = draft.job
        site = self._sites.known(job)
        if site is None:
            return  # no client could tell more
        seen = await site.provider.get(ref_of(job))
        since = (now - (job.status.completed_at or now)).total_seconds()
        if seen is None and 0 <= since < self._settle_seconds:
            raise Retryable("the job has ended, and the service does not show it yet")
        if seen is None or seen.uid != job.key:
            return
        if seen.phase is None and not (seen.is_cancelling or seen.is_being_deleted):
            raise Retryable("the job has ended, and the service does not tell yet how")
        undated = msgspec.structs.replace(job.status, completed_at=None)  # the service knows when
        observed = statuses.observed(msgspec.structs.replace(job, status=undated), seen, now)
        if seen.phase is not None and observed.phase is job.status.phase:
            # Another phase: the object has lost what makes that the end, such as the wish for it.
            draft.set_status(observed, now)

    async def submit(self, draft: Draft) -> tuple[Observation | Unseen, float | None]:
        """What the service has afterwards, and the seconds to wait where the environment is not complete yet."""
        job = draft.job
        try:
            environment = await self._environment(job)
        except EnvironmentMissing as missing:
            made = await self._made_before(job)
            if made is not None:
                return made, None
            now = self._clock.now()
            limit, led = self._settings.env_wait_seconds, self._intents.doubt(job).led
            wait = wait_for_environment(job, missing, now, limit, led)
            draft.set_status(wait.status, now)
            return Unseen.ABSENT, None if draft.job.is_finished else wait.seconds
        except Invalid as refused:
            return await self._refused(draft, refused), None
        draft.env = shown_environment(environment, redact=self._settings.redact_env)
        self._tell_what_is_left_out(draft, environment)
        site = await self._sites.of(job)
        provider = site.provider
        try:
            request = request_for(job, environment, self._settings.profiles)
            destination = self._intents.destination(job, provider)
        except Permanent as refused:
            return await self._refused(draft, refused), None
        if not await self.is_free(draft, destination):
            return Unseen.NOT_ASKED, None
        try:
            # Only now: a job that may be at the service already is looked for first, and no policy fails it.
            policy = await self._resources.tenant_policy(request.tenant_id)
            if not job.wants_end:
                admit(draft.job, request, policy)
            request = self._identified(request, provider.name, policy)
            request = msgspec.structs.replace(request, destination=destination)
            with redaction.in_errors(request.env.values()):
                seen = await self._intents.submit(draft, provider, request)
        except Conflict:
            raise  # another controller was faster: nothing was sent
        except NotLeading:
            await self._recorder.flush(draft)  # leading again by now: the intent is withdrawn, nothing was sent
            raise
        except Permanent as refused:
            return await self._refused(draft, refused), None
        except Retryable as failed:
            doubted = draft.job.status.submission
            reason = reasons.SUBMITTING if doubted and doubted.is_open else reasons.PROVIDER_ERROR
            if isinstance(failed, NotAllowedNow):
                reason = reasons.NOT_ALLOWED
            else:
                self._renew(draft, failed)
            draft.mark(conditions.SUBMITTED, False, reason=reason, message=str(failed), now=self._clock.now())
            await self._recorder.flush(draft)
            raise
        site.observer.note(seen)
        log.info("submitted", extra=log_fields(job))
        account = request.spec.service_account
        as_whom = f"; it was sent to run as {account}" if account else ""
        draft.events.append(
            ("Normal", reasons.SUBMITTED, f"{provider.name} has the job: {seen.resource_path}{as_whom}")
        )
        return seen, None

    async def _refused(self, draft: Draft, refused: Permanent) -> Observation | Unseen:
        """What the service has of a job that cannot be sent, now: it has failed, unless an earlier call had it made."""
        made = await self._made_before(draft.job)
        if made is not None:
            return made
        draft.finish(Phase.FAILED, reason=refused.reason, message=str(refused), now=self._clock.now())
        return Unseen.ABSENT

    async def _made_before(self, job: Job) -> Observation | None:
        """The cloud job of an earlier call, whose outcome nobody noted. It counts, whatever rules or settings say since
        then. Where the service names jobs, `decide` has looked before it has a job sent."""
        if job.status.destination is None:
            return None
        site = await self._sites.of(job)
        if not site.provider.names_are_ids:
            return None
        found = await site.provider.get(ref_of(job))
        if found is None or found.uid != job.key or found.is_unreleased:
            return None
        site.observer.note(found)
        return found

    async def submit_more(self, draft: Draft, seen: Observation) -> Observation:
        """Have the next tasks of a set made that stands like that; how it stands then.

        What runs is never failed for what keeps the others from being made: a condition says what it is, and it is
        tried again. Raises Retryable.
        """
        job = draft.job
        site = await self._sites.of(job)
        provider = site.provider
        try:
            environment = await self._resources.environment(job)
            policy = await self._resources.tenant_policy(job.status.tenant_id or "")
            request = request_for(job, environment, self._settings.profiles)
            request = self._identified(request, provider.name, policy)
            wanted = msgspec.structs.replace(request, begun=seen, destination=job.status.destination)
            with redaction.in_errors(request.env.values()):
                more = await self._intents.submit(draft, provider, wanted)
        except (Conflict, NotLeading):
            raise
        except (EnvironmentMissing, Permanent) as refused:
            reason = refused.reason if isinstance(refused, Permanent) else reasons.WAITING_FOR_ENVIRONMENT
            await self._tell_that_it_stalls(draft, reason, refused)
            raise Retryable(f"the next tasks cannot be submitted: {refused}", delay=MORE_AGAIN_SECONDS) from refused
        except Retryable as failed:
            await self._tell_that_it_stalls(draft, reasons.PROVIDER_ERROR, failed)
            raise
        site.observer.note(more)
        return more

    def _identified(self, request: SubmitRequest, provider: str, policy: TenantPolicy) -> SubmitRequest:
        """The request with what the job runs as."""
        otherwise = self._settings.default_identities.get(provider, "")
        spec = admission.with_identity(request.spec, provider, policy, otherwise)
        return msgspec.structs.replace(request, spec=spec)

    async def without_values(self, job: Job, seen: Observation | Unseen) -> Observation | Unseen:
        """The observation of a job's end without the values of its environment.

        Its program or the service may have quoted them, and what is told goes into status, events, record and
        notifications. Values that cannot be read any more, because their Secret is gone, cannot be looked for.
        """
        if not isinstance(seen, Observation) or not seen.has_ended or not seen.message or job.is_finished:
            return seen
        return msgspec.structs.replace(seen, message=redaction.without_values(seen.message, await self._values(job)))

    async def told(self, job: Job, status: JobStatus) -> JobStatus:
        """That next status of the job, why it waits without the values of its environment."""
        waits = conditions.find(status.conditions, conditions.SCHEDULED)
        if waits is None or waits.is_true or waits in job.status.conditions:
            return status
        masked = msgspec.structs.replace(
            waits, message=redaction.without_values(waits.message or "", await self._values(job))
        )
        found = tuple(masked if one is waits else one for one in status.conditions)
        return msgspec.structs.replace(status, conditions=found)

    async def _values(self, job: Job) -> Iterable[str]:
        """Those of its environment, as far as they can be known."""
        if not (job.spec.env or job.spec.env_from):
            return ()
        try:
            return (await self._resources.environment(job)).values.values()
        except (EnvironmentMissing, Invalid):
            return [one.value for one in job.spec.env or () if one.value]

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

    def _tell_what_is_left_out(self, draft: Draft, environment: Environment) -> None:
        """Say once, in a condition and an event, which keys that envFrom refers to are no variables of the job."""
        told = conditions.find(draft.job.status.conditions, conditions.ENVIRONMENT_READY)
        if not environment.left_out or (told is not None and told.is_true):
            return
        reason = reasons.INVALID_VARIABLE_NAMES
        message = f"envFrom: left out, as they cannot be variables: {', '.join(environment.left_out)}"
        draft.mark(conditions.ENVIRONMENT_READY, True, reason=reason, message=message, now=self._clock.now())
        draft.events.append(("Warning", reason, message))

    def _renew(self, draft: Draft, failed: Retryable) -> None:
        """Have the destination's time say that nothing is unknown: all calls until now were refused. Now and then only,
        as it is a write."""
        destination, now = draft.job.status.destination, self._clock.now()
        is_unknown = isinstance(failed, Unavailable) and not isinstance(failed, Forbidden)
        if destination is None or destination.at is None or is_unknown or self._intents.doubt(draft.job).unknown:
            return
        if (now - destination.at).total_seconds() > RENEW_SECONDS:
            renewed = msgspec.structs.replace(destination, at=now)
            draft.set_status(msgspec.structs.replace(draft.job.status, destination=renewed), now)


def request_for(job: Job, environment: Environment, profiles: Profiles) -> SubmitRequest:
    """The request for an accepted job. Raises Invalid for resources that do not exist."""
    return SubmitRequest(
        external_name=job.external_name,
        uid=job.key,
        job_id=job.job_id,
        tenant_id=job.status.tenant_id or "",
        spec=job.spec,
        resources=resolve(job.spec, profiles),
        sizing=size(job.spec, profiles),
        env=environment.values,
        namespace=job.metadata.namespace,
        object_name=job.metadata.name,
        created_at=job.metadata.creation_timestamp or datetime.fromtimestamp(0, UTC),
    )
