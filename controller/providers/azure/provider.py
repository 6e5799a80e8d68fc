"""Azure Batch behind `ports.BatchProvider`: the adapter. What requests and answers mean is in `request` and
`observation`.

Names are ids here. A JennahJob's tasks have ids that follow from its name, in a shared job that follows from its pool
and its day (`places`), so a submission is repeated until its outcome is known, and what exists already is adopted if
it carries our uid.
"""

import asyncio
import itertools
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence, Set
from datetime import datetime

import msgspec

from controller.cloud_settings import AzureSettings
from controller.domain import reasons
from controller.domain.destination import Destination
from controller.domain.errors import JennahError, Permanent, Retryable, Unavailable, Unreachable
from controller.domain.job import JobSpec, TaskCounts
from controller.domain.phases import Phase
from controller.ports import Clock, JobRef, Observation, OwnedJob, SubmitRequest
from controller.providers import destinations
from controller.providers.azure import bounded, calls, holds, marker, observation, places, pools, wire
from controller.providers.azure.catalogue import Catalogue
from controller.providers.azure.connection import AzureConnection
from controller.providers.azure.ending import Ending
from controller.providers.azure.finding import Finding
from controller.providers.azure.hidden import Hidden
from controller.providers.azure.holds import Hold
from controller.providers.azure.listing import Listing, Seen
from controller.providers.azure.places import Place
from controller.providers.azure.shared_jobs import SharedJobs
from controller.providers.azure.submission import Submission
from controller.providers.azure.unclaimed import Unclaimed
from controller.providers.azure.wire import Task

log = logging.getLogger(__name__)

REMEMBERED = 10_000
"""Places of submitted jobs that are kept at most."""
JOBS_AT_ONCE = 4
"""Shared jobs that a round of observation reads at once."""
BREATH = 500
"""Jobs that are mapped before others get the event loop again."""


