"""All active jobs in few calls: the lists of the active states, and DescribeJobs only for what they do not tell."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from controller.cloud_settings import AwsSettings
from controller.domain.errors import Forbidden, JennahError, Unavailable, Unreachable
from controller.ports import Clock, JobRef, Observation
from controller.providers.aws import queues
from controller.providers.aws.connection import AwsConnection
from controller.providers.aws.describing import AT_ONCE, Describing
from controller.providers.aws.errors import Refused
from controller.providers.aws.observation import ACTIVE, ENDED, NativeState, uid_of
from controller.providers.aws.wire import Detail, Summary

log = logging.getLogger(__name__)

LIST_PAGE = 1000
NAME_PAGE = 100
"""What the service gives at most in a page, by state and by name."""
NAMES_A_ROUND = 100
"""Jobs of unknown path that one round looks for by name; those beyond are in doubt, and asked for singly."""
ROUND_SECONDS = 30.0
"""How long one round waits for places in the rate of calls, at most, and begins to describe jobs. It may be longer than
the lease: a round only reads, and whoever acts on what it saw asks for leadership then."""


class Listing:
    """The jobs of the queues that they were sent to: those of the settings, of earlier settings and of specs."""

    def __init__(self, connection: AwsConnection, settings: AwsSettings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._clock = clock
        self._describing = Describing(connection, settings.region, clock)
        self._refusing: set[str] = set()
        """Queues whose jobs cannot be listed, as the log has said."""
        self._queues: tuple[str, ...] = ()
        """Those that the last round read."""
        self._ids: dict[str, str] = {}
        """By name, those of the last round: a name that was looked for once is not looked for again."""

    async def observe(self, refs: Collection[JobRef], ids: Mapping[str, str]) -> dict[str, Observation]:
        """How these jobs stand, by name; `ids` are job ids by name, as far as they are known.

        A name without an id is looked for among the active jobs, then by itself. A job that the round has no call
        left for is told as it was the last time, and with phase None where there was none.
        """
        if not refs:
            self._describing.keep(())
            self._ids = {}
            return {}
        until = self._clock.monotonic() + ROUND_SECONDS
        self._queues = queues.distinct({queue for ref in refs for queue in queues.possible(ref, self._settings)})
        active = await self._in_queues(self._queues, until)
        ids = {**self._ids, **ids}
        wanted = {ref.external_name: ids[ref.external_name] for ref in refs if ref.external_name in ids}
        nameless = {ref.external_name: ref for ref in refs if ref.external_name not in ids}
        wanted |= await self._by_name(nameless, active, until)
        self._ids = wanted
        self._describing.keep(set(wanted.values()))
        await self._describing.look(dict.fromkeys(wanted.values()), active, until)
        told = ((ref.external_name, self._told(ref, wanted.get(ref.external_name))) for ref in refs)
        return {name: seen for name, seen in told if seen is not None}

    async def named(
        self, name: str, uid: str, in_queues: Sequence[str], *, job_id: str | None = None, until: float | None = None
    ) -> list[tuple[Detail, Observation]]:
        """Every job of that name that carries that uid, the oldest first, and the job of that id if it carries it: a
        list can lack a job for a moment that is known by its id. Raises Unavailable where one of them is listed and
        not described: the service is not of one mind yet; Unreachable where there is none, and a queue that it may
        have been in is no more.
        """
        pages = await asyncio.gather(*(self._named_in(queue, name, until) for queue in in_queues))
        listed = {job.job_id for page in pages for job in page or () if job.job_name == name}
        details = await self.describe(listed | {job_id} if job_id else listed, until)
        if not listed <= details.keys():
            raise Unavailable(f"AWS Batch in {self._settings.region} lists a job that it does not describe yet")
        ours = [job for job in details.values() if uid_of(job) == uid]
        gone = [queue for queue, page in zip(in_queues, pages, strict=True) if page is None]
        if gone and not ours and not job_id:
            raise Unreachable(f"{name} may have been in the queue {gone[0]!r}, which does not exist any more")
        ours.sort(key=lambda job: (job.created_at or 0.0, job.job_id))
        seen = [(job, await self.meaning_of(job, until)) for job in ours]
        return [(job, one) for job, one in seen if one is not None]

    async def active(self) -> dict[str, Summary]:
        """The active jobs by id, of the configured queues and of those that the last round read."""
        return await self._in_all_queues(ACTIVE)

    async def ended(self, since: datetime) -> dict[str, Summary]:
        """The jobs by id, of the same queues, that stopped after that. The service keeps them for a week."""
        found = await self._in_all_queues(ENDED)
        return {one: job for one, job in found.items() if (job.stopped_at or 0) >= since.timestamp() * 1000}

    async def describe(self, ids: Collection[str], until: float | None = None) -> dict[str, Detail]:
        """The details of these jobs by id; those that the service does not know are left out."""
        return await self._describing.describe(ids, until)

    async def meaning_of(self, job: Detail, until: float | None = None) -> Observation | None:
        """What a job's details mean."""
        return await self._describing.meaning_of(job, until)

    def _told(self, ref: JobRef, job_id: str | None) -> Observation | None:
        """What the round says of that job. None: it is in doubt."""
        if job_id is None:
            return None
        known = self._describing.known(job_id)
        if known is not None:
            return known.seen
        if self._describing.is_unknown(job_id) or not ref.resource_path:
            return None
        # Not its turn yet. In doubt it would be asked for singly, as would thousands with it.
        return Observation(external_name=ref.external_name, uid=ref.uid, resource_path=ref.resource_path, phase=None)

    async def _in_all_queues(self, states: Iterable[NativeState]) -> dict[str, Summary]:
        configured = queues.configured(self._settings)
        names = queues.distinct({*configured, *self._queues})
        return await self._in_queues(names, self._clock.monotonic() + ROUND_SECONDS, states, needed=configured)

    async def _in_queues(
        self,
        names: Sequence[str],
        until: float,
        states: Iterable[NativeState] = ACTIVE,
        *,
        needed: Collection[str] = (),
    ) -> dict[str, Summary]:
        """The jobs of these queues in these states by id; of a job that was seen twice the later.

        A queue that was removed, or may not be listed, keeps no other from being read: jobs of it are described by
        their ids. Raises where none could be read, or one that is needed.
        """
        found: dict[str, dict[str, Summary]] = {}
        refused: dict[str, JennahError] = {}

        async def read(queue: str) -> None:
            try:
                found[queue] = await self._in_states(queue, until, states)
            except (Refused, Forbidden) as error:
                refused[queue] = error

        await asyncio.gather(*(read(queue) for queue in names))
        for queue, error in refused.items():
            if queue in needed or not found:
                raise error
            if queue not in self._refusing:
                log.warning("the jobs of the queue %r cannot be listed: %s", queue, error)
        self._refusing = (self._refusing - found.keys()) | refused.keys()
        return {job_id: job for queue in names for job_id, job in found.get(queue, {}).items()}

    async def _in_states(self, queue: str, until: float, states: Iterable[NativeState]) -> dict[str, Summary]:
        """In the order of a job's life: one that moves on meanwhile is seen twice, not missed (providers.md §2b)."""
        found: dict[str, Summary] = {}
        for state in states:
            wanted = {"jobQueue": queue, "jobStatus": state.value, "maxResults": LIST_PAGE}
            found.update((job.job_id, job) for job in await self._pages(wanted, until))
        return found

    async def _named_in(self, queue: str, name: str, until: float | None) -> list[Summary] | None:
        """Jobs of that name in every state; the filter takes other capitals for the same, so others can be there.
        None: there is no such queue any more. Raises Refused for a refusal alone, which proves nothing."""
        filters = [{"name": "JOB_NAME", "values": [name]}]
        try:
            return await self._pages({"jobQueue": queue, "filters": filters, "maxResults": NAME_PAGE}, until)
        except Refused:
            if await self._exists(queue, until):
                raise
            return None

    async def _exists(self, queue: str, until: float | None) -> bool:
        reply = await self._connection.read("DescribeJobQueues", {"jobQueues": [queue]}, until=until)
        return bool(reply.job_queues)

    async def _pages(self, wanted: Mapping[str, Any], until: float | None) -> list[Summary]:
        found: list[Summary] = []
        token: str | None = None
        while True:
            more = {"nextToken": token} if token else {}
            page = await self._connection.read("ListJobs", {**wanted, **more}, until=until)
            found += page.job_summary_list
            token = page.next_token
            if not token:
                return found

    async def _by_name(self, refs: Mapping[str, JobRef], active: Mapping[str, Summary], until: float) -> dict[str, str]:
        """Job ids of jobs whose path is not known."""
        candidates: dict[str, list[Summary]] = defaultdict(list)
        for job in active.values() if refs else ():
            if job.job_name in refs:
                candidates[job.job_name].append(job)
        new = [job.job_id for jobs in candidates.values() for job in jobs if not self._describing.known(job.job_id)]
        await self._describing.look(new, active, until)
        found: dict[str, str] = {}
        missing: list[JobRef] = []
        for name, ref in refs.items():
            of_us = [job for job in candidates[name] if self._is_known_as(job.job_id, ref.uid)]
            if of_us:
                found[name] = min(of_us, key=lambda job: (job.created_at or 0.0, job.job_id)).job_id
            else:
                missing.append(ref)
        return found | await self._by_names_alone(missing[:NAMES_A_ROUND], until)

    def _is_known_as(self, job_id: str, uid: str) -> bool:
        known = self._describing.known(job_id)
        return known is not None and uid_of(known.detail) == uid

    async def _by_names_alone(self, refs: Sequence[JobRef], until: float) -> dict[str, str]:
        """Job ids of those that are found, a few asked for at once."""
        left = deque(refs)
        found: dict[str, str] = {}

        async def work() -> None:
            while left and self._clock.monotonic() < until:
                ref = left.popleft()
                job_id = await self._by_name_alone(ref, until)
                if job_id is not None:
                    found[ref.external_name] = job_id

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return found

    async def _by_name_alone(self, ref: JobRef, until: float) -> str | None:
        where = queues.possible(ref, self._settings)
        try:
            ours = await self.named(ref.external_name, ref.uid, where, until=until)
        except JennahError:
            return None  # in doubt
        return ours[0][0].job_id if ours else None
