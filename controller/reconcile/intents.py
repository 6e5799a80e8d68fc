"""What is written down before a job is sent, and what is in doubt of the calls that sent it.

Before the first call the destination is in status. Services that do not let us name jobs need an intent as well, before
each call. Both are written with the object's resourceVersion: of two controllers one loses here and sends nothing.
Only the process that wrote an intent calls the service, and within a time limit, so that everybody else can tell when
the call must be over.
"""

import asyncio
import math
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from controller import metrics
from controller.domain.destination import Destination
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
        self._unknown: dict[str, float] = {}
        """When the first of them was begun."""
        self._called: set[str] = set()
        """Jobs that were sent by this process in its term."""
        self._planned: dict[str, Destination] = {}
        """Destinations that were recorded and are not in status yet."""
        self._led_since = clock.monotonic()

    def take_over(self) -> None:
        """We lead from now on; calls of the one before us may still be under way."""
        self._led_since = self._clock.monotonic()
        self._called.clear()

    def destination(self, job: Job, provider: BatchProvider) -> Destination:
        """Where the job goes: as it was written down, else by today's settings. Raises Permanent(INVALID_SPEC)."""
        known = job.status.destination or self._planned.get(job.key)
        if known is not None:
            return known
        chosen = provider.destination(job.spec, job.metadata.namespace)
        planned = self._planned[job.key] = msgspec.structs.replace(chosen, at=self._clock.now())
        return planned

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
        for known in (self._open, self._sent, self._unknown, self._planned):
            known.pop(key, None)
        self._called.discard(key)

    def doubt(self, job: Job) -> Doubt:
        """What is not known of the job's submissions."""
        self.see(job)
        seen, now = self._open.get(job.key), self._clock.monotonic()
        led, sent = now - self._led_since, self._sent.get(job.key)
        since = math.inf if sent is None else now - sent
        doubt = Doubt(
            led=led,
            sent=since,
            has_called=job.key in self._called,
            unknown=now - self._unknown.get(job.key, now),
        )
        if seen is None:
            return doubt
        return msgspec.structs.replace(doubt, age=now - seen.since, looks=seen.looks, looked=now - seen.looked_at)

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
        if request.begun is None:
            await self._write_destination(draft, request)
        self._called.add(request.uid)
        before, began = self._sent.get(request.uid), self._clock.monotonic()
        self._sent[request.uid] = began
        try:
            seen = await provider.submit(request)
        except JennahError as error:
            if isinstance(error, Unavailable) and not isinstance(error, Forbidden):
                before = self._clock.monotonic()
                self._unknown.setdefault(request.uid, began)
            elif request.begun is None:
                before = None
                self._unknown.pop(request.uid, None)
            # Of the next tasks of a set a call that did nothing tells nothing of the one before it.
            if self._sent.pop(request.uid, None) is not None and before is not None:
                self._sent[request.uid] = before
            raise
        self._sent.pop(request.uid, None)
        self._unknown.pop(request.uid, None)
        return seen

    async def _write_destination(self, draft: Draft, request: SubmitRequest) -> None:
        """Have it in status, with all that the pass has decided until now. Raises Conflict."""
        if draft.base.status.destination is not None:
            return
        status = msgspec.structs.replace(draft.job.status, destination=request.destination)
        draft.set_status(status, self._clock.now())
        await self._write(draft, draft.patch())

    async def _submit_once(self, draft: Draft, provider: BatchProvider, request: SubmitRequest) -> Observation:
        """Prepare, declare the intent, call once. The draft's status says afterwards whether there is a doubt."""
        await provider.prepare(request)
        begun = self._clock.monotonic()
        await self._declare(draft, request)
        self._called.add(request.uid)
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

    async def _declare(self, draft: Draft, request: SubmitRequest) -> None:
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
        # The provider too: a controller that is set up for another one must not take the job to that.
        where = msgspec.to_builtins(request.destination) if request.destination is not None else None
        whole = {"submission": patch, "provider": draft.job.status.provider, "destination": where}
        await self._write(draft, whole)

    async def _write(self, draft: Draft, patch: Mapping[str, object]) -> None:
        try:
            written = await self._resources.write_status(draft.base, patch)
        except NotFound as error:
            raise Conflict("the object is gone") from error
        self._cache.put(written)
        self._planned.pop(draft.job.key, None)
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