class AzureProvider:
    """One account. All workers share its rate limit."""

    name = "azure"
    names_are_ids = True
    cancel_erases = False
    remembers_seconds = 7 * 86400.0
    """What is documented is for the files of a task (providers.md §3d); the task itself is not removed before."""

    def __init__(self, settings: AzureSettings, clock: Clock) -> None:
        self.region = settings.region
        self.site = Destination(provider=self.name, account=settings.endpoint, instance=settings.instance)
        self._settings = settings
        self._connection = AzureConnection(settings, clock)
        self._catalogue = Catalogue(self._connection, settings, clock)
        self._shared = SharedJobs(self._connection, settings, clock)
        self._submission = Submission(self._connection, self._catalogue, self._shared, settings)
        self._listing = Listing(self._connection, clock, places.prefix(settings))
        self._finding = Finding(self._connection, self._shared, settings)
        self._ending = Ending(self._connection)
        self._unclaimed = Unclaimed(self._connection, self._shared, settings)
        self._places: OrderedDict[str, Place] = OrderedDict()
        self._hidden = Hidden(clock)
        self._failing: frozenset[str] = frozenset()
        self._told: dict[str, str] = {}

    def destination(self, spec: JobSpec, namespace: str) -> Destination:
        """By the pool that the spec and the settings choose. Raises Permanent(INVALID_SPEC)."""
        return msgspec.structs.replace(self.site, pool=pools.choose(spec, self._settings))

    async def open(self) -> None:
        """See that every configured pool exists. Raises ConfigError, Unavailable."""
        await self._catalogue.check()

    async def prepare(self, request: SubmitRequest) -> None:
        """Nothing to do: names are ids here."""

    async def submit(self, request: SubmitRequest) -> Observation:
        """All of the JennahJob's tasks, or as many as may be under way at once; a set that was begun is gone on with.
        Raises as the port says."""
        destinations.check(self.site, [request])
        try:
            async with asyncio.timeout(calls.ACTION_SECONDS):
                if request.begun is not None:
                    return await self._submit_more(request, request.begun)
                made = await self._submission.submit(request)
                self._remember(request.external_name, made.where)
                if made.display_name is not None:
                    return self._fresh(request, made.where, made.display_name, made.count)
                seen = await self._observed(request.external_name, made.where, made.count)
        except TimeoutError:
            raise Unavailable("the submission took too long; it is gone on with") from None
        if seen is None:
            raise Unavailable(f"the tasks of {request.external_name} exist and cannot be read yet")
        if seen.uid != request.uid:
            raise Permanent(
                f"{seen.resource_path} exists already and belongs to another JennahJob", reason=reasons.NAME_TAKEN
            )
        return seen

    async def find(self, ref: JobRef) -> Sequence[Observation]:
        seen = await self.get(ref)
        return [seen] if seen is not None and seen.uid == ref.uid else []

    async def get(self, ref: JobRef) -> Observation | None:
        where = await self._place(ref)
        return await self._observed(ref.external_name, where, ref.tasks_submitted) if where is not None else None

    async def observe(self, refs: Collection[JobRef]) -> Mapping[str, Observation]:
        """By shared job, what changed.

        A shared job that cannot be read stays as it was last seen, and what was never seen of it stays as it is. Raises
        where nothing could be read.
        """
        if not refs:
            return {}
        destinations.check(self.site, refs)
        where = {ref.external_name: place for ref in refs if (place := self._known_place(ref)) is not None}
        failures: dict[str, JennahError] = {}
        """By shared job; "" for the search for those that it is not known where they are."""
        for ref in refs:
            if ref.external_name not in where and not ref.resource_path:
                try:
                    place = await self._finding.place(ref)
                except JennahError as error:
                    failures[""] = error
                    break  # the others are in doubt as this one is, until the next round
                if place is not None:
                    self._remember(ref.external_name, place)
                    where[ref.external_name] = place
        by_name = {ref.external_name: ref for ref in refs}
        self._hidden.forget_all_but(by_name)
        wanted: defaultdict[str, set[str]] = defaultdict(set)
        to_come: defaultdict[str, set[str]] = defaultdict(set)
        for name, place in where.items():
            ids = place.task_ids
            wanted[place.job_id].update(itertools.islice(ids, by_name[name].tasks_submitted))
            to_come[place.job_id].update(ids)
        self._listing.forget_all_but(wanted)
        await self._aside("the states of the Azure jobs cannot be read", self._listing.look_at_jobs())
        found: dict[str, Observation] = {}
        looks: dict[str, Seen | None] = {}
        can_be_read = False

        async def look(job_id: str) -> None:
            nonlocal can_be_read
            try:
                looks[job_id] = await self._listing.look(job_id, wanted[job_id], to_come[job_id])
                can_be_read = True
            except JennahError as error:
                failures[job_id] = error
                looks[job_id] = self._listing.last(job_id)

        await bounded.for_each(look, list(wanted), at_once=JOBS_AT_ONCE)
        self._tell(failures)
        if failures and not can_be_read:
            raise _to_be_tried_again(failures.values())
        await self._look_at_pools(looks.values())
        held = {job_id: self._hold(seen.job, seen.state) for job_id, seen in looks.items() if seen is not None}
        lost: list[tuple[str, str]] = []
        for number, (name, place) in enumerate(where.items()):
            seen, ref = looks[place.job_id], by_name[name]
            tasks = [seen.tasks.get(task_id) for task_id in place.task_ids] if seen is not None else []
            one = self._meaning(ref, place, tasks, seen.state, held[place.job_id]) if seen is not None else None
            if one is not None and one.uid == ref.uid:
                found[name] = one
                if one.preemptions and not one.has_ended:
                    lost += [(place.job_id, task_id) for task_id in observation.lost_too_often(tasks)]
            elif place.job_id in failures and ref.resource_path and not any(tasks):
                found[name] = Observation(external_name=name, uid=ref.uid, resource_path=ref.resource_path, phase=None)
            if number % BREATH == 0:
                await asyncio.sleep(0)
        if lost:
            await self._aside("tasks that lost their node too often cannot be ended", self._ending.end_lost(lost))
        kept = {job_id for job_id, ids in to_come.items() if ids}
        await self._aside("old Azure jobs cannot be ended", self._shared.end_an_old_one(kept))
        return found

    async def unclaimed(self, claimed: Set[str], *, ended_since: datetime | None = None) -> Sequence[OwnedJob]:
        return await self._unclaimed.look(claimed, ended_since)

    async def cancel(self, ref: JobRef, *, reason: str) -> bool:
        """Terminate every task. The service takes no reason, and keeps none but that somebody ended it."""
        where = await self._place(ref)
        if where is None:
            return False
        try:
            async with asyncio.timeout(calls.ACTION_SECONDS):
                return await self._ending.terminate(where, ref.uid)
        except TimeoutError:
            raise Unavailable("not all tasks could be ended in time; it is gone on with") from None

    async def delete(self, ref: JobRef) -> None:
        """Remove the tasks of a job that has ended. One that has not is left alone: there, deleting would end it."""
        where = await self._place(ref)
        if where is None:
            return
        # What a try before this one removed has gone, and is not hidden.
        seen = await self._observed(ref.external_name, where, ref.tasks_submitted, is_hiding=False)
        if seen is None or seen.uid != ref.uid or not (seen.has_ended or seen.is_at_rest):
            return
        try:
            async with asyncio.timeout(calls.ACTION_SECONDS):
                await self._ending.delete(where, ref.uid)
        except TimeoutError:
            raise Unavailable("not all tasks could be removed in time; it is gone on with") from None

    async def close(self) -> None:
        await self._connection.close()

    def _tell(self, failures: Mapping[str, JennahError]) -> None:
        """What cannot be read, once for as long as it cannot."""
        for job_id, error in failures.items():
            if job_id not in self._failing:
                what = f"the Azure job {job_id}" if job_id else "where some jobs are"
                log.warning("%s cannot be read: %s", what, error)
        self._failing = frozenset(failures)

    async def _aside(self, fault: str, work: Awaitable[None]) -> None:
        """A failure of this fails no round: what it would have told stays as it was. It is logged when it is news."""
        try:
            await work
        except JennahError as error:
            if self._told.get(fault) != str(error):
                log.warning("%s: %s", fault, error)
            self._told[fault] = str(error)

    async def _look_at_pools(self, looks: Iterable[Seen | None]) -> None:
        seen = [one for one in looks if one is not None and one.job.pool_id]
        waiting = {one.job.pool_id for one in seen if observation.waits(list(one.tasks.values()))}
        if waiting:
            await self._aside("why tasks wait cannot be read", self._catalogue.look(waiting))

    async def _observed(
        self, external_name: str, where: Place, submitted: int | None, *, is_hiding: bool = True
    ) -> Observation | None:
        """Asked for singly, not from what was seen."""
        tasks = await self._finding.tasks(where)
        if tasks is None or not any(tasks):
            return None
        if all(task is not None and task.state == observation.ENDED for task in tasks):
            return observation.observation(external_name, where, tasks, "active", self._settings)
        hidden = self._hidden.look(external_name, tasks, submitted) if is_hiding else ()
        job = await self._connection.job(where.job_id)
        state = job.state if job is not None else observation.GONE
        if observation.JOB_ENDS.get(state, False) and observation.waits(tasks):
            # It may have run and ended before its job did: after that nothing in it changes any more.
            tasks = await self._finding.tasks(where) or tasks
        hold = None
        if job is not None and job.pool_id and observation.waits(tasks):
            await self._aside("why a task waits cannot be read", self._catalogue.look_at(job.pool_id))
            hold = self._hold(job, state)
        return observation.observation(
            external_name, where, tasks, state, self._settings, submitted=submitted, hidden=hidden, hold=hold
        )

    def _hold(self, job: wire.Job, state: str) -> Hold | None:
        return holds.of_job(job.id, state) or self._catalogue.hold(job.pool_id)

    def _meaning(
        self, ref: JobRef, where: Place, tasks: Sequence[Task | None], job_state: str, hold: Hold | None
    ) -> Observation | None:
        if not any(tasks):
            return None
        name, submitted = ref.external_name, ref.tasks_submitted
        hidden = self._hidden.look(name, tasks, submitted)
        return observation.observation(
            name, where, tasks, job_state, self._settings, submitted=submitted, hidden=hidden, hold=hold
        )

    async def _submit_more(self, request: SubmitRequest, begun: Observation) -> Observation:
        """The next tasks of a set, in the shared job that the others are in: a set never moves to another."""
        where = self._parsed(begun.resource_path)
        if begun.tasks is None or begun.tasks.submitted is None:
            raise Permanent(f"{begun.resource_path} is no set", reason=reasons.PROVIDER_JOB_MISSING)
        last = self._listing.last(where.job_id)
        job = last.job if last is not None else await self._connection.job(where.job_id)
        if job is None:
            raise Unavailable(f"the Azure job {where.job_id!r} is not there")
        start = begun.tasks.submitted
        stop = min(start + begun.tasks_due, where.count)
        await self._submission.submit_more(where, job.pool_id, request, start, stop)
        tasks = msgspec.structs.replace(begun.tasks, submitted=stop)
        return msgspec.structs.replace(begun, tasks=tasks, tasks_due=0, is_at_rest=False)

    def _fresh(self, request: SubmitRequest, where: Place, name: str, submitted: int | None) -> Observation:
        """A job whose tasks, or of a set the first ones, were made just now."""
        count = request.spec.completions
        return Observation(
            external_name=request.external_name,
            uid=request.uid,
            resource_path=places.path(self._settings, where),
            phase=Phase.PENDING,
            tasks=TaskCounts(total=count, pending=count, submitted=submitted),
            remarks=marker.remarks(marker.decode(name)),
            console_url=places.console_url(self._settings),
            logs_url=places.logs_url(self._settings, where),
        )

    async def _place(self, ref: JobRef) -> Place | None:
        """Where its tasks are; None where they are nowhere. Raises Unreachable for a job of another account."""
        destinations.check(self.site, [ref])
        if ref.resource_path:
            return self._parsed(ref.resource_path)
        return self._places.get(ref.external_name) or await self._finding.place(ref)

    def _parsed(self, resource_path: str) -> Place:
        """Raises Unreachable for the path of another account: a release that did not write down where jobs are sent may
        have sent it there."""
        where = places.parse(resource_path, self._settings)
        if where is None:
            raise Unreachable(f"{resource_path} is not in the account at {self._settings.endpoint}")
        return where

    def _known_place(self, ref: JobRef) -> Place | None:
        if ref.resource_path:
            return places.parse(ref.resource_path, self._settings)
        return self._places.get(ref.external_name)

    def _remember(self, external_name: str, where: Place) -> None:
        self._places[external_name] = where
        self._places.move_to_end(external_name)
        while len(self._places) > REMEMBERED:
            self._places.popitem(last=False)


def _to_be_tried_again(errors: Iterable[JennahError]) -> Retryable:
    """One of them for a round of which nothing came; no error of a list is the end of a job."""
    found = list(errors)
    return next((one for one in found if isinstance(one, Retryable)), None) or Unavailable(str(found[0]))
