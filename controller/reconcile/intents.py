"""Intents to submit, for services that do not let us name jobs: declared before the call, and what is in doubt of them.

An intent is a part of status, written with the object's resourceVersion: of two controllers one loses here and sends
nothing. Only the process that wrote it calls the service, and within a time limit, so that everybody else can tell
when the call must be over.
"""

import asyncio
import math
from datetime import timedelta

import msgspec

from controller import metrics
from controller.domain.errors import Conflict, Forbidden, JennahError, NotFound, Unavailable
from controller.domain.job import Job, Submission
from controller.ports import BatchProvider, Clock, JobResources, Observation, SubmitRequest
from controller.reconcile import statuses
from controller.reconcile.cache import JobCache
from controller.reconcile.decide import Doubt, Policy, next_look
from controller.reconcile.draft import Draft

SEND_WITHIN_SECONDS = 4.0
"""Of `Policy.submit_limit`: the call must be begun within this; the rest is for its own time limit."""


class _Seen(msgspec.Struct):
    """An open intent, since this process knows of it."""

    intent: Submission
    since: float
    looks: int = 0
    looked_at: float = 0.0


class Intents:
    """The open intents of all jobs, by key. Lost with the process; the next one begins to wait anew."""

    def __init__(
        self, *, resources: JobResources, cache: JobCache, clock: Clock, policy: Policy, identity: str
    ) -> None:
        self._resources = resources
        self._cache = cache
        self._clock = clock
        self._policy = policy
        self._identity = identity
        self._open: dict[str, _Seen] = {}
        self._sent: dict[str, float] = {}
        """Calls of unknown outcome, and when they were over for us."""
        self._led_since = clock.monotonic()

    def take_over(self) -> None:
        """We lead from now on; calls of the one before us may still be under way."""
        self._led_since = self._clock.monotonic()

    def see(self, job: Job) -> None:
        """Take note of an intent, so that waiting for its end begins; also on a standby."""
        intent = job.status.submission
        if intent is None or not intent.is_open or job.is_finished:
            self._open.pop(job.key, None)
            return
        known = self._open.get(job.key)
        if known is None or (known.intent.attempt, known.intent.by, known.intent.at) != (
            intent.attempt,
            intent.by,
            intent.at,
        ):
            self._open[job.key] = _Seen(intent=intent, since=self._clock.monotonic())

    def forget(self, key: str) -> None:
        """The object is gone."""
        self._open.pop(key, None)
        self._sent.pop(key, None)

    def doubt(self, job: Job) -> Doubt:
        """What is not known of the job's submissions."""
        self.see(job)
        seen, now = self._open.get(job.key), self._clock.monotonic()
        led, sent = now - self._led_since, self._sent.get(job.key)
        since = math.inf if sent is None else now - sent
        if seen is None:
            return Doubt(led=led, sent=since)
        return Doubt(led=led, sent=since, age=now - seen.since, looks=seen.looks, looked=now - seen.looked_at)

    def looked(self, job: Job) -> None:
        """The service was searched for the job, in vain."""
        seen = self._open.get(job.key)
        if seen is not None:
            seen.looks += 1
            seen.looked_at = self._clock.monotonic()

    async def submit(self, draft: Draft, provider: BatchProvider, request: SubmitRequest) -> Observation:
        """Submit the draft's job, in the way of that service. Errors as those of the provider, and Conflict."""
        if not provider.names_are_ids:
            return await self._submit_once(draft, provider, request)
        before = self._sent.get(request.uid)
        self._sent[request.uid] = self._clock.monotonic()
        try:
            seen = await provider.submit(request)
        except JennahError as error:
            if isinstance(error, Unavailable) and not isinstance(error, Forbidden):
                before = self._clock.monotonic()
            elif request.begun is None:
                before = None
            # Of the next tasks of a set a call that did nothing tells nothing of the one before it.
            if self._sent.pop(request.uid, None) is not None and before is not None:
                self._sent[request.uid] = before
            raise
        self._sent.pop(request.uid, None)
        return seen

    async def _submit_once(self, draft: Draft, provider: BatchProvider, request: SubmitRequest) -> Observation:
        """Prepare, declare the intent, call once. The draft's status says afterwards whether there is a doubt."""
        await provider.prepare(request)
        begun = self._clock.monotonic()
        await self._declare(draft)
        request = msgspec.structs.replace(request, send_by=begun + SEND_WITHIN_SECONDS)
        try:
            async with asyncio.timeout(self._policy.submit_limit):
                return await provider.submit(request)
        except TimeoutError as error:
            self._doubt(draft, provider)
            raise Unavailable(f"{provider.name} did not answer to a submission in time") from error
        except Unavailable as error:
            if isinstance(error, Forbidden):
                self._withdraw(draft)
            else:
                self._doubt(draft, provider)
            raise
        except JennahError:
            self._withdraw(draft)
            raise

    async def _declare(self, draft: Draft) -> None:
        """Write the intent. Raises Conflict where another was faster, or the object is gone."""
        last, now = draft.job.status.submission, self._clock.now()
        intent = Submission(
            attempt=last.attempt + 1 if last else 1,
            by=self._identity,
            at=now,
            deadline=now + timedelta(seconds=self._policy.submit_limit),
            in_doubt=last is not None and last.in_doubt,
        )
        patch = msgspec.to_builtins(intent) | {"inDoubt": intent.in_doubt or None, "lookAgainAt": None}
        try:
            # The provider too: a controller that is set up for another one must not take the job to that.
            whole = {"submission": patch, "provider": draft.job.status.provider}
            written = await self._resources.write_status(draft.base, whole)
        except NotFound as error:
            raise Conflict("the object is gone") from error
        self._cache.put(written)
        draft.take_intent(written)
        self.see(draft.job)

    def _doubt(self, draft: Draft, provider: BatchProvider) -> None:
        metrics.SUBMISSIONS_IN_DOUBT.labels(provider.name).inc()
        now = self._clock.now()
        draft.set_status(statuses.in_doubt(draft.job, now), now)

    def _withdraw(self, draft: Draft) -> None:
        """Nothing was sent, or the service said no: the intent is void."""
        now = self._clock.now()
        draft.set_status(statuses.settled(draft.job.status, next_look(now, self._policy)), now)
